// Locks, semaphores and events in shared memory as the commands name and show them. Loaded only by commands that need it.

import type { PlaceUrl } from '../mailbox/place.ts';
import type { ListedSharedSync } from '../places/shm/index.ts';
import type { Facts } from './kernel-objects.ts';
import type { Shown } from './shown.ts';

/** One of them. */
export interface SharedSync {
  readonly shown: Shown;
  readonly facts: Facts;
  readonly listed: ListedSharedSync;
  /** The group that shares it. */
  readonly gid: number | undefined;
}

/** Those of this user, and of the groups that this process is in. */
export async function listSharedSyncs(): Promise<SharedSync[]> {
  const { listSyncs, mailboxFolders } = await import('../places/shm/index.ts');
  return mailboxFolders().flatMap(({ path, gid }) => listSyncs(path).map((listed) => entryOf(listed, gid)));
}

/** @returns undefined when the URL names none of them */
export async function findSharedSync(url: PlaceUrl): Promise<SharedSync | undefined> {
  if (url.scheme !== 'shm') return undefined;
  const { groupFolder, listSyncs, runtimeFolder } = await import('../places/shm/index.ts');
  const group = url.extra['accessGroup'];
  const folder = group === undefined ? runtimeFolder() : groupFolder(group);
  const listed = listSyncs(folder).find(({ name }) => name === url.host);
  if (listed === undefined) return undefined;
  const gid = /-g(\d+)$/.exec(folder)?.[1];
  return entryOf(listed, group === undefined || gid === undefined ? undefined : Number(gid));
}

function entryOf(listed: ListedSharedSync, gid: number | undefined): SharedSync {
  const { name, type, state, owner, bounded, createdMs, handles } = listed;
  const shown: Shown = {
    kind: type ?? 'lock',
    name: gid === undefined ? `shm://${name}` : `shm://${name}?accessGroup=${gid}`,
    uid: gid === undefined ? (process.getuid?.() ?? null) : null,
    mode: gid === undefined ? 0o600 : 0o660,
    depth: null,
    bytes: null,
    peers: handles.map(({ identity, isAlive, held, isWaiting }) => ({
      what: `${held > 0 ? heldText(type, held) : isWaiting ? 'waits' : 'handle'} ${identity}`,
      isAlive,
    })),
    state: state === 'live' || state === 'damaged' ? state : 'dead',
  };
  const facts: Facts = {
    ...valueFacts(listed),
    lives: owner ?? null,
    created: createdMs === 0 ? null : new Date(createdMs).toISOString(),
    ...(type === 'semaphore' ? { bounded } : {}),
    waiting: handles.filter(({ isWaiting }) => isWaiting).length,
    ...(listed.problem === undefined ? {} : { problem: listed.problem }),
  };
  return { shown, facts, listed, gid };
}

function heldText(type: ListedSharedSync['type'], held: number): string {
  return type === 'semaphore' ? `has ${held} permit${held === 1 ? '' : 's'}` : 'has it';
}

function valueFacts({ type, value }: ListedSharedSync): Facts {
  if (type === 'semaphore') return { permitsLeft: value };
  if (type === 'event') return { set: value === 1 };
  return { free: value === 1 };
}
