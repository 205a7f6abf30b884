// The participants table and the seats: who holds which slot, lane and consumer's seat. Claiming and freeing seats of the
// dead happens under the mailbox's lock, which is the caller's business; leaving needs no lock.

import * as L from './layout.ts';
import { headerWord, laneWord, participantWord, type RingMemory } from './memory.ts';
import { distance } from './record.ts';

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

/** Mapped bytes that hold a participants table: a mailbox's, or those of anything else that has seats. */
export interface SeatTable {
  readonly words: Int32Array;
  readonly geometry: { readonly participantCount: number };
}

/** A slot at one time of its life: what lanes and the consumer's seat refer to. 0 means nobody. */
export type SeatMark = number;

const SLOT_BITS = 8;
const GENERATION_MASK = 0xffffff;

export function seatMark(slot: number, generation: number): SeatMark {
  return ((generation & GENERATION_MASK) << SLOT_BITS) | (slot + 1);
}

/** @returns the slot of a seat mark; -1 for nobody, and for a mark that no table has room for */
export function slotOf(mark: SeatMark): number {
  const slot = (mark & ((1 << SLOT_BITS) - 1)) - 1;
  return slot < L.PARTICIPANTS ? slot : -1;
}

/** `<pid>.<start>.<thread>/<handle>` */
export function identityOf(participant: ParticipantName): string {
  return `${participant.pid}.${participant.start}.${participant.thread}/${participant.handle}`;
}

/** Everybody in the table, dead or alive. */
export function listParticipants(memory: SeatTable): Participant[] {
  const list: Participant[] = [];
  for (let slot = 0; slot < memory.geometry.participantCount; slot += 1)
    if (stateOf(memory, slot) !== L.SEAT.free) list.push(participantAt(memory, slot));
  return list;
}

