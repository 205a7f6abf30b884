// The participants table and the seats: who holds which slot, lane and consumer's seat. Claiming and freeing seats of the
// dead happens under the mailbox's lock, which is the caller's business; leaving needs no lock.

import * as L from './layout.ts';
import { headerWord, laneWord, participantWord, type RingMemory } from './memory.ts';

/** A participant as the table shows it. */
export interface Participant {
  readonly slot: number;
  readonly generation: number;
  readonly pid: number;
  readonly start: number;
  readonly thread: number;
  readonly handle: number;
}

/** Who takes a slot. */
export type ParticipantName = Pick<Participant, 'pid' | 'start' | 'thread' | 'handle'>;

/** A slot at one time of its life: what lanes and the consumer's seat refer to. 0 means nobody. */
export type SeatMark = number;

const SLOT_BITS = 8;
const GENERATION_MASK = 0xffffff;

export function seatMark(slot: number, generation: number): SeatMark {
  return ((generation & GENERATION_MASK) << SLOT_BITS) | (slot + 1);
}

/** @returns the slot of a seat mark; -1 for nobody */
export function slotOf(mark: SeatMark): number {
  return (mark & ((1 << SLOT_BITS) - 1)) - 1;
}

/** `<pid>.<start>.<thread>/<handle>` */
export function identityOf(participant: ParticipantName): string {
  return `${participant.pid}.${participant.start}.${participant.thread}/${participant.handle}`;
}

/** Everybody in the table, dead or alive. */
export function listParticipants(memory: RingMemory): Participant[] {
  const list: Participant[] = [];
  for (let slot = 0; slot < memory.geometry.participantCount; slot += 1)
    if (stateOf(memory, slot) !== L.SEAT.free) list.push(participantAt(memory, slot));
  return list;
}

export function participantAt(memory: RingMemory, slot: number): Participant {
  const at = (field: number): number => Atomics.load(memory.words, participantWord(slot, field)) >>> 0;
  return {
    slot,
    generation: at(L.PARTICIPANT.generation),
    pid: at(L.PARTICIPANT.pid),
    start: at(L.PARTICIPANT.startLow) + at(L.PARTICIPANT.startHigh) * 2 ** 32,
    thread: at(L.PARTICIPANT.thread),
    handle: at(L.PARTICIPANT.handle),
  };
}

export function stateOf(memory: RingMemory, slot: number): number {
  return Atomics.load(memory.words, participantWord(slot, L.PARTICIPANT.state));
}

/** First free slot, or -1. */
export function findFreeSlot(memory: RingMemory): number {
  for (let slot = 0; slot < memory.geometry.participantCount; slot += 1)
    if (stateOf(memory, slot) === L.SEAT.free) return slot;
  return -1;
}

/** Fills a free slot; its proof of life must be in place. @returns its new generation */
export function fillSlot(memory: RingMemory, slot: number, name: ParticipantName): number {
  const { words } = memory;
  const put = (field: number, value: number): void => {
    Atomics.store(words, participantWord(slot, field), value);
  };
  const generation =
    (Atomics.load(words, participantWord(slot, L.PARTICIPANT.generation)) + 1) & GENERATION_MASK;
  put(L.PARTICIPANT.generation, generation);
  put(L.PARTICIPANT.pid, name.pid);
  put(L.PARTICIPANT.startLow, (name.start % 2 ** 32) | 0);
  put(L.PARTICIPANT.startHigh, Math.floor(name.start / 2 ** 32));
  put(L.PARTICIPANT.thread, name.thread);
  put(L.PARTICIPANT.handle, name.handle);
  put(L.PARTICIPANT.state, L.SEAT.taken);
  return generation;
}

/** From here on the slot's owner counts as gone, whether it died or leaves: its seats are about to be given back. */
export function startLeaving(memory: RingMemory, slot: number): void {
  Atomics.store(memory.words, participantWord(slot, L.PARTICIPANT.state), L.SEAT.leaving);
}

/** Makes a slot available again. */
export function freeSlot(memory: RingMemory, slot: number): void {
  Atomics.store(memory.words, participantWord(slot, L.PARTICIPANT.state), L.SEAT.free);
}

/** Who produces into a lane. */
export function laneOwner(memory: RingMemory, lane: number): SeatMark {
  return Atomics.load(memory.words, laneWord(lane, L.LANE.owner));
}

export function setLaneOwner(memory: RingMemory, lane: number, mark: SeatMark): void {
  Atomics.store(memory.words, laneWord(lane, L.LANE.owner), mark);
}

/** Who consumes. */
export function consumerSeat(memory: RingMemory): SeatMark {
  return Atomics.load(memory.words, headerWord(L.HEADER.consumer));
}

export function setConsumerSeat(memory: RingMemory, mark: SeatMark): void {
  Atomics.store(memory.words, headerWord(L.HEADER.consumer), mark);
}

/** How many lanes and consumer seats are taken at present. */
export function countSeats(memory: RingMemory): { producers: number; consumers: number } {
  let producers = 0;
  for (let lane = 0; lane < memory.geometry.laneCount; lane += 1)
    if (laneOwner(memory, lane) !== 0) producers += 1;
  return { producers, consumers: consumerSeat(memory) === 0 ? 0 : 1 };
}

/** Counts every coming and going, so that whoever is rung can tell whether that was it. */
export function noteMembership(memory: RingMemory): void {
  Atomics.add(memory.words, headerWord(L.HEADER.membership), 1);
}

/**
 * Chooses a lane for a new producer. A lane that others left with unread messages is taken before an empty one while half
 * of it is free: producers that come one after the other then keep their order, and any number of them fits.
 *
 * @returns its index; -1 when every usable lane has an owner
 */
export function chooseLane(memory: RingMemory): number {
  const { words, geometry } = memory;
  const units = geometry.laneBytes / L.UNIT_BYTES;
  let empty = -1;
  let roomiest = -1;
  let leastUsed = units + 1;
  for (let lane = 0; lane < geometry.laneCount; lane += 1) {
    if (laneOwner(memory, lane) !== 0) continue;
    if (Atomics.load(words, laneWord(lane, L.LANE.fault)) !== 0) continue;
    const used =
      (Atomics.load(words, laneWord(lane, L.LANE.tail)) - Atomics.load(words, laneWord(lane, L.LANE.head))) |
      0;
    if (used < 0 || used > units) continue;
    if (used > 0 && used <= units / 2) return lane;
    if (used === 0 && empty < 0) empty = lane;
    if (used < leastUsed) {
      leastUsed = used;
      roomiest = lane;
    }
  }
  return empty >= 0 ? empty : roomiest;
}
