// Taking the seats of a handle's ends and leaving the mailbox, all under its lock; and recovering the seats of the dead.

import { existsSync } from 'node:fs';
import type { NaruError } from '../errors/index.ts';
import { CLOSED, SEAT } from '../ring/layout.ts';
import { takeCensus } from '../ring/census.ts';
import {
  chooseProducerSeat,
  countSeats,
  findConsumerSeat,
  listParticipants,
  noteMembership,
  participantAt,
  setProducerSeat,
  stateOf,
  takeConsumerSeat,
} from '../ring/participants.ts';
import { closeFor, isAbandoned, isCreator, recoverDead, type Recovered, vacate } from '../ring/recovery.ts';
import { isDead } from './fifo.ts';
import { type HeldLock, lockFolder, removeBeside, removeMailboxFiles, tryLockFolder } from './folder.ts';
import { provideLane } from './object.ts';
import { objectState } from './object-file.ts';
import {
  closedError,
  isClosed,
  lostError,
  ownMark,
  partError,
  type Participation,
  ringAll,
} from './participation.ts';
import { recoveryEdges } from './seat.ts';
import type { TakenSeat } from './receiver.ts';
import { subscribe } from './subscription.ts';

/** The lock is only ever held for a few system calls; a stopped holder must not hang close() for ever. */
const LOCK_WAIT_MS = 5_000;

/** What happened to others while a seat was taken. */
export interface SeatTaken {
  readonly recovered: readonly Recovered[];
}

/** @throws NARU_LIMIT (no seat, no memory), NARU_CLOSED, NARU_PEER_GONE @returns the seat; its lane of level 0 has its memory */
export async function claimProducerSeat(part: Participation): Promise<SeatTaken & { seat: number }> {
  return underLock(part, () => {
    const { memory, edges } = part;
    const recovered = recover(part);
    const { producers } = countSeats(memory);
    if (producers >= memory.geometry.maxProducers)
      throw limit(part, 'producer', producers, memory.geometry.maxProducers);
    const seat = chooseProducerSeat(memory);
    if (seat < 0) throw limit(part, 'undamaged lane', producers, memory.geometry.maxProducers);
    provideLane(part.object, seat, 0, edges);
    setProducerSeat(memory, seat, ownMark(part));
    edges.failpoint('lane:owned');
    announce(part);
    return { seat, recovered };
  });
}

/**
 * @param from  where a consumer of a topic begins
 * @throws NARU_LIMIT (all seats are taken), NARU_CLOSED, NARU_PEER_GONE
 */
export async function claimConsumerSeat(
  part: Participation,
  from: 'now' | 'start',
): Promise<SeatTaken & TakenSeat> {
  return underLock(part, () => {
    const { memory, edges } = part;
    const recovered = recover(part);
    const seat = findConsumerSeat(memory);
    const { maxConsumers, mode } = memory.geometry;
    if (seat < 0) throw limit(part, 'consumer', maxConsumers, maxConsumers);
    const mark = ownMark(part);
    const starts = mode === 'topic' ? subscribe(memory, seat, mark, from) : [];
    if (mode !== 'topic') takeConsumerSeat(memory, seat, mark);
    edges.failpoint('consumer:seated');
    announce(part);
    return { seat, starts, recovered };
  });
}

/** Whether any other participant is dead: a look without the lock, to be followed by recoverAll(). */
export function hasDead(part: Participation, slots: Iterable<number>): boolean {
  for (const slot of slots) {
    if (slot === part.slot) continue;
    // Leaving takes an instant: who is seen at it died there.
    if (stateOf(part.memory, slot) === SEAT.leaving) return true;
    if (isDead(part.site.folder, participantAt(part.memory, slot), part.edges)) return true;
  }
  return false;
}

/** Frees the seats of the dead. */
export async function recoverAll(part: Participation): Promise<readonly Recovered[]> {
  return underLock(part, () => recover(part));
}

/**
 * Leaves the mailbox for good; with the last user, or the owner, it goes.
 * @returns messages of this handle that nobody will receive
 */
export async function leave(part: Participation): Promise<number> {
  if (part.health.error !== undefined) return 0;
  try {
    const lock = await lockSeats(part);
    if (lock === 'absent') return 0;
    try {
      return leaveLocked(part);
    } finally {
      lock.release();
    }
  } catch {
    // The lock could not be had: with its FIFO closed this participant counts as dead, and the next one cleans up.
    return 0;
  }
}

/** The same at the end of the process, where nothing can wait. */
export function leaveNow(part: Participation): void {
  if (part.health.error !== undefined) return;
  try {
    const lock = tryLockFolder(part.site, false, part.edges);
    if (typeof lock === 'string') return;
    try {
      leaveLocked(part);
    } finally {
      lock.release();
    }
  } catch {
    // The folder is closed to us, and nobody listens to errors any more: others see a dead participant.
  }
}

/** Removes the mailbox for everybody. */
export async function destroy(part: Participation): Promise<void> {
  const lock = await lockSeats(part);
  if (lock === 'absent') return;
  try {
    if (objectState(part.object, part.edges) !== 'ok') return;
    closeFor(part.memory, CLOSED.closed);
    ringAll(part, part.slot);
    removeMailboxFiles(part.site, part.edges.failpoint);
  } finally {
    lock.release();
  }
}

function leaveLocked(part: Participation): number {
  if (objectState(part.object, part.edges) !== 'ok') {
    // Made again, perhaps: then nothing in this folder is ours any more.
    if (part.site.isBeside && !existsSync(part.site.ring)) removeBeside(part.site, part.edges.failpoint);
    return 0;
  }
  const { memory, slot, edges } = part;
  const self = participantAt(memory, slot);
  if (isCreator(memory, self)) closeFor(memory, CLOSED.closed);
  // Rings everybody.
  vacate(memory, self, new Set([ownMark(part)]), recoveryEdges(part.site, memory, edges));
  recover(part);
  const isOver = isClosed(memory) || isAbandoned(memory);
  const undelivered = isOver ? (takeCensus(memory).bySender.get(part.identity) ?? 0) : 0;
  if (isOver) {
    closeFor(memory, CLOSED.closed);
    ringAll(part, slot);
    removeMailboxFiles(part.site, edges.failpoint);
  } else if (part.site.isBeside && listParticipants(memory).length === 0)
    removeBeside(part.site, edges.failpoint);
  return undelivered;
}

function recover(part: Participation): readonly Recovered[] {
  return recoverDead(part.memory, part.slot, recoveryEdges(part.site, part.memory, part.edges));
}

function announce(part: Participation): void {
  noteMembership(part.memory);
  ringAll(part, part.slot);
}

function lockSeats({ site, edges }: Participation): Promise<HeldLock | 'absent'> {
  return lockFolder(site, false, AbortSignal.timeout(LOCK_WAIT_MS), edges);
}

async function underLock<T>(part: Participation, action: () => T): Promise<T> {
  const lock = await lockSeats(part);
  if (lock === 'absent') throw closedError(part) ?? lostError(part, 'removed');
  try {
    if (part.health.error !== undefined) throw part.health.error;
    const state = objectState(part.object, part.edges);
    if (state !== 'ok') throw lostError(part, state);
    const closed = closedError(part);
    if (closed !== undefined) throw closed;
    return action();
  } finally {
    lock.release();
  }
}

function limit(part: Participation, what: string, are: number, max: number): NaruError {
  const { relation } = part.memory.geometry;
  const why = `${are} taken, relation ${relation} allows ${max}`;
  return partError(part, 'NARU_LIMIT', `there is no free ${what}'s seat (${why}); close or disconnect one`);
}
