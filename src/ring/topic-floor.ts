// The producer's side of a topic's lane: how far it may write over what lies there. The floor is the oldest position whose
// messages are whole; only the lane's producer moves it, and it keeps the number of the message there beside it, so that a
// consumer that fell behind can tell how many it missed.
//
// Order of the stores: floorNext, ordinal, floor, ordinalDone. While the two ordinals differ, a move is under way, or its
// producer died in it: then floorNext and ordinal are the valid pair, and the next producer of the lane ends the move.

import * as L from './layout.ts';
import { cursorWord, headerWord, laneWord, type RingMemory } from './memory.ts';
import {
  distance,
  HEAD_IDENTITY,
  isIdentity,
  isMessage,
  LaneRecords,
  passIdentity,
  RecordWalk,
} from './record.ts';

/** The floor moves at least so much at a time (a share of the lane), so that moving it costs little for each message. */
const STEP_SHARE = 8;
/** What is kept for late consumers may take half of the lane; beyond that, room for new messages comes first. */
const RETAIN_SHARE = 2;

/** A position and the number of the first message from there on. */
export interface Floor {
  readonly position: number;
  readonly ordinal: number;
}

/** The floor of a lane as anybody may read it. */
export function readFloor(memory: RingMemory, lane: number): Floor {
  const at = (field: number): number => Atomics.load(memory.words, laneWord(lane, field));
  for (;;) {
    const done = at(L.LANE.ordinalDone);
    const ordinal = at(L.LANE.ordinal);
    const position = at(done === ordinal ? L.LANE.head : L.LANE.floorNext);
    if (at(L.LANE.ordinal) === ordinal && at(L.LANE.ordinalDone) === done) return { position, ordinal };
  }
}

/** The least of all cursors in a lane; the tail when nobody is there. */
export function slowestCursor({ words, geometry }: RingMemory, lane: number, tail: number): number {
  let slowest = tail;
  for (let mask = Atomics.load(words, headerWord(L.HEADER.consumerMask)); mask !== 0; mask &= mask - 1) {
    const consumer = 31 - Math.clz32(mask & -mask);
    const cursor = Atomics.load(words, cursorWord(geometry, consumer, lane));
    if (distance(slowest, cursor) > 0) slowest = cursor;
  }
  return slowest;
}

export class TopicFloor {
  readonly #memory: RingMemory;
  readonly #words: Int32Array;
  readonly #lane: number;
  readonly #records: LaneRecords;
  readonly #units: number;
  readonly #failpoint: (name: string) => void;
  #position: number;
  #ordinal: number;
  /** Messages published into this lane, modulo 2^32. */
  #published: number;
  /** The record with which this producer began; what lies behind it is its own. */
  #ownRecord: number | undefined;
  /** Set once the floor has passed that record: from then on the floor's identity never changes. */
  #ownFrom: number | undefined;

  /** Ends what a producer before this one left undone. */
  constructor(memory: RingMemory, lane: number, failpoint: (name: string) => void) {
    this.#memory = memory;
    this.#words = memory.words;
    this.#lane = lane;
    this.#records = new LaneRecords(memory, lane);
    this.#units = memory.geometry.laneBytes / L.UNIT_BYTES;
    this.#failpoint = failpoint;
    const { position, ordinal } = readFloor(memory, lane);
    this.#position = position;
    this.#ordinal = ordinal;
    this.#store(L.LANE.head, position);
    this.#store(L.LANE.ordinalDone, ordinal);
    this.#published = (ordinal + this.#countFrom(position)) | 0;
  }

  /** Notes where this producer's identity record lies, after which it writes no other. */
  startedAt(position: number): void {
    this.#ownRecord = position;
  }

  /** Notes that so many messages were published. */
  published(count: number): void {
    this.#published = (this.#published + count) | 0;
  }

