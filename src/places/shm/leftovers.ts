// What lies in the runtime folder: listing mailboxes without disturbing them (read-only), and removing what the dead left.

import * as fs from 'node:fs';
import { join } from 'node:path';
import { checkName } from '../../mailbox/parse-url.ts';
import { takeCensus } from '../../ring/census.ts';
import { CLOSED, HEADER } from '../../ring/layout.ts';
import { headerWord, type RingMemory } from '../../ring/memory.ts';
import {
  consumerSeatsOf,
  identityOf,
  laneOwner,
  listParticipants,
  type Participant,
  seatMark,
} from '../../ring/participants.ts';
import { closeFor } from '../../ring/recovery.ts';
import type { Gid } from './access.ts';
import { defaultEdges, type ShmEdges } from './edges.ts';
import { isDead, PeerBells } from './fifo.ts';
import { type HeldLock, lockFolder, removeEmptyFolder, removeFolder, tryLockFolder } from './folder.ts';
import { openObject, readTables, releaseObject, type RingObject } from './object.ts';
import { ringAll } from './participation.ts';
import { groupOfFolder, runtimeFolder } from './runtime-folder.ts';

/** The lock is only ever held for a few system calls. */
const LOCK_WAIT_MS = 5_000;

/** A participant as a listing shows it. */
export interface ListedParticipant {
  readonly identity: string;
  readonly isAlive: boolean;
  /** Lanes it produces into. */
  readonly lanes: readonly number[];
  readonly isConsumer: boolean;
}

/** A mailbox as a listing shows it. */
export interface ListedMailbox {
  readonly name: string;
  readonly path: string;
  /** `leftover`: nobody who could use it lives any more. `damaged`: see `problem`. `unfinished`: its creator died, or is at work. */
  readonly state: 'live' | 'leftover' | 'unfinished' | 'damaged';
  readonly problem: string | undefined;
  readonly owner: 'users' | 'process' | 'system' | undefined;
  readonly relation: string | undefined;
  /** Milliseconds since the epoch. */
  readonly createdMs: number;
  readonly depth: number;
  readonly depthBytes: number;
  readonly unsettled: number;
  /** Capacity of one lane. */
  readonly capacityBytes: number;
  readonly participants: readonly ListedParticipant[];
}

/** Every mailbox of this user, or of `folder`: another, or a group's. Reads only. @throws NARU_NATIVE_MISSING, NARU_DENIED */
export function listMailboxes(folder: string = runtimeFolder()): ListedMailbox[] {
  const edges = defaultEdges();
  const gid = groupOfFolder(folder);
  return mailboxNames(folder).map((name) => describe(name, join(folder, name), gid, edges));
}

/**
 * Removes what nobody can use any more: half-made mailboxes, and those of dead users or a dead owner. Never a mailbox with
 * owner `system`, a damaged one, or one that somebody alive takes part in.
 *
 * @returns the names of what was removed
 */
export function cleanLeftovers(folder: string = runtimeFolder()): string[] {
  const edges = defaultEdges();
  const gid = groupOfFolder(folder);
  return mailboxNames(folder).filter((name) => removeIfDead(join(folder, name), gid, edges));
}

/**
 * Removes a mailbox by name, whatever state it is in: also one too damaged to be opened. Those who use it get NARU_CLOSED.
 *
 * @returns false when there is none
 * @throws NARU_DENIED, NARU_TIMEOUT (its lock is held by a stopped process)
 */
export async function removeMailbox(name: string, folder: string = runtimeFolder()): Promise<boolean> {
  const edges = defaultEdges();
  const path = join(folder, checkName(name, `shm://${name}`));
  const gid = groupOfFolder(folder);
  const lock = await lockFolder(path, false, AbortSignal.timeout(LOCK_WAIT_MS), edges, gid);
  if (lock === 'absent') return removeEmptyFolder(path);
  try {
    tellClosed(path, gid, edges);
    removeFolder(path, edges.failpoint);
    return true;
  } finally {
    lock.release();
  }
}

