// What clients of a broker that is killed know, and what must be there afterwards. Not part of the package.

import amqp from 'amqplib';

export const QUEUES = ['one', 'two', 'three'] as const;
const WORKERS = 4;
/** Publishes that a producer has under way at most. */
const WINDOW = 100;

/** What clients know. A message is its queue and its number. */
export class Ledger {
  readonly sent: Set<string> = new Set();
  readonly confirmed: Set<string> = new Set();
  readonly delivered: Set<string> = new Set();
  readonly acked: Set<string> = new Set();
  readonly wrong: string[] = [];
  /** Called at the next confirm. */
  onConfirm: () => void = () => undefined;
  #id = 0;

  confirm(body: string): void {
    this.confirmed.add(body);
    this.onConfirm();
  }

  next(queue: string): string {
    this.#id += 1;
    const name = `${queue} ${this.#id}`;
    this.sent.add(name);
    return name;
  }

  deliver(queue: string, body: string, isRedelivered: boolean): void {
    if (!this.sent.has(body) || !body.startsWith(`${queue} `))
      this.wrong.push(`${body} in ${queue} comes from nowhere`);
    if (this.delivered.has(body) && !isRedelivered) this.wrong.push(`${body} again, without the mark`);
    this.delivered.add(body);
  }
}

export async function connect(url: string): Promise<Awaited<ReturnType<typeof amqp.connect>>> {
  const connection = await amqp.connect(url);
  // Its broker is killed: that it ends is what is wanted.
  connection.on('error', () => undefined);
  return connection;
}

/** Publishes until the connection is gone. */
async function produce(url: string, ledger: Ledger, queue: string): Promise<void> {
  const connection = await connect(url);
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => undefined);
  const end = new AbortController();
  const closed = new Promise<void>((resolve) => {
    connection.on('close', () => {
      end.abort();
      resolve();
    });
  });
  await channel.assertQueue(queue, { durable: true });
  let pending = 0;
  let wake: (() => void) | undefined;
  while (!end.signal.aborted) {
    const body = ledger.next(queue);
    pending += 1;
    channel.sendToQueue(queue, Buffer.from(body), { persistent: true }, (error: unknown) => {
      if (error === null || error === undefined) ledger.confirm(body);
      pending -= 1;
      wake?.();
    });
    if (pending < WINDOW) continue;
    const room = new Promise<void>((resolve) => {
      wake = resolve;
    });
    await Promise.race([closed, room]);
  }
}

/** Consumes and acks until the connection is gone. */
async function consume(url: string, ledger: Ledger, queue: string): Promise<void> {
  const connection = await connect(url);
  const channel = await connection.createChannel();
  channel.on('error', () => undefined);
  await channel.assertQueue(queue, { durable: true });
  await channel.prefetch(20);
  await channel.consume(queue, (message) => {
    if (message === null) return;
    const body = message.content.toString();
    ledger.deliver(queue, body, message.fields.redelivered);
    ledger.acked.add(body);
    channel.ack(message);
  });
  await new Promise<void>((resolve) => {
    connection.on('close', () => resolve());
  });
}

/** Four producers with confirms and four consumers with acks. Who is still connecting when the broker goes fails; the others see it close. */
export async function loadOn(url: string, ledger: Ledger): Promise<void> {
  await Promise.allSettled(
    Array.from({ length: WORKERS * 2 }, (_, index) => {
      const queue = QUEUES[index % QUEUES.length] as string;
      return (index < WORKERS ? produce : consume)(url, ledger, queue);
    }),
  );
}

/** Takes what is left, and compares. */
export async function settle(url: string, ledger: Ledger): Promise<void> {
  const connection = await connect(url);
  const channel = await connection.createChannel();
  const found = new Set<string>();
  for (const queue of QUEUES) {
    await channel.assertQueue(queue, { durable: true });
    for (;;) {
      const got = await channel.get(queue, { noAck: true });
      if (got === false) break;
      const body = got.content.toString();
      if (found.has(body)) ledger.wrong.push(`${body} is there twice`);
      found.add(body);
      ledger.deliver(queue, body, got.fields.redelivered);
    }
  }
  for (const body of ledger.confirmed) {
    if (!found.has(body) && !ledger.acked.has(body)) ledger.wrong.push(`${body} was confirmed and is gone`);
  }
  await channel.close();
  await connection.close();
}
