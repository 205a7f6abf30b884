// How fast the store is: `node dist/store/perf.fixture.js`. Reports figures; asserts nothing.

import { performance } from 'node:perf_hooks';
import { Store } from './store.ts';
import type { Clock, Entry, ItemMeta, StoreOptions } from './types.ts';

/** Real time without timers: deadlines are looked at in every take(). */
const clock: Clock = { now: () => performance.now(), schedule: () => () => {} };

const base: StoreOptions = {
  capacityMessages: 65_536,
  capacityBytes: 64 * 1024 * 1024,
  deliver: 'one',
  dropOldest: false,
  keepForNobody: false,
  retain: 0,
  dedup: 0,
  leaseMs: 0,
  priorityMin: 0,
  priorityMax: 255,
};

/** Sends `rounds` bursts of `burst` items through the store. @returns millions of items a second, best of five */
function measure(
  options: Partial<StoreOptions>,
  burst: number,
  total: number,
  metaOf: (n: number) => ItemMeta,
  consumers = 1,
): number {
  let best = 0;
  for (let round = 0; round < 5; round += 1) {
    const store = new Store<number>({ ...base, ...options }, clock, { room: () => {}, drop: () => {} });
    const subscriptions = Array.from({ length: consumers }, () => store.subscribe(() => {}));
    for (const subscription of subscriptions) subscription.want(256);
    const out: Entry<number>[] = [];
    const start = performance.now();
    for (let sent = 0; sent < total; sent += burst) {
      for (let n = 0; n < burst; n += 1) store.offer(n, metaOf(n));
      for (const subscription of subscriptions) {
        while (subscription.take(256, out) > 0) {
          for (const entry of out) subscription.settle(entry.token, 'ack', 0);
          out.length = 0;
        }
      }
    }
    best = Math.max(best, total / (performance.now() - start) / 1000);
    store.dispose();
  }
  return best;
}

const plain: ItemMeta = { sizeBytes: 64 };
const keys: ItemMeta[] = Array.from({ length: 1000 }, (_, n) => ({ sizeBytes: 64, key: `key-${n}` }));
const urgent: ItemMeta[] = Array.from({ length: 10 }, (_, n) => ({ sizeBytes: 64, priority: n }));
const expiring: ItemMeta = { sizeBytes: 64, ttlMs: 60_000 };
const late: ItemMeta = { sizeBytes: 64, delayMs: 0.0001 };

const million = 1_000_000;
const huge = { capacityMessages: 2 ** 31, capacityBytes: 2 ** 40 };
const scenarios: readonly (readonly [string, () => number])[] = [
  ['ping-pong (burst 1)', () => measure({}, 1, 2 * million, () => plain)],
  ['bursts of 256', () => measure({}, 256, 4 * million, () => plain)],
  ['bursts of 32,768', () => measure({}, 32_768, 4 * million, () => plain)],
  ['1 M waiting', () => measure(huge, million, million, () => plain)],
  ['10 priorities, bursts of 256', () => measure({}, 256, million, (n) => urgent[n % 10] ?? plain)],
  ['ttl, bursts of 256', () => measure({}, 256, million, () => expiring)],
  ['ttl, 1 M waiting', () => measure(huge, million, million, () => expiring)],
  ['delay over, bursts of 256', () => measure({}, 256, million, () => late)],
  ['lease, bursts of 256', () => measure({ leaseMs: 30_000 }, 256, million, () => plain)],
  ['1,000 ordering keys, bursts of 256', () => measure({}, 256, million, (n) => keys[n % 1000] ?? plain)],
  ['1 ordering key, bursts of 256', () => measure({}, 256, million, () => keys[0] ?? plain)],
  ['drop-oldest kept by age, bursts of 256', () => measure({ dropOldest: true }, 256, million, () => plain)],
  ['4 competing consumers, bursts of 256', () => measure({}, 256, million, () => plain, 4)],
  ['topic, 4 subscribers, bursts of 256', () => measure({ deliver: 'all' }, 256, million, () => plain, 4)],
];
process.stdout.write(`offer + take + ack, millions of items a second, Node ${process.version}, one thread\n`);
for (const [name, run] of scenarios) process.stdout.write(`${run().toFixed(2).padStart(8)}  ${name}\n`);