  /** Whether a consumer is there for whom a lossless topic keeps what it has not read. */
  hasConsumers(): boolean {
    return Atomics.load(this.#words, headerWord(L.HEADER.consumerMask)) !== 0;
  }

  /** How far everything could be written over, without moving anything: for looking whether it is worth waking up. */
  limit(tail: number): number {
    return this.#memory.geometry.lossy ? tail : slowestCursor(this.#memory, this.#lane, tail);
  }

  /**
   * Makes room, if the consumers allow it.
   *
   * @param tail       position after the last published record
   * @param needUnits  units that must be free behind `write`
   * @param write      position after the last reserved record
   * @returns position before which everything may be written over
   */
  makeRoom(tail: number, needUnits: number, write: number): number {
    const { lossy } = this.#memory.geometry;
    // Nothing to walk over in a lane whose positions make no sense: the writer finds that out.
    if (!this.#records.isSpan(this.#position, tail)) return this.#position;
    const wanted = Math.max(needUnits, this.#units / STEP_SHARE);
    const target = (write - this.#units + wanted) | 0;
    const bound = lossy ? tail : slowestCursor(this.#memory, this.#lane, tail);
    // From where the next record goes: what is not published yet takes room as well.
    const retainFrom = (write - this.#units / RETAIN_SHARE) | 0;
    this.#moveTo(target, bound, retainFrom);
    // SYNC: topic seat. A consumer that came between the look at the cursors and the store of the floor sees the floor, or is
    // seen here.
    if (lossy) return this.#position;
    const slowest = slowestCursor(this.#memory, this.#lane, tail);
    if (distance(slowest, this.#position) >= 0) return this.#position;
    // Further behind than the lane is long: a consumer that is just coming and has not looked at the floor again, or that died
    // before it did. No room for as long as it is like that, and no damage.
    const farthest = (write - this.#units) | 0;
    return distance(slowest, farthest) < 0 ? farthest : slowest;
  }

  #moveTo(target: number, bound: number, retainFrom: number): void {
    const { retain, lossy } = this.#memory.geometry;
    // Where nothing is kept for late consumers and nobody can miss anything, no message needs to be counted.
    if (!lossy && retain === 0 && this.#ownFrom !== undefined && distance(bound, this.#ownFrom) >= 0) {
      // Never back: a consumer that is just coming may have a cursor behind the floor.
      if (distance(bound, this.#position) > 0) this.#storeFloor(bound, this.#ordinal);
      return;
    }
    let position = this.#position;
    let ordinal = this.#ordinal;
    while (distance(target, position) > 0 && distance(bound, position) > 0) {
      const flags = this.#records.flags(position);
      const units = this.#records.units(position, flags, distance(bound, position));
      if (units === 0) break;
      const isKept = distance(this.#published, ordinal) <= retain && distance(retainFrom, position) <= 0;
      if (isKept && isMessage(flags)) break;
      if (isIdentity(flags)) {
        this.#storeFloor(position, ordinal);
        const text = this.#records.identityBytes(position);
        passIdentity(this.#memory, this.#lane, HEAD_IDENTITY, position, text, this.#failpoint);
        if (position === this.#ownRecord) this.#ownFrom = (position + units) | 0;
      }
      if (isMessage(flags)) ordinal = (ordinal + 1) | 0;
      position = (position + units) | 0;
    }
    this.#storeFloor(position, ordinal);
  }

  #storeFloor(position: number, ordinal: number): void {
    if (position === this.#position) return;
    this.#store(L.LANE.floorNext, position);
    this.#store(L.LANE.ordinal, ordinal);
    this.#failpoint('floor:ordinal-stored');
    // SYNC: overrun. Before anything is written over: pairs with the load after the copy in LaneReader.
    this.#store(L.LANE.head, position);
    this.#failpoint('floor:stored');
    this.#store(L.LANE.ordinalDone, ordinal);
    this.#position = position;
    this.#ordinal = ordinal;
  }

  #countFrom(from: number): number {
    const tail = Atomics.load(this.#words, laneWord(this.#lane, L.LANE.tail));
    const walk = new RecordWalk(this.#records, from, tail);
    let count = 0;
    while (walk.next()) if (isMessage(walk.flags)) count += 1;
    return count;
  }

  #store(field: number, value: number): void {
    Atomics.store(this.#words, laneWord(this.#lane, field), value);
  }
}