function tellClosed(path: string, gid: Gid, edges: ShmEdges): void {
  let object: ReturnType<typeof openObject>;
  try {
    object = openObject(path, edges, gid);
  } catch {
    // Too damaged to be told through it: its users see that the file is gone.
    return;
  }
  if (typeof object === 'string') return;
  closeFor(object.memory, CLOSED.closed);
  const bells = new PeerBells(path, object.memory, edges);
  ringAll({ memory: object.memory, bells }, -1);
  bells.close();
  releaseObject(object, edges);
}

/** The same for a few mailboxes, chosen by chance: what every creation does on its way. */
export function sweepSome(folder: string, gid: Gid, keep: string, most: number, edges: ShmEdges): void {
  const names = mailboxNames(folder).filter((name) => name !== keep);
  const start = Math.floor(Math.random() * names.length);
  for (let i = 0; i < Math.min(most, names.length); i += 1) {
    const name = names[(start + i) % names.length] as string;
    try {
      removeIfDead(join(folder, name), gid, edges);
    } catch {
      // Not ours to report: doctor lists it.
    }
  }
}

function mailboxNames(folder: string): string[] {
  try {
    return fs
      .readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}

function removeIfDead(path: string, gid: Gid, edges: ShmEdges): boolean {
  let lock: HeldLock | 'busy' | 'absent';
  try {
    lock = tryLockFolder(path, false, edges, gid);
  } catch (error) {
    if (gid === undefined) throw error;
    // Half-made by another member, or closed to us: one entry must not keep a group from clearing the others.
    lock = 'absent';
  }
  if (lock === 'absent') return removeEmptyFolder(path);
  if (lock === 'busy') return false;
  try {
    const tables = readTables(path, gid);
    if (typeof tables === 'object' && !isDeadMailbox(path, tables, edges)) return false;
    removeFolder(path, edges.failpoint);
    return true;
  } catch {
    // Damaged: it stays until somebody removes it by name.
    return false;
  } finally {
    lock.release();
  }
}

function isDeadMailbox(path: string, memory: RingMemory, edges: ShmEdges): boolean {
  const { owner } = memory.geometry;
  const living = listParticipants(memory).filter((one) => !isDead(path, one, edges));
  if (Atomics.load(memory.words, headerWord(HEADER.closed)) !== CLOSED.open) return living.length === 0;
  if (owner === 'system') return false;
  if (owner === 'users') return living.length === 0;
  const creator = Atomics.load(memory.words, headerWord(HEADER.creator));
  return !living.some((one) => seatMark(one.slot, one.generation) === creator);
}

function describe(name: string, path: string, gid: Gid, edges: ShmEdges): ListedMailbox {
  const nothing = {
    name,
    path,
    problem: undefined,
    owner: undefined,
    relation: undefined,
    createdMs: 0,
    depth: 0,
    depthBytes: 0,
    unsettled: 0,
    capacityBytes: 0,
    participants: [],
  };
  let object: RingObject | 'absent' | 'unfinished';
  try {
    object = openObject(path, edges, gid, true);
  } catch (error) {
    return { ...nothing, state: 'damaged', problem: (error as Error).message };
  }
  if (typeof object === 'string') return { ...nothing, state: 'unfinished' };
  try {
    const { memory } = object;
    const { geometry } = memory;
    const { depth, depthBytes, unsettled } = takeCensus(memory);
    return {
      ...nothing,
      state: isDeadMailbox(path, memory, edges) ? 'leftover' : 'live',
      owner: geometry.owner,
      relation: geometry.relation,
      createdMs: geometry.createdMs,
      depth,
      depthBytes,
      unsettled,
      capacityBytes: geometry.laneBytes,
      participants: listParticipants(memory).map((one) => describeOne(path, object, one, edges)),
    };
  } finally {
    releaseObject(object, edges);
  }
}

function describeOne(
  path: string,
  { memory }: RingObject,
  participant: Participant,
  edges: ShmEdges,
): ListedParticipant {
  const mark = seatMark(participant.slot, participant.generation);
  const lanes: number[] = [];
  for (let lane = 0; lane < memory.geometry.laneCount; lane += 1)
    if (laneOwner(memory, lane) === mark) lanes.push(lane);
  return {
    identity: identityOf(participant),
    isAlive: !isDead(path, participant, edges),
    lanes,
    isConsumer: consumerSeatsOf(memory, mark).length > 0,
  };
}
