// A process of `naru bench` or the demo: producers and consumers of one mailbox, told by messages what to do. Not a command.

import { isNaruError, NaruError } from '../errors/index.ts';
import { makeProbes, monotonicMs, ProbeCheck } from './probe.ts';
import { openEnd, type TeamEnd } from './team-end.ts';
import type { Answer, Order } from './team-protocol.ts';

/** Probes sent at once when there is no pace. */
const BATCH = 512;
/** Longest time between two looks at the clock of a paced producer, in milliseconds. */
const TICK_MS = 1;

type ProduceOrder = Pick<Order & { type: 'produce' }, 'phase' | 'pace' | 'count'>;

interface Producer {
  readonly number: number;
  readonly end: TeamEnd;
  sent: number;
  sum: number;
}

const producers: Producer[] = [];
const consumers: { readonly end: TeamEnd; readonly check: ProbeCheck }[] = [];
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
    const end = await openEnd(address, 'consumer');
    address = end.address;
    const check = new ProbeCheck(bodyBytes);
    consumers.push({ end, check });
    consume(end, check).catch(fail);
  }
  for (const number of order.producers) {
    producers.push({ number, end: await openEnd(address, 'producer'), sent: 0, sum: 0 });
  }
  tell({ type: 'opened', address, made: [...consumers, ...producers].some(({ end }) => end.made) });
}

async function consume(end: TeamEnd, check: ProbeCheck): Promise<void> {
  await end.receive((bodies) => {
    const now = monotonicMs();
    for (const body of bodies) check.add(body, now);
  });
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
    await producer.end.send(makeProbes(size, bodyBytes, { producer: producer.number, phase, first }));
    producer.sent += size;
    producer.sum += size * first + (size * (size - 1)) / 2;
    done += size;
  }
}

async function report(): Promise<void> {
  const depth = (await consumers[0]?.end.depth()) ?? -1;
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
  await Promise.allSettled(all.map(({ end }) => end.close()));
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
