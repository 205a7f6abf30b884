// A lock, semaphore or event as listings show it, read without disturbing anybody.

import { readSync as readFile, closeSync } from 'node:fs';
import type { RingEdges } from '../mapped-ring/edges.ts';
import { isDead } from '../mapped-ring/fifo.ts';
import { attempt } from '../mapped-ring/io-error.ts';
import { isDeadObject } from '../mapped-ring/listing.ts';
import { withObjectFile } from '../mapped-ring/object-file.ts';
import type { Site } from '../mapped-ring/site.ts';
import { FREE, ORPHANED } from '../ring/lock-word.ts';
import { identityOf, listParticipants, seatMark } from '../ring/participants.ts';
import { permitsHeld, permitsLeft } from '../ring/permits.ts';
import {
  permitWords,
  readSyncHeader,
  SYNC_WORDS,
  type SyncMemory,
  syncMemory,
  type SyncType,
} from '../ring/sync-memory.ts';
import { waitingSlots } from '../ring/wait-list.ts';

/** One user of it. */
export interface ListedHandle {
  readonly identity: string;
  readonly isAlive: boolean;
  /** How much of it this handle has: 1 for the lock's holder, its permits of a semaphore. */
  readonly held: number;
  readonly isWaiting: boolean;
}

export interface ListedSync {
  /** `leftover`: nobody who could use it lives any more. `damaged`: see `problem`. `unfinished`: its creator died, or is at work. */
  readonly state: 'live' | 'leftover' | 'unfinished' | 'damaged';
  readonly problem: string | undefined;
  readonly type: SyncType | undefined;
  readonly owner: 'users' | 'process' | 'system' | undefined;
  /** Milliseconds since the epoch. */
  readonly createdMs: number;
  /** Permits that are left; 1 for a free lock and for an event that is set, else 0. */
  readonly value: number;
  /** Of a semaphore. */
  readonly bounded: boolean;
  readonly handles: readonly ListedHandle[];
}

/** A copy of all of it. @returns and throws as openSync() */
export function readSync(site: Site): SyncMemory | 'absent' | 'unfinished' {
  return withObjectFile(site, true, readSyncHeader, (fd, geometry) => {
    const copy = new Uint8Array(geometry.fileBytes);
    attempt(site, 'reading', site.ring, () => readFile(fd, copy, 0, copy.length, 0));
    closeSync(fd);
    return syncMemory(copy.buffer, geometry);
  });
}

/** Reads only. */
export function describeSync(site: Site, edges: RingEdges): ListedSync {
  const nothing = {
    problem: undefined,
    type: undefined,
    owner: undefined,
    createdMs: 0,
    value: 0,
    bounded: false,
    handles: [],
  };
  let memory: ReturnType<typeof readSync>;
  try {
    memory = readSync(site);
  } catch (error) {
    return { ...nothing, state: 'damaged', problem: (error as Error).message };
  }
  if (typeof memory === 'string') return { ...nothing, state: 'unfinished' };
  return {
    ...nothing,
    ...memory.geometry,
    state: isDeadObject(site, memory, edges) ? 'leftover' : 'live',
    value: valueOf(memory),
    handles: handlesOf(site, memory, edges),
  };
}

function valueOf(memory: SyncMemory): number {
  const word = memory.words[SYNC_WORDS.value] ?? 0;
  switch (memory.geometry.type) {
    case 'lock':
      return word === FREE || word === ORPHANED ? 1 : 0;
    case 'semaphore':
      return permitsLeft(permitWords(memory));
    default:
      return word & 1;
  }
}

function handlesOf(site: Site, memory: SyncMemory, edges: RingEdges): ListedHandle[] {
  const { type } = memory.geometry;
  const waiting = new Set(waitingSlots(memory.words, SYNC_WORDS.waiting));
  const held = (slot: number, generation: number): number => {
    if (type === 'semaphore') return permitsHeld(permitWords(memory), slot);
    return type === 'lock' && memory.words[SYNC_WORDS.value] === seatMark(slot, generation) ? 1 : 0;
  };
  return listParticipants(memory).map((one) => ({
    identity: identityOf(one),
    isAlive: !isDead(site.folder, one, edges),
    held: held(one.slot, one.generation),
    isWaiting: waiting.has(one.slot),
  }));
}
