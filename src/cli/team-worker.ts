// A process of `naru bench` or the demo: producers and consumers of one mailbox, told by messages what to do. Not a command.

import { isNaruError, NaruError } from '../errors/index.ts';
import { open } from '../open.ts';
import type { ByteMailbox } from './connect.ts';
import { makeProbes, monotonicMs, ProbeCheck } from './probe.ts';
import type { Answer, Order } from './team-protocol.ts';

/** Probes sent at once when there is no pace. */
const BATCH = 512;
/** Longest time between two looks at the clock of a paced producer, in milliseconds. */
const TICK_MS = 1;

type ProduceOrder = Pick<Order & { type: 'produce' }, 'phase' | 'pace' | 'count'>;

interface Producer {
  readonly number: number;
  readonly mailbox: ByteMailbox;
  sent: number;
  sum: number;
}

const producers: Producer[] = [];
const consumers: { readonly mailbox: ByteMailbox; readonly check: ProbeCheck }[] = [];
let bodyBytes = 0;
let producing = new AbortController();

// The parent decides when to stop, also at Ctrl-C, which reaches the whole group; without a parent there is nothing to do.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit(0));
process.on('message', (order: Order) => {
  obey(order).catch(fail);
});

async function obey(order: Order): Promise<void> {
  switch (order.type) {
    case 'open':
      return await openAll(order);
    case 'produce':
      return await produceAll(order);
    case 'pause':
      producing.abort();
      return;
    case 'report':
      return await report();
    case 'stop':
      return await stop();
  }
}

async function openAll(order: Order & { type: 'open' }): Promise<void> {
  bodyBytes = order.bodyBytes;
  let address = order.url;
  // Consumers first: where the mailbox lives in its first opener, that should be who receives.
  for (let i = 0; i < order.consumers; i += 1) {
    const mailbox = await openOne(address, 'consumer');
    address = mailbox.address;
    const check = new ProbeCheck(bodyBytes);
    consumers.push({ mailbox, check });
    consume(mailbox, check).catch(fail);
  }
  for (const number of order.producers) {
    producers.push({ number, mailbox: await openOne(address, 'producer'), sent: 0, sum: 0 });
  }
  const mailboxes = [...consumers, ...producers].map(({ mailbox }) => mailbox);
  const made = mailboxes.some(({ created, capabilities }) => created && capabilities.owner === 'system');
  tell({ type: 'opened', address, made });
}

async function openOne(url: string, role: 'producer' | 'consumer'): Promise<ByteMailbox> {
  return (await open(url, { codec: 'bytes', role })) as unknown as ByteMailbox;
}

async function consume(mailbox: ByteMailbox, check: ProbeCheck): Promise<void> {
  for await (const batch of mailbox.batches()) {
    const now = monotonicMs();
    for (const { body } of batch) check.add(body, now);
  }
}

async function produceAll({ phase, pace, count }: ProduceOrder): Promise<void> {
  producing = new AbortController();
  const { signal } = producing;
  const firstAtMs = monotonicMs();
  await Promise.all(producers.map((producer) => produce(producer, { phase, pace, count }, signal)));
  const sent = producers.reduce((total, producer) => total + producer.sent, 0);
  const sum = producers.reduce((total, producer) => total + producer.sum, 0);
  tell({ type: 'paused', sent, sum, firstAtMs });
}

async function produce(
  producer: Producer,
  { phase, pace, count }: ProduceOrder,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = performance.now();
  const goal = count ?? Number.POSITIVE_INFINITY;
  let done = 0;
  while (!signal.aborted && done < goal) {
    const due =
      pace === 'flat-out' ? BATCH : Math.floor(((performance.now() - startedAt) * pace) / 1000) + 1 - done;
    const size = Math.min(due, BATCH, goal - done);
    if (size <= 0) {
      await pause(Math.max(TICK_MS, startedAt + (done * 1000) / Number(pace) - performance.now()));
      continue;
    }
    const first = producer.sent + 1;
    await producer.mailbox.sendMany(makeProbes(size, bodyBytes, { producer: producer.number, phase, first }));
    producer.sent += size;
    producer.sum += size * first + (size * (size - 1)) / 2;
    done += size;
  }
}

async function report(): Promise<void> {
  const any = consumers[0]?.mailbox;
  const depth = any === undefined ? -1 : (await any.stats()).place.depth;
  const total = (field: 'received' | 'sum' | 'disordered' | 'broken'): number =>
    consumers.reduce((sum, { check }) => sum + check[field], 0);
  tell({
    type: 'report',
    sent: producers.reduce((sum, { sent }) => sum + sent, 0),
    received: total('received'),
    sum: total('sum'),
    disordered: total('disordered'),
    broken: total('broken'),
    depth,
    phases: consumers.flatMap(({ check }) =>
      check.phases.map((phase, index) => ({ ...phase, latency: phase.latency.toJSON(), index })),
    ),
  });
}

async function stop(): Promise<void> {
  const all = [...producers, ...consumers];
  await Promise.allSettled(all.map(({ mailbox }) => mailbox.close({ flushMs: 0 })));
  process.exit(0);
}

function tell(answer: Answer): void {
  process.send?.(answer);
}

function fail(error: unknown): void {
  const known = isNaruError(error) ? error : new NaruError('NARU_REMOTE', String(error), { cause: error });
  tell({ type: 'failed', error: known.toJSON() });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
