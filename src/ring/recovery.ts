// What happens to the seats and the claims of a participant that is proved dead. Always under the mailbox's lock. Every step may
// be the last one before a SIGKILL: the slot is freed at the very end, so whoever comes next finds it still taken and does all of
// it again.

import { LaneState, ownerBits } from './lane-state.ts';
import { CLOSED, HEADER, RECOVERER, SEAT } from './layout.ts';
import { headerWord, type RingMemory, type RingOwner } from './memory.ts';
import {
  consumerSeatsOf,
  freeConsumerSeat,
  freeSlot,
  listLanes,
  listParticipants,
  noteMembership,
  type Participant,
  producerSeat,
  seatMark,
  type SeatMark,
  type SeatTable,
  setProducerSeat,
  startLeaving,
  stateOf,
} from './participants.ts';

/** How often recovery tries to hold the lanes that somebody alive holds for an instant. */
const HOLD_ATTEMPTS = 1_000;
/** And how long at most, all of them together: on a busy machine each attempt may cost a turn of the scheduler. */
const HOLD_MS = 20;

/** What recovery needs from outside. */
export interface RecoveryEdges {
  /** True only on proof: the participant's lock could be had, or its FIFO has no reader any more. */
  isDead(participant: Participant): boolean;
  /** Removes the participant's FIFO. */
  removeBell(slot: number): void;
  /** Rings everybody: messages came back, seats came free. */
  ringAll(): void;
  /** Lets others run, between two attempts. */
  yieldThread(): void;
  /** Milliseconds from any moment on. */
  now(): number;
  readonly failpoint: (name: string) => void;
}

/** A participants table in an object that goes with its users, or with its creator. */
export type OwnedTable = SeatTable & { readonly geometry: { readonly owner: RingOwner } };

/** A participant whose seats were given back. */
export interface Recovered {
  readonly participant: Participant;
  readonly wasConsumer: boolean;
}

/**
 * Frees the seats of every dead participant. One whose claims lie in a lane that a stopped process holds keeps its slot, in
 * the state `leaving`, until the next recovery. When the header's `membership` has changed by it, the others are to be rung.
 *
 * @param self  our own slot, which is not looked at; -1 for none
 */
export function recoverDead(memory: RingMemory, self: number, edges: RecoveryEdges): Recovered[] {
  const gone = listParticipants(memory).filter(
    (one) => one.slot !== self && (stateOf(memory, one.slot) === SEAT.leaving || edges.isDead(one)),
  );
  if (gone.length === 0) return [];
  edges.failpoint('recover:proved-dead');
  const marks = new Set(gone.map((one) => seatMark(one.slot, one.generation)));
  const recovered: Recovered[] = [];
  for (const participant of gone) {
    const wasConsumer =
      consumerSeatsOf(memory, seatMark(participant.slot, participant.generation)).length > 0;
    if (isCreator(memory, participant)) closeFor(memory, CLOSED.ownerGone);
    if (vacate(memory, participant, marks, edges)) recovered.push({ participant, wasConsumer });
  }
  return recovered;
}

/**
 * Gives back everything a participant held, its slot last. For the dead, and for whoever leaves.
 *
 * @param gone  marks of all who are proved dead or leave: what they hold may be taken over
 * @returns false when a lane is held by somebody who is alive: the slot stays in the state `leaving`
 */
export function vacate(
  memory: RingMemory,
  participant: Participant,
  gone: ReadonlySet<SeatMark>,
  edges: Omit<RecoveryEdges, 'isDead'>,
): boolean {
  const mark = seatMark(participant.slot, participant.generation);
  // Once its FIFO is gone nothing could prove the death again: the slot says so itself before.
  startLeaving(memory, participant.slot);
  edges.failpoint('recover:leaving');
  for (let seat = 0; seat < memory.geometry.maxProducers; seat += 1)
    if (producerSeat(memory, seat) === mark) setProducerSeat(memory, seat, 0);
  edges.failpoint('recover:lanes-orphaned');
  const { isWhole, count } =
    memory.geometry.mode === 'competing'
      ? returnClaims(memory, participant.slot, gone, edges)
      : { isWhole: true, count: 0 };
  // Also when some claims stay for later: who owns them is in the records, not in the seat.
  const seats = consumerSeatsOf(memory, mark);
  for (const seat of seats) freeConsumerSeat(memory, seat);
  edges.failpoint('recover:consumer-freed');
  edges.removeBell(participant.slot);
  edges.failpoint('recover:bell-removed');
  // What came back is news for others even when not all of it did; trying in vain once more is none.
  if (isWhole || count + seats.length > 0) {
    noteMembership(memory);
    // Before the slot is free: who dies in between leaves it to the next, who rings again.
    edges.ringAll();
    edges.failpoint('recover:rung');
  }
  if (isWhole) freeSlot(memory, participant.slot);
  return isWhole;
}

/** The free lanes come first: a holder that is stopped keeps nobody waiting for what lies in other lanes. */
function returnClaims(
  memory: RingMemory,
  slot: number,
  gone: ReadonlySet<SeatMark>,
  edges: Omit<RecoveryEdges, 'isDead'>,
): { isWhole: boolean; count: number } {
  let busy = listLanes(memory).map((lane) => new LaneState(memory, lane, RECOVERER, edges.failpoint));
  let count = 0;
  const end = edges.now() + HOLD_MS;
  for (let attempt = 0; attempt < HOLD_ATTEMPTS; attempt += 1) {
    busy = busy.filter((state) => {
      if (!holdForRecovery(state, gone)) return true;
      edges.failpoint('recover:held');
      count += state.returnAllOf(ownerBits(slot));
      state.letGo();
      edges.failpoint('recover:let-go');
      return false;
    });
    if (busy.length === 0 || edges.now() >= end) break;
    edges.yieldThread();
  }
  return { isWhole: busy.length === 0, count };
}

/** A lane held by the dead is taken over; the living hold one for an instant, unless they are stopped. */
function holdForRecovery(state: LaneState, gone: ReadonlySet<SeatMark>): boolean {
  const { holder } = state;
  return holder === 0 ? state.tryHold() : isGone(holder, gone) && state.takeOver(holder);
}

/** A recoverer had the mailbox's lock, which is ours now. */
function isGone(holder: SeatMark, gone: ReadonlySet<SeatMark>): boolean {
  return holder === RECOVERER || gone.has(holder);
}

/** True when this participant made a mailbox that goes with its creator. */
export function isCreator(memory: OwnedTable, participant: Participant): boolean {
  return (
    memory.geometry.owner === 'process' &&
    Atomics.load(memory.words, headerWord(HEADER.creator)) ===
      seatMark(participant.slot, participant.generation)
  );
}

/** Closes the mailbox for everybody; the first reason stays. */
export function closeFor(memory: Pick<SeatTable, 'words'>, reason: number): void {
  Atomics.compareExchange(memory.words, headerWord(HEADER.closed), CLOSED.open, reason);
}

/** Whether the creator of an owner 'process' mailbox, or for 'users' anybody at all, is still there. Dead ones must be recovered first. */
export function isAbandoned(memory: OwnedTable): boolean {
  const { owner } = memory.geometry;
  if (owner === 'system') return false;
  if (owner === 'users') return listParticipants(memory).length === 0;
  const creator = Atomics.load(memory.words, headerWord(HEADER.creator));
  return !listParticipants(memory).some((one) => seatMark(one.slot, one.generation) === creator);
}
