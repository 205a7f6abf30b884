// A peer of the tests of locks, semaphores and events, in a process of its own: takes and gives back as often as it is told, and kills itself with
// SIGKILL (or stops itself) at the n-th call of a failpoint. Its orders are the JSON in argv[2]; its log is standard output, written before the
// next step.

import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { defaultEdges, type RingEdges } from '../../mapped-ring/edges.ts';
import { parseUrl } from '../../mailbox/parse-url.ts';
import type { SyncHooks } from '../../sync/driver.ts';
import { SharedEvent } from '../../sync/event.ts';
import { Lock } from '../../sync/lock.ts';
import { Semaphore } from '../../sync/semaphore.ts';
import type { SyncOptions } from '../../sync/sync-options.ts';
import { listSyncs } from './leftovers.ts';
import { shmSync } from './sync.ts';

/** What a peer is told to do. */
export interface SyncOrders {
  readonly name: string;
  readonly kind: 'lock' | 'semaphore' | 'event';
  /** Permits of a semaphore. */
  readonly permits?: number;
  readonly owner?: 'users' | 'process' | 'system';
  /** How often it takes and gives back. */
  readonly rounds?: number;
  /** Waits in its event loop, not as a blocked thread. */
  readonly isAsync?: boolean;
  /** Gives back only once somebody waits. */
  readonly untilAwaited?: boolean;
  /** Takes, and stays until killed. */
  readonly stays?: boolean;
  readonly failpoint?: string;
  readonly nth?: number;
  readonly signal?: 'SIGKILL' | 'SIGSTOP';
}

/** Anything that can be taken and given back, or waited for and set. */
export type AnySync = Lock | Semaphore | SharedEvent;

/** Opens at the level of the model, with edges of the test's own. */
export async function openSync(
  orders: Pick<SyncOrders, 'name' | 'kind' | 'permits' | 'owner'>,
  edges: RingEdges,
): Promise<AnySync> {
  const { kind } = orders;
  const options: SyncOptions = {
    url: parseUrl(`shm://${orders.name}`).parts,
    create: 'if-missing',
    owner: orders.owner,
    wait: {},
    count: orders.permits,
    bounded: undefined,
    key: undefined,
    signal: new AbortController().signal,
  };
  let model: AnySync | undefined;
  const hooks: SyncHooks = { ready: () => model?.ready(), failed: (error) => model?.failed(error) };
  const place = shmSync(() => edges);
  if (kind === 'lock') model = new Lock(await place.openLock(options, hooks), false);
  else if (kind === 'semaphore') model = new Semaphore(await place.openSemaphore(options, hooks));
  else model = new SharedEvent(await place.openEvent(options, hooks));
  return model;
}

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

function edgesOf({ failpoint, nth = 1, signal = 'SIGKILL' }: SyncOrders): RingEdges {
  let calls = 0;
  const hit = (name: string): void => {
    if (name !== failpoint) return;
    calls += 1;
    if (calls === nth) process.kill(process.pid, signal);
  };
  return { ...defaultEdges('shm://'), failpoint: hit };
}

async function isAwaited(name: string): Promise<void> {
  for (;;) {
    const found = listSyncs().find((one) => one.name === name);
    if (found?.handles.some(({ isWaiting }) => isWaiting) === true) return;
    await sleep(1);
  }
}

async function play(orders: SyncOrders): Promise<void> {
  const model = await openSync(orders, edgesOf(orders));
  say('open');
  for (let round = 0; round < (orders.rounds ?? 1); round += 1) {
    if (model instanceof SharedEvent) {
      if (orders.untilAwaited === true) await isAwaited(orders.name);
      model.set();
      model.clear();
      continue;
    }
    const held = orders.isAsync === true ? await model.acquire() : model.acquireSync();
    say(held.recovered ? 'recovered' : 'held');
    if (orders.stays === true) setInterval(() => undefined, 1_000);
    if (orders.stays === true) return;
    if (orders.untilAwaited === true) await isAwaited(orders.name);
    held.release();
    say('released');
  }
  await model.close();
  say('closed');
}

if (process.argv[1]?.endsWith('sync-peer.fixture.js') === true)
  await play(JSON.parse(process.argv[2] ?? '') as SyncOrders);
