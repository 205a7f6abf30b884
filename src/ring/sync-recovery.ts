// What happens to the seats of a lock, semaphore or event whose owners are proved dead, or leave: what they have goes back, and those who
// wait are rung. Always under the object's lock. Every step may be the last one before a SIGKILL: the slot is freed at the very end, so
// whoever comes next finds it still taken and does all of it again.

import { CLOSED, SEAT } from './layout.ts';
import { FREE, orphanLock } from './lock-word.ts';
import {
  freeSlot,
  listParticipants,
  noteMembership,
  type Participant,
  seatMark,
  startLeaving,
  stateOf,
} from './participants.ts';
import { returnPermits } from './permits.ts';
import { closeFor, isCreator, type RecoveryEdges } from './recovery.ts';
import { permitWords, SYNC_WORDS, type SyncMemory } from './sync-memory.ts';
import { removeWaiting } from './wait-list.ts';

export type SyncRecoveryEdges = Pick<RecoveryEdges, 'isDead' | 'removeBell' | 'ringAll' | 'failpoint'>;

/**
 * Frees the seats of every dead participant.
 *
 * @param self  our own slot, which is not looked at; -1 for none
 * @returns who was dead
 */
export function recoverDeadHolders(
  memory: SyncMemory,
  self: number,
  edges: SyncRecoveryEdges,
): Participant[] {
  const gone = listParticipants(memory).filter(
    (one) => one.slot !== self && (stateOf(memory, one.slot) === SEAT.leaving || edges.isDead(one)),
  );
  if (gone.length > 0) edges.failpoint('recover:proved-dead');
  for (const participant of gone) {
    if (isCreator(memory, participant)) closeFor(memory, CLOSED.ownerGone);
    vacateSeat(memory, participant, true, edges);
  }
  return gone;
}

/** Gives back everything that a seat has, and the seat last. @param isDeath  whoever has it next is told */
export function vacateSeat(
  memory: SyncMemory,
  participant: Participant,
  isDeath: boolean,
  edges: Omit<SyncRecoveryEdges, 'isDead'>,
): void {
  const { words, geometry } = memory;
  const { slot } = participant;
  // Once its FIFO is gone nothing could prove the death again: the slot says so itself before.
  startLeaving(memory, slot);
  edges.failpoint('recover:leaving');
  if (geometry.type === 'lock') giveLockBack(words, seatMark(slot, participant.generation), isDeath);
  if (geometry.type === 'semaphore') returnPermits(permitWords(memory), slot, isDeath, edges.failpoint);
  edges.failpoint('recover:given-back');
  removeWaiting(words, SYNC_WORDS.waiting, slot);
  edges.removeBell(slot);
  edges.failpoint('recover:bell-removed');
  noteMembership(memory);
  // Before the slot is free: who dies in between leaves it to the next, who rings again.
  edges.ringAll();
  edges.failpoint('recover:rung');
  freeSlot(memory, slot);
}

function giveLockBack(words: Int32Array, mark: number, isDeath: boolean): void {
  if (isDeath) orphanLock(words, SYNC_WORDS.value, mark);
  else Atomics.compareExchange(words, SYNC_WORDS.value, mark, FREE);
}
