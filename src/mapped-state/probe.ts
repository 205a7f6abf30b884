// Whoever waits for a lock of an object asks whether its holder lives. What a whole seat had is given back by recovery.ts.

import { isDead } from '../mapped-ring/fifo.ts';
import { SEAT } from '../ring/layout.ts';
import { FREE, ORPHANED, orphanLock } from '../ring/lock-word.ts';
import { participantAt, seatMark, slotOf, stateOf } from '../ring/participants.ts';
import type { StatePart } from './attach.ts';

/**
 * Takes one lock from its holder if that one is dead. Needs no lock: the mark is read before the proof.
 * @param at  word index of the lock  @returns whether the lock may be had now
 */
export function probeLock({ object: { memory }, site, edges }: StatePart, at: number): boolean {
  const mark = Atomics.load(memory.words, at);
  if (mark === FREE || mark === ORPHANED) return true;
  const slot = slotOf(mark);
  if (slot < 0) return false;
  const participant = participantAt(memory, slot);
  if (seatMark(slot, participant.generation) !== mark) return false;
  if (stateOf(memory, slot) !== SEAT.leaving && !isDead(site.folder, participant, edges)) return false;
  edges.failpoint('probe:proved-dead');
  return orphanLock(memory.words, at, mark);
}
