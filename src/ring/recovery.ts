// What happens to the seats of a participant that is proved dead. Always under the mailbox's lock. Every step may be the
// last one before a SIGKILL: the slot is freed at the very end, so whoever comes next finds it still taken and does all of it again.

import { CLOSED, HEADER, SEAT } from './layout.ts';
import { headerWord, type RingMemory } from './memory.ts';
import {
  consumerSeat,
  freeSlot,
  laneOwner,
  listParticipants,
  noteMembership,
  type Participant,
  seatMark,
  setConsumerSeat,
  setLaneOwner,
  startLeaving,
  stateOf,
} from './participants.ts';

/** What recovery needs from outside. */
export interface RecoveryEdges {
  /** True only on proof: the participant's lock could be had, or its FIFO has no reader any more. */
  isDead(participant: Participant): boolean;
  /** Removes the participant's FIFO. */
  removeBell(slot: number): void;
  readonly failpoint: (name: string) => void;
}

/** A participant whose seats were given back. */
export interface Recovered {
  readonly participant: Participant;
  readonly wasConsumer: boolean;
}

/**
 * Frees the seats of every dead participant.
 *
 * @param self  our own slot, which is not looked at; -1 for none
 */
export function recoverDead(memory: RingMemory, self: number, edges: RecoveryEdges): Recovered[] {
  const recovered: Recovered[] = [];
  for (const participant of listParticipants(memory)) {
    if (participant.slot === self) continue;
    const isLeaving = stateOf(memory, participant.slot) === SEAT.leaving;
    if (!isLeaving && !edges.isDead(participant)) continue;
    const wasConsumer = consumerSeat(memory) === seatMark(participant.slot, participant.generation);
    edges.failpoint('recover:proved-dead');
    if (isCreator(memory, participant)) closeFor(memory, CLOSED.ownerGone);
    vacate(memory, participant, edges);
    recovered.push({ participant, wasConsumer });
  }
  return recovered;
}

/** Gives back everything a participant held, its slot last. For the dead, and for whoever leaves. */
export function vacate(
  memory: RingMemory,
  participant: Participant,
  edges: Pick<RecoveryEdges, 'removeBell' | 'failpoint'>,
): void {
  // Once its FIFO is gone nothing could prove the death again: the slot says so itself before.
  startLeaving(memory, participant.slot);
  edges.failpoint('recover:leaving');
  releaseSeats(memory, participant, edges.failpoint);
  edges.removeBell(participant.slot);
  edges.failpoint('recover:bell-removed');
  freeSlot(memory, participant.slot);
  noteMembership(memory);
}

function releaseSeats(memory: RingMemory, participant: Participant, failpoint: (name: string) => void): void {
  const mark = seatMark(participant.slot, participant.generation);
  for (let lane = 0; lane < memory.geometry.laneCount; lane += 1)
    if (laneOwner(memory, lane) === mark) setLaneOwner(memory, lane, 0);
  failpoint('recover:lanes-orphaned');
  if (consumerSeat(memory) === mark) setConsumerSeat(memory, 0);
  failpoint('recover:consumer-freed');
}

/** True when this participant made a mailbox that goes with its creator. */
export function isCreator(memory: RingMemory, participant: Participant): boolean {
  return (
    memory.geometry.owner === 'process' &&
    Atomics.load(memory.words, headerWord(HEADER.creator)) ===
      seatMark(participant.slot, participant.generation)
  );
}

/** Closes the mailbox for everybody; the first reason stays. */
export function closeFor(memory: RingMemory, reason: number): void {
  Atomics.compareExchange(memory.words, headerWord(HEADER.closed), CLOSED.open, reason);
}

/** Whether the creator of an owner 'process' mailbox, or for 'users' anybody at all, is still there. Dead ones must be recovered first. */
export function isAbandoned(memory: RingMemory): boolean {
  const { owner } = memory.geometry;
  if (owner === 'system') return false;
  if (owner === 'users') return listParticipants(memory).length === 0;
  const creator = Atomics.load(memory.words, headerWord(HEADER.creator));
  return !listParticipants(memory).some((one) => seatMark(one.slot, one.generation) === creator);
}