export function participantAt(memory: SeatTable, slot: number): Participant {
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

export function stateOf(memory: SeatTable, slot: number): number {
  return Atomics.load(memory.words, participantWord(slot, L.PARTICIPANT.state));
}

/** First free slot, or -1. */
export function findFreeSlot(memory: SeatTable): number {
  for (let slot = 0; slot < memory.geometry.participantCount; slot += 1)
    if (stateOf(memory, slot) === L.SEAT.free) return slot;
  return -1;
}

/** Fills a free slot; its proof of life must be in place. @returns its new generation */
export function fillSlot(memory: SeatTable, slot: number, name: ParticipantName): number {
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
export function startLeaving(memory: SeatTable, slot: number): void {
  Atomics.store(memory.words, participantWord(slot, L.PARTICIPANT.state), L.SEAT.leaving);
}

/** Makes a slot available again. */
export function freeSlot(memory: SeatTable, slot: number): void {
  Atomics.store(memory.words, participantWord(slot, L.PARTICIPANT.state), L.SEAT.free);
}

/** Lane of a producer's seat at one priority; the seat's owner stands in its lane of level 0. */
export function laneOf(memory: RingMemory, seat: number, level: number): number {
  return seat * memory.geometry.levels + level;
}

/** Who has a producer's seat. */
export function producerSeat(memory: RingMemory, seat: number): SeatMark {
  return Atomics.load(memory.words, laneWord(laneOf(memory, seat, 0), L.LANE.owner));
}

export function setProducerSeat(memory: RingMemory, seat: number, mark: SeatMark): void {
  Atomics.store(memory.words, laneWord(laneOf(memory, seat, 0), L.LANE.owner), mark);
}

/** Who produces into a lane. */
export function laneOwner(memory: RingMemory, lane: number): SeatMark {
  return producerSeat(memory, Math.floor(lane / memory.geometry.levels));
}

/** Producers' seats whose lane at this level was ever used: a bit each. Bits of seats that do not exist are left out. */
export function usedLanes(memory: RingMemory, level: number): number {
  const used = Atomics.load(memory.words, headerWord(L.HEADER.levelLanes) + level);
  return used & (-1 >>> (32 - memory.geometry.maxProducers));
}

/** Consumers look at this lane from now on. */
export function markLaneUsed(memory: RingMemory, seat: number, level: number): void {
  Atomics.or(memory.words, headerWord(L.HEADER.levelLanes) + level, 1 << seat);
}

/** All lanes that were ever used. */
export function listLanes(memory: RingMemory): number[] {
  const lanes: number[] = [];
  for (let level = 0; level < memory.geometry.levels; level += 1)
    for (const seat of bitsOf(usedLanes(memory, level))) lanes.push(laneOf(memory, seat, level));
  return lanes;
}

/** Who has a consumer's seat. */
export function consumerSeat(memory: RingMemory, seat: number): SeatMark {
  return Atomics.load(memory.words, headerWord(L.HEADER.consumers) + seat);
}

/** Consumers' seats that are taken: a bit each. */
export function consumerMask(memory: RingMemory): number {
  return Atomics.load(memory.words, headerWord(L.HEADER.consumerMask));
}

/** The seat's cursors must be in place. */
export function takeConsumerSeat(memory: RingMemory, seat: number, mark: SeatMark): void {
  Atomics.store(memory.words, headerWord(L.HEADER.consumers) + seat, mark);
  Atomics.or(memory.words, headerWord(L.HEADER.consumerMask), 1 << seat);
}

export function freeConsumerSeat(memory: RingMemory, seat: number): void {
  Atomics.and(memory.words, headerWord(L.HEADER.consumerMask), ~(1 << seat));
  Atomics.store(memory.words, headerWord(L.HEADER.consumers) + seat, 0);
}

/** Seats of consumers whose mark this is, also one that was taken only half before a death. */
export function consumerSeatsOf(memory: RingMemory, mark: SeatMark): number[] {
  const seats: number[] = [];
  for (let seat = 0; seat < memory.geometry.maxConsumers; seat += 1)
    if (consumerSeat(memory, seat) === mark) seats.push(seat);
  return seats;
}

/** First free seat of a consumer; -1 when all are taken. */
export function findConsumerSeat(memory: RingMemory): number {
  for (let seat = 0; seat < memory.geometry.maxConsumers; seat += 1)
    if (consumerSeat(memory, seat) === 0) return seat;
  return -1;
}

/** How many producers' and consumers' seats are taken at present. */
export function countSeats(memory: RingMemory): { producers: number; consumers: number } {
  let producers = 0;
  for (let seat = 0; seat < memory.geometry.maxProducers; seat += 1)
    if (producerSeat(memory, seat) !== 0) producers += 1;
  return { producers, consumers: bitsOf(consumerMask(memory)).length };
}

/** Numbers of the bits that are set, lowest first. */
export function bitsOf(mask: number): number[] {
  const bits: number[] = [];
  for (let rest = mask; rest !== 0; rest &= rest - 1) bits.push(31 - Math.clz32(rest & -rest));
  return bits;
}

/** Counts every coming and going, so that whoever is rung can tell whether that was it. */
export function noteMembership(memory: SeatTable): void {
  Atomics.add(memory.words, headerWord(L.HEADER.membership), 1);
}

/**
 * Chooses a seat for a new producer. One whose lanes others left with unread messages is taken before an empty one while half
 * of each lane is free: producers that come one after the other then keep their order, and any number of them fits.
 *
 * @returns its index; -1 when every usable seat has an owner
 */
export function chooseProducerSeat(memory: RingMemory): number {
  const { geometry } = memory;
  const units = geometry.laneBytes / L.UNIT_BYTES;
  let empty = -1;
  let roomiest = -1;
  let leastUsed = units + 1;
  for (let seat = 0; seat < geometry.maxProducers; seat += 1) {
    if (producerSeat(memory, seat) !== 0) continue;
    const used = fullestLane(memory, seat);
    if (used < 0 || used > units) continue;
    if (used > 0 && used <= units / 2) return seat;
    if (used === 0 && empty < 0) empty = seat;
    if (used < leastUsed) {
      leastUsed = used;
      roomiest = seat;
    }
  }
  return empty >= 0 ? empty : roomiest;
}

/** Units in the fullest lane of a seat; -1 when one of them is damaged. */
function fullestLane(memory: RingMemory, seat: number): number {
  let fullest = 0;
  for (let level = 0; level < memory.geometry.levels; level += 1) {
    const at = (field: number): number =>
      Atomics.load(memory.words, laneWord(laneOf(memory, seat, level), field));
    if (at(L.LANE.fault) !== 0) return -1;
    const used = distance(at(L.LANE.tail), at(L.LANE.head));
    if (used < 0) return -1;
    fullest = Math.max(fullest, used);
  }
  return fullest;
}
