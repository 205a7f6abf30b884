// The program of somebody in another process, started by sync-trial.ts: it takes, counts, sets or waits as its argument orders, and tells its
// parent each step.

import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { openEvent, openLock, openSemaphore } from '../open-sync.ts';
import type { OpenSyncOptions } from '../sync/sync-options.ts';

/** What it does. */
export interface HolderOrders {
  /**
   * hold: takes the lock and keeps it. permit: takes so many permits and keeps them. count: adds to a file, under the lock. set: sets the event.
   * wait: waits for the event. idle: has taken and given back everything, and does nothing more: its process ends. block: takes the lock by
   * acquireSync(). blockEvent: waits for the event by waitSync().
   */
  readonly act: 'hold' | 'permit' | 'count' | 'set' | 'wait' | 'idle' | 'block' | 'blockEvent';
  readonly lock: string;
  readonly semaphore: string;
  readonly event: string;
  readonly open: Omit<OpenSyncOptions, 'signal'>;
  /** How often, or how many. */
  readonly count?: number;
  /** Of count. */
  readonly file?: string;
}

type Act = (orders: HolderOrders) => Promise<void>;

const say = (line: string): void => {
  process.send?.(line);
};

/** Keeps the process until it is killed. */
const stay = (): void => {
  setInterval(() => undefined, 1_000);
};

/** Adds 1 to a number in a file, reading and writing it under a lock. */
async function addToFile({ lock: url, open, file = '', count = 0 }: HolderOrders): Promise<void> {
  const lock = await openLock(url, open);
  const fd = openSync(file, 'r+');
  const number = new BigUint64Array(1);
  for (let n = 0; n < count; n += 1) {
    const guard = await lock.acquire();
    readSync(fd, number, 0, 8, 0);
    number[0] = (number[0] as bigint) + 1n;
    writeSync(fd, number, 0, 8, 0);
    guard.release();
  }
  closeSync(fd);
  await lock.close();
}

const ACTS: Readonly<Record<HolderOrders['act'], Act>> = {
  count: addToFile,
  hold: async ({ lock, open }) => {
    await (await openLock(lock, open)).acquire();
    say('held');
    stay();
  },
  permit: async ({ semaphore, open, count = 1 }) => {
    const mine = await openSemaphore(semaphore, open);
    for (let n = 0; n < count; n += 1) await mine.acquire();
    say('held');
    stay();
  },
  set: async ({ event, open }) => {
    const mine = await openEvent(event, open);
    mine.set();
    say('set');
    stay();
  },
  wait: async ({ event, open }) => {
    const mine = await openEvent(event, open);
    say('waits');
    await mine.wait();
    await mine.close();
  },
  idle: async ({ lock, semaphore, event, open }) => {
    (await (await openLock(lock, open)).acquire()).release();
    (await (await openSemaphore(semaphore, open)).acquire()).release();
    await openEvent(event, open);
  },
  block: async ({ lock, open }) => {
    const mine = await openLock(lock, open);
    say('blocks');
    mine.acquireSync().release();
    await mine.close();
  },
  blockEvent: async ({ event, open }) => {
    const mine = await openEvent(event, open);
    say('blocks');
    mine.waitSync();
    await mine.close();
  },
};

async function run(orders: HolderOrders): Promise<void> {
  await ACTS[orders.act](orders);
  if (orders.act === 'idle') process.channel?.unref();
  else if (orders.act !== 'hold' && orders.act !== 'permit' && orders.act !== 'set') process.disconnect();
}

const orders = process.argv[2];
if (process.send !== undefined && orders !== undefined && process.argv[1]?.endsWith('sync-peer.js') === true)
  await run(JSON.parse(orders) as HolderOrders);
