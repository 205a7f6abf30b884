// A mailbox as listings show it, read without disturbing anybody; and removing one, whatever state it is in. Which mailboxes there
// are is the places' business.

import { existsSync } from 'node:fs';
import { NaruError } from '../errors/index.ts';
import { takeCensus } from '../ring/census.ts';
import { CLOSED, HEADER } from '../ring/layout.ts';
import { headerWord } from '../ring/memory.ts';
import {
  consumerSeatsOf,
  identityOf,
  laneOwner,
  listParticipants,
  type Participant,
  seatMark,
  type SeatTable,
} from '../ring/participants.ts';
import { closeFor, type OwnedTable } from '../ring/recovery.ts';
import type { RingEdges } from './edges.ts';
import { isDead } from './fifo.ts';
import { lockFolder, removeEmptyFolder, removeMailboxFiles } from './folder.ts';
import { openObject, type RingObject } from './object.ts';
import { type MappedObject, releaseObject } from './object-file.ts';
import { isClosed } from './participation.ts';
import { ringEverybody } from './seat.ts';
import type { Site } from './site.ts';

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
export interface ListedRing {
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

/** Maps an object of some kind. */
export type ObjectOpener = (
  site: Site,
  edges: RingEdges,
) =>
  | MappedObject<SeatTable & { readonly geometry: { readonly fileBytes: number } }>
  | 'absent'
  | 'unfinished';

/**
 * Removes a mailbox, or what else is there, whatever state it is in: also one too damaged to be opened. Those who use it get NARU_CLOSED.
 *
 * @param open  maps it, so that its users can be told
 * @returns false when there is none
 * @throws NARU_DENIED, NARU_TIMEOUT (its lock is held by a stopped process)
 */
export async function removeObject(
  site: Site,
  edges: RingEdges,
  open: ObjectOpener = openObject,
): Promise<boolean> {
  const mayMakeFolder = site.isBeside && existsSync(site.ring);
  const late = new NaruError('NARU_TIMEOUT', `${site.ring}: a stopped process holds its lock`, {
    place: site.place,
    mailbox: site.ring,
  });
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(late), LOCK_WAIT_MS);
  const lock = await lockFolder(site, mayMakeFolder, patience.signal, edges).finally(() =>
    clearTimeout(timer),
  );
  if (lock === 'absent') return removeEmptyFolder(site);
  try {
    tellClosed(site, edges, open);
    removeMailboxFiles(site, edges.failpoint);
    return true;
  } finally {
    lock.release();
  }
}

function tellClosed(site: Site, edges: RingEdges, open: ObjectOpener): void {
  let object: ReturnType<ObjectOpener>;
  try {
    object = open(site, edges);
  } catch {
    // Too damaged to be told through it: its users see that the file is gone.
    return;
  }
  if (typeof object === 'string') return;
  closeFor(object.memory, CLOSED.closed);
  ringEverybody(site.folder, object.memory, edges);
  releaseObject(object, edges);
}

/** Whether nobody who could use it lives any more. */
export function isDeadObject(site: Site, memory: OwnedTable, edges: RingEdges): boolean {
  const { owner } = memory.geometry;
  const living = listParticipants(memory).filter((one) => !isDead(site.folder, one, edges));
  if (isClosed(memory)) return living.length === 0;
  if (owner === 'system') return false;
  if (owner === 'users') return living.length === 0;
  const creator = Atomics.load(memory.words, headerWord(HEADER.creator));
  return !living.some((one) => seatMark(one.slot, one.generation) === creator);
}

/** Reads only. */
export function describeRing(site: Site, edges: RingEdges): ListedRing {
  const nothing = {
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
    object = openObject(site, edges, true);
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
      state: isDeadObject(site, memory, edges) ? 'leftover' : 'live',
      owner: geometry.owner,
      relation: geometry.relation,
      createdMs: geometry.createdMs,
      depth,
      depthBytes,
      unsettled,
      capacityBytes: geometry.laneBytes,
      participants: listParticipants(memory).map((one) => describeOne(site, object, one, edges)),
    };
  } finally {
    releaseObject(object, edges);
  }
}

function describeOne(
  site: Site,
  { memory }: RingObject,
  participant: Participant,
  edges: RingEdges,
): ListedParticipant {
  const mark = seatMark(participant.slot, participant.generation);
  const lanes: number[] = [];
  for (let lane = 0; lane < memory.geometry.laneCount; lane += 1)
    if (laneOwner(memory, lane) === mark) lanes.push(lane);
  return {
    identity: identityOf(participant),
    isAlive: !isDead(site.folder, participant, edges),
    lanes,
    isConsumer: consumerSeatsOf(memory, mark).length > 0,
  };
}
