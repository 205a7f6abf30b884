// Locks, semaphores and events of shm://: from a URL to the files, and to the driver. What they do is mapped-sync's.

import { join } from 'node:path';
import { NaruError } from '../../errors/index.ts';
import { checkName } from '../../mailbox/parse-url.ts';
import { defaultEdges, type RingEdges } from '../../mapped-ring/edges.ts';
import { attachSync, type SyncPart } from '../../mapped-sync/attach.ts';
import { MappedEvent } from '../../mapped-sync/event.ts';
import { MappedLock } from '../../mapped-sync/lock.ts';
import { MappedSemaphore } from '../../mapped-sync/semaphore.ts';
import type { SyncShape, SyncType } from '../../ring/sync-memory.ts';
import type { SyncHooks, SyncPlace } from '../../sync/driver.ts';
import type { SyncOptions } from '../../sync/sync-options.ts';
import { addressOf, GROUP_PARAMETER } from './address.ts';
import { sweepSome } from './leftovers.ts';
import { groupOf } from './options.ts';
import { shmSyncCapabilities } from './sync-capabilities.ts';
import { ensureRuntimeFolder, existingRuntimeFolder, siteOf } from './runtime-folder.ts';

/** How many other objects a creation looks at, for what the dead left. */
const SWEEP_MAX = 8;

/** Tests give edges of their own. */
export function shmSync(edgesOf: () => RingEdges): SyncPlace {
  const open = async <T>(
    type: SyncType,
    options: SyncOptions,
    hooks: SyncHooks,
    Driver: new (part: SyncPart, address: string, hooks: SyncHooks) => T,
  ): Promise<T> => {
    const { part, address } = await attach(type, options, edgesOf());
    return new Driver(part, address, hooks);
  };
  return {
    capabilities: shmSyncCapabilities,
    parameters: [GROUP_PARAMETER],
    openLock: (options, hooks) => open('lock', options, hooks, MappedLock),
    openSemaphore: (options, hooks) => open('semaphore', options, hooks, MappedSemaphore),
    openEvent: (options, hooks) => open('event', options, hooks, MappedEvent),
  };
}

export const syncPlace: SyncPlace = shmSync(() => defaultEdges('shm://'));

async function attach(
  type: SyncType,
  options: SyncOptions,
  edges: RingEdges,
): Promise<{ part: SyncPart; address: string }> {
  const { url, create, wait, signal } = options;
  const name = checkName(url.host, url.text);
  if (url.path !== '' || url.port !== undefined || url.username !== '' || name.startsWith('~')) {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${url.text}: in shared memory a ${type} has a plain name only: shm://name`,
      { place: 'shm', mailbox: url.text },
    );
  }
  const gid = groupOf(url);
  const folder = create === 'never' ? existingRuntimeFolder(gid) : ensureRuntimeFolder(gid);
  const stated = statedShape(options);
  const shape: SyncShape = {
    type,
    owner: 'users',
    count: type === 'semaphore' ? 1 : 0,
    bounded: false,
    ...stated,
  };
  const site = siteOf(join(folder, name), gid);
  const part = await attachSync(site, { text: url.text, create, shape, stated, wait, signal }, edges);
  if (part.created) sweepSome(folder, gid, name, SWEEP_MAX, edges);
  return { part, address: addressOf(name, gid) };
}

function statedShape({ owner, count, bounded }: SyncOptions): Partial<SyncShape> {
  return {
    ...(owner === undefined ? {} : { owner }),
    ...(count === undefined ? {} : { count }),
    ...(bounded === undefined ? {} : { bounded }),
  };
}
