// What happens to the locks and the seat of a participant that is proved dead, or leaves: locks become orphans, so that whoever takes
// one next is told; the seat comes last. Every step may be the last one before a SIGKILL: whoever comes next does all of it again.

import { CLOSED, SEAT } from '../ring/layout.ts';
import { FREE, orphanLock } from '../ring/lock-word.ts';
import { headerWord } from '../ring/memory.ts';
import {
  freeSlot,
  listParticipants,
  noteMembership,
  type Participant,
  seatMark,
  startLeaving,
  stateOf,
} from '../ring/participants.ts';
import { closeFor, isCreator } from '../ring/recovery.ts';
import { SHARD, SHARD_BYTES } from '../table/layout.ts';
import type { StateMemory } from './header.ts';
import { STATE_HEADER } from './layout.ts';

/** What recovery needs from outside. */
export interface StateRecovery {
  /** True only on proof. */
  isDead(participant: Participant): boolean;
  /** Removes the participant's proof of life. */
  removeProof(slot: number): void;
  /** Wakes whoever waits for the lock. */
  wake(): void;
  readonly failpoint: (name: string) => void;
}

/** Frees the seats of the dead; under the object's lock. @param self  a slot that is not looked at; -1 for none */
export function recoverDead(memory: StateMemory, self: number, edges: StateRecovery): void {
  for (const one of listParticipants(memory)) {
    if (one.slot === self || (stateOf(memory, one.slot) !== SEAT.leaving && !edges.isDead(one))) continue;
    edges.failpoint('recover:proved-dead');
    if (isCreator(memory, one)) closeFor(memory, CLOSED.ownerGone);
    vacate(memory, one, true, edges);
  }
}

/** Gives back everything that a seat has, and the seat last. @param isDeath  whoever has a lock next is told */
export function vacate(
  memory: StateMemory,
  participant: Participant,
  isDeath: boolean,
  edges: Omit<StateRecovery, 'isDead'>,
): void {
  const { words } = memory;
  const { slot } = participant;
  // Once its proof of life is gone nothing could prove the death again: the slot says so itself before.
  startLeaving(memory, slot);
  edges.failpoint('recover:leaving');
  const mark = seatMark(slot, participant.generation);
  for (const at of lockWords(memory))
    if (isDeath) orphanLock(words, at, mark);
    else Atomics.compareExchange(words, at, mark, FREE);
  edges.failpoint('recover:locks-given');
  edges.removeProof(slot);
  edges.failpoint('recover:proof-removed');
  noteMembership(memory);
  edges.wake();
  freeSlot(memory, slot);
}

/** Word indexes of every lock of an object. */
function lockWords({ geometry }: StateMemory): number[] {
  const found = [headerWord(STATE_HEADER.lock), headerWord(STATE_HEADER.writer)];
  const { table } = geometry;
  if (table !== undefined)
    for (let shard = 0; shard < table.shards; shard += 1)
      found.push(table.shardsAt + (shard * SHARD_BYTES) / 4 + SHARD.lock);
  return found;
}
