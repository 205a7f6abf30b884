// Values, arrays and maps as listings show them, read without disturbing anybody; removing one, whatever state it is in; and
// removing what the dead left. Which objects there are is the places' business.

import { existsSync } from 'node:fs';
import { NaruError } from '../errors/index.ts';
import { isDead } from '../mapped-ring/fifo.ts';
import {
  type HeldLock,
  lockFolder,
  removeEmptyFolder,
  removeFile,
  removeMailboxFiles,
  tryLockFolder,
} from '../mapped-ring/folder.ts';
import { releaseObject } from '../mapped-ring/object-file.ts';
import type { Site } from '../mapped-ring/site.ts';
import { CLOSED } from '../ring/layout.ts';
import { headerWord } from '../ring/memory.ts';
import { identityOf, listParticipants, seatMark } from '../ring/participants.ts';
import { closeFor } from '../ring/recovery.ts';
import { codeOf } from '../state/elements.ts';
import { Table } from '../table/table.ts';
import type { StateEdges } from './edges.ts';
import { STATE_HEADER } from './layout.ts';
import { draftOf, openObject, type StateObject } from './object.ts';
import { wakeTurn } from './turn.ts';

/** The lock is only ever held for a few system calls. */
const LOCK_WAIT_MS = 5_000;

/** An object as a listing shows it. */
export interface ListedState {
  readonly type: 'value' | 'array' | 'map' | undefined;
  /** `leftover`: nobody who could use it lives any more. `damaged`: see `problem`. `unfinished`: its creator died, or is at work. */
  readonly state: 'live' | 'leftover' | 'unfinished' | 'damaged';
  readonly problem: string | undefined;
  readonly owner: 'users' | 'process' | 'system' | undefined;
  /** Type of a value, or of an array's elements: `i32`. */
  readonly element: string | undefined;
  /** Elements of an array, 1 of a value, entries of a map. */
  readonly length: number;
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly createdMs: number;
  readonly participants: readonly { readonly identity: string; readonly isAlive: boolean }[];
}

const NOTHING: ListedState = {
  type: undefined,
  state: 'unfinished',
  problem: undefined,
  owner: undefined,
  element: undefined,
  length: 0,
  bytes: 0,
  createdMs: 0,
  participants: [],
};

/** Reads only. */
export function describeState(site: Site, edges: StateEdges): ListedState {
  let object: StateObject | undefined;
  try {
    object = openObject(site, edges, true);
  } catch (error) {
    return { ...NOTHING, state: 'damaged', problem: (error as Error).message };
  }
  if (object === undefined) return NOTHING;
  try {
    const { geometry } = object.memory;
    return {
      type: geometry.type,
      state: isAbandonedState(site, object, edges) ? 'leftover' : 'live',
      problem: undefined,
      owner: geometry.owner,
      element: geometry.element === undefined ? undefined : codeOf(geometry.element),
      length: geometry.table === undefined ? geometry.length : countEntries(object, site),
      bytes: geometry.fileBytes,
      createdMs: geometry.createdMs,
      participants: listParticipants(object.memory).map((one) => ({
        identity: identityOf(one),
        isAlive: !isDead(site.folder, one, edges),
      })),
    };
  } finally {
    releaseObject(object, edges);
  }
}

/**
 * Removes an object, also one too damaged to be opened. Those who use it get NARU_CLOSED.
 * @returns false when there is none
 * @throws NARU_DENIED, NARU_TIMEOUT (its lock is held by a stopped process)
 */
export async function removeState(site: Site, edges: StateEdges): Promise<boolean> {
  const patience = new AbortController();
  const timer = setTimeout(() => {
    patience.abort(
      new NaruError('NARU_TIMEOUT', `${site.ring}: a stopped process holds its lock`, { place: site.place }),
    );
  }, LOCK_WAIT_MS);
  const mayMakeFolder = site.isBeside && existsSync(site.ring);
  const lock = await lockFolder(site, mayMakeFolder, patience.signal, edges).finally(() =>
    clearTimeout(timer),
  );
  if (lock === 'absent') return removeEmptyFolder(site);
  try {
    tellClosed(site, edges);
    removeFile(site, draftOf(site));
    removeMailboxFiles(site, edges.failpoint);
    return true;
  } finally {
    lock.release();
  }
}

/** Removes an object that nobody can use any more. Never one with owner `system`, nor a damaged one. @returns whether it did */
export function removeDeadState(site: Site, edges: StateEdges): boolean {
  let lock: HeldLock | 'busy' | 'absent';
  try {
    lock = tryLockFolder(site, false, edges);
  } catch {
    // Closed to us: another member of a group is making it.
    return false;
  }
  if (lock === 'absent') return removeEmptyFolder(site);
  if (lock === 'busy') return false;
  try {
    const object = openObject(site, edges);
    const isWanted = object !== undefined && !isAbandonedState(site, object, edges);
    if (object !== undefined) releaseObject(object, edges);
    if (isWanted) return false;
    removeFile(site, draftOf(site));
    removeMailboxFiles(site, edges.failpoint);
    return true;
  } catch {
    // Damaged: it stays until somebody removes it by name.
    return false;
  } finally {
    lock.release();
  }
}

function isAbandonedState(site: Site, { memory }: StateObject, edges: StateEdges): boolean {
  const { owner } = memory.geometry;
  const living = listParticipants(memory).filter((one) => !isDead(site.folder, one, edges));
  if (Atomics.load(memory.words, headerWord(STATE_HEADER.closed)) !== CLOSED.open) return living.length === 0;
  if (owner !== 'process') return owner === 'users' && living.length === 0;
  const creator = Atomics.load(memory.words, headerWord(STATE_HEADER.creator));
  return !living.some((one) => seatMark(one.slot, one.generation) === creator);
}

function countEntries({ buffer, memory }: StateObject, { ring }: Site): number {
  const { table } = memory.geometry;
  if (table === undefined) return 0;
  // Counting takes no lock and writes nothing.
  const refuse = (): never => {
    throw new Error('the object is mapped for reading only');
  };
  const reader = new Table(buffer, table, {
    locks: { tryTake: refuse, release: refuse },
    now: () => Date.now(),
    failpoint: () => undefined,
    needsFence: false,
    where: ring,
  });
  return reader.count();
}

function tellClosed(site: Site, edges: StateEdges): void {
  let object: StateObject | undefined;
  try {
    object = openObject(site, edges);
  } catch {
    // Too damaged to be told through it: its users see that the file is gone.
    return;
  }
  if (object === undefined) return;
  closeFor(object.memory, CLOSED.closed);
  wakeTurn(object, edges);
  releaseObject(object, edges);
}
