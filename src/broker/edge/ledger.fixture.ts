// What clients of a broker that is killed know, and what must be there afterwards. Not part of the package.

import amqp from 'amqplib';

export const QUEUES = ['one', 'two', 'three'] as const;

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
