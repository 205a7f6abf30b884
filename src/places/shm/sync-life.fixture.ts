// One whole life of a lock, a semaphore and an event in one process: put right after somebody who died with them, made, waited for, let go of,
// removed. As a program it ends itself with SIGKILL at a labelled step. Its orders are the JSON in argv[2].

import { writeSync } from 'node:fs';
import { defaultEdges } from '../../mapped-ring/edges.ts';
import type { SharedEvent } from '../../sync/event.ts';
import type { Lock } from '../../sync/lock.ts';
import type { Semaphore } from '../../sync/semaphore.ts';
import { until } from './scene.fixture.ts';
import { openSync, type SyncOrders } from './sync-peer.fixture.ts';

export interface LifeOrders {
  /** `wreck`: takes the lock and a permit, and dies with both. */
  readonly act: 'wreck' | 'live';
  readonly name: string;
  readonly step?: string;
  /** Dies at the n-th time of the step. */
  readonly nth?: number;
}

type What<K extends SyncOrders['kind']> = Pick<SyncOrders, 'name' | 'owner' | 'permits'> & {
  readonly kind: K;
};

/** What a life is about. The event is nobody's, so that it is always made anew. */
export function lifeOf(name: string): {
  readonly lock: What<'lock'>;
  readonly semaphore: What<'semaphore'>;
  readonly event: What<'event'>;
} {
  return {
    lock: { name: `${name}-lock`, kind: 'lock', owner: 'system' },
    semaphore: { name: `${name}-permit`, kind: 'semaphore', owner: 'system', permits: 1 },
    event: { name: `${name}-event`, kind: 'event' },
  };
}

/** Goes through every step. @param step  called at each; @param say  told what it is about to do */
export async function live(
  name: string,
  step: (label: string) => void,
  say: (line: string) => void,
): Promise<void> {
  const edges = { ...defaultEdges('shm://'), failpoint: step };
  let parks = 0;
  const waiting = {
    ...edges,
    failpoint: (label: string) => {
      step(label);
      if (label === 'park:before-look') parks += 1;
    },
  };
  /** One that has it, and one that will wait for it. */
  const two = async <T>(what: What<SyncOrders['kind']>): Promise<[T, T]> => [
    (await openSync(what, edges)) as T,
    (await openSync(what, waiting)) as T,
  ];
  /** Starts a wait. @returns once it sleeps: what ends with the wait */
  const asleep = async <T>(wait: () => Promise<T>): Promise<{ readonly end: Promise<T> }> => {
    const before = parks;
    const end = wait();
    await until(() => parks > before, 'it sleeps', 60_000);
    return { end };
  };
  const life = lifeOf(name);
  const [lock, second] = await two<Lock>(life.lock);
  const guard = await lock.acquire();
  const next = await asleep(() => second.acquire());
  guard.release();
  (await next.end).release();
  await second.close();
  await lock.unlink();

  const [event, listener] = await two<SharedEvent>(life.event);
  const set = await asleep(() => listener.wait());
  event.set();
  await set.end;
  await listener.close();
  await event.close();

  const [permits, other] = await two<Semaphore>(life.semaphore);
  const permit = await permits.acquire();
  const late = await asleep(() => other.acquire());
  permit.release();
  (await late.end).release();
  await other.close();
  say('adds');
  permits.release();
  await permits.unlink();
}

async function wreck(name: string): Promise<void> {
  const edges = defaultEdges('shm://');
  const { lock, semaphore } = lifeOf(name);
  for (const what of [lock, semaphore]) await ((await openSync(what, edges)) as Lock | Semaphore).acquire();
  process.kill(process.pid, 'SIGKILL');
}

async function play({ act, name, step, nth = 1 }: LifeOrders): Promise<void> {
  if (act === 'wreck') return await wreck(name);
  let left = nth;
  const die = (label: string): void => {
    if (label !== step) return;
    left -= 1;
    if (left === 0) process.kill(process.pid, 'SIGKILL');
  };
  await live(name, die, (line) => void writeSync(1, `${line}\n`));
}

if (process.argv[1]?.endsWith('sync-life.fixture.js') === true)
  await play(JSON.parse(process.argv[2] ?? '') as LifeOrders);
