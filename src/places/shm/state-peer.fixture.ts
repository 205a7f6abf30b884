// A child that plays a peer of values and maps: it does what its argument orders, prints a line when it has, and, where it is told to, ends
// itself with SIGKILL at a labelled step.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { openMap, openValue } from 'naru/state';
import type { SharedMap } from '../../state/map.ts';
import { readHistory } from './state-history.fixture.ts';
import { mapWith, valueWith } from './state-scene.fixture.ts';

const PEER = fileURLToPath(import.meta.url);

/** What a peer does. */
export interface PeerOrders {
  readonly act: 'script' | 'wreck' | 'add' | 'churn' | 'hold' | 'history';
  readonly url: string;
  /** Of script: die at the n-th time of this step. */
  readonly step?: string;
  readonly nth?: number;
  readonly isWrecked?: boolean;
  /** Of add: how often; of history: operations. */
  readonly count?: number;
  readonly id?: number;
  /** Of history: chooses the operations. */
  readonly seed?: number;
}

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/**
 * Every operation once, in an order that a test can follow.
 * @param step       called at every labelled step
 * @param isWrecked  another one dies with what is used here, before it is opened and again once it is; somebody must have it open meanwhile
 */
export async function runScript(url: string, step: (name: string) => void, isWrecked = false): Promise<void> {
  const die = (): void => {
    const { signal } = spawnSync(process.execPath, [PEER, JSON.stringify({ act: 'wreck', url })]);
    if (signal !== 'SIGKILL') throw new Error('it did not die');
  };
  if (isWrecked) die();
  const map = await mapWith(`${url}-map?capacity=64KiB`, step);
  if (isWrecked) die();
  const watch = map.watch('a');
  await watch.ready;
  const seen = watch.next();
  await map.set('a', 'x'.repeat(10));
  await seen;
  await watch.return?.();
  await map.set('a', 'y'.repeat(3000));
  await map.set('a', 'z'.repeat(50));
  await map.set('b', 'x'.repeat(500));
  await map.set('b', 'y'.repeat(500), { ttlMs: 3_600_000 });
  await map.delete('b');
  await map.update('a', (before) => `${String(before).slice(0, 1)}${'z'.repeat(49)}`);
  await map.clear();
  const text = await valueWith(`${url}-text`, 'text:4000', step);
  for (const length of [10, 4000, 1]) text.set('x'.repeat(length));
  await text.withLock(() => text.set('y'.repeat(20)));
  await text.close();
  await map.close();
}

async function script({ url, step, nth = 1, isWrecked }: PeerOrders): Promise<void> {
  let left = nth;
  await runScript(
    url,
    (name) => {
      if (name !== step) return;
      left -= 1;
      if (left === 0) process.kill(process.pid, 'SIGKILL');
    },
    isWrecked,
  );
  say('done');
}

/** Has the lock of the text, and dies in the middle of writing to the map. */
async function wreck({ url }: PeerOrders): Promise<void> {
  const die = (at: string) => (name: string) => {
    if (name === at) process.kill(process.pid, 'SIGKILL');
  };
  const text = await openValue(`${url}-text`, 'text:4000');
  await text.lock.acquire();
  const map = await mapWith(`${url}-map?capacity=64KiB`, die('table:linked'));
  await map.set('a', 'x'.repeat(1000));
}

async function add({ url, count = 0 }: PeerOrders): Promise<void> {
  const value = await openValue(url as 'shm://', 'i64');
  for (let n = 0; n < count; n += 1) value.add(1n);
  await value.close();
  say('done');
}

/** Sets, deletes and updates for ever, as fast as it can: to be killed. */
async function churn({ url, id = 0 }: PeerOrders): Promise<void> {
  const map = (await openMap(url, { codec: 'text' })) as unknown as SharedMap<string>;
  say('ready');
  for (let n = 0; ; n += 1) {
    const key = `k${n % 13}`;
    if (n % 5 === 4) map.deleteSync(key);
    else map.setSync(key, whole(id * 1_000_003 + n));
    if (n % 500 === 0) await new Promise(setImmediate);
  }
}

/** A text that shows whether it is whole: its length and its only character follow from its number. */
export function whole(n: number): string {
  return String.fromCharCode(97 + (n % 26)).repeat(1 + (n % 700));
}

export function isWhole(text: string): boolean {
  return text.length > 0 && text === text.charAt(0).repeat(text.length);
}

/** Takes the lock and never lets go. */
async function hold({ url }: PeerOrders): Promise<void> {
  const value = await openValue(url as 'shm://', 'i32');
  await value.lock.acquire();
  say('holding');
  setInterval(() => undefined, 1000);
}

const orders = JSON.parse(process.argv[2] ?? 'null') as PeerOrders | null;
// Imported by a test: nothing to do.
if (orders !== null && process.argv[1]?.endsWith('state-peer.fixture.js') === true) {
  if (orders.act === 'script') await script(orders);
  else if (orders.act === 'wreck') await wreck(orders);
  else if (orders.act === 'add') await add(orders);
  else if (orders.act === 'churn') await churn(orders);
  else if (orders.act === 'hold') await hold(orders);
  else say(JSON.stringify(await readHistory(orders)));
}
