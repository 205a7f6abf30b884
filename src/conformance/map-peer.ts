// The program of a writer in another process, started by map-trial.ts: it changes a map as its argument orders, and tells its parent when
// it is at work.

import { openMap } from '../open-state.ts';
import type { SharedMap } from '../state/map.ts';
import type { OpenMapOptions } from '../state/map-options.ts';

/** What a writer does. */
export interface WriterOrders {
  /** update: adds 1 to `key` so many times. churn: sets whole values for ever. set: sets `key` once. */
  readonly act: 'update' | 'churn' | 'set';
  readonly url: string;
  readonly open: Omit<OpenMapOptions, 'schema' | 'signal'>;
  readonly key: string;
  readonly count: number;
}

/** A value that shows whether it is whole. */
export function wholeValue(n: number): { n: number; text: string } {
  return { n, text: String(n % 10).repeat(1 + (n % 500)) };
}

export function isWholeValue(value: unknown): boolean {
  const { n, text } = value as { n: number; text: string };
  return text === wholeValue(n).text;
}

async function addTo(map: SharedMap, key: string, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1)
    await map.update(key, (before) => ((before as number | undefined) ?? 0) + 1);
}

/** For ever: it is to be killed. */
async function churn(map: SharedMap, key: string): Promise<never> {
  for (let n = 0; ; n += 1) {
    await map.set(key, wholeValue(n));
    if (n % 20 === 0) await new Promise(setImmediate);
  }
}

async function run({ act, url, open, key, count }: WriterOrders): Promise<void> {
  const map: SharedMap = await openMap(url, open);
  process.send?.('ready');
  if (act === 'set') await map.set(key, wholeValue(count));
  else if (act === 'update') await addTo(map, key, count);
  else await churn(map, key);
  await map.close();
  process.disconnect();
}

const orders = process.argv[2];
if (process.send !== undefined && orders !== undefined && process.argv[1]?.endsWith('map-peer.js') === true)
  await run(JSON.parse(orders) as WriterOrders);
