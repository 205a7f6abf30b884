// A lane that has one consumer at a time. Nobody else writes the consumer's line, so that taking costs one store a batch and
// settling another one.
//
// What a successor finds after a SIGKILL anywhere in here:
//   head      everything before it is done. It moves over a contiguous settled prefix only.
//   taken     everything before it was handed out; what is not marked settled is delivered again.
//   identity  whose messages follow at head: see passIdentity().

import type { ConsumedLane } from './consumed-lane.ts';
import { LaneReader, type ReaderEdges } from './lane-reader.ts';
import * as L from './layout.ts';
import { laneWord, type RingMemory } from './memory.ts';
import { distance, HEAD_IDENTITY, identityAt, LaneRecords, passIdentity } from './record.ts';
import { SettleWindow } from './settle-window.ts';
import type { Slabs } from './slab.ts';

interface IdentityMark {
  /** The first message after the identity record. */
  readonly token: number;
  readonly position: number;
  readonly text: Uint8Array;
}

export class ExclusiveLane implements ConsumedLane {
  readonly reader: LaneReader;
  readonly #memory: RingMemory;
  readonly #lane: number;
  readonly #records: LaneRecords;
  readonly #window: SettleWindow;
  readonly #headWord: number;
  readonly #takenWord: number;
  readonly #tailWord: number;
  readonly #units: number;
  readonly #failpoint: (name: string) => void;
  readonly #recoverUntil: number;
  readonly #marks: IdentityMark[] = [];
  #recovering: boolean;
  /** Messages were passed over that an earlier consumer had settled: nobody else will ever settle anything behind them. */
  #hasPassed = false;
  #storedHead: number;
  #storedTaken: number;
  #deliveries = 1;
  #token = 0;

  /** Starts at the lane's head: what an earlier consumer took and did not settle comes first, as redelivered. */
  constructor(memory: RingMemory, lane: number, slabs: Slabs, edges: ReaderEdges) {
    const { words, geometry } = memory;
    this.#memory = memory;
    this.#lane = lane;
    this.#records = new LaneRecords(memory, lane);
    this.#headWord = laneWord(lane, L.LANE.head);
    this.#takenWord = laneWord(lane, L.LANE.taken);
    this.#tailWord = laneWord(lane, L.LANE.tail);
    this.#units = geometry.laneBytes / L.UNIT_BYTES;
    this.#failpoint = edges.failpoint;
    this.#storedHead = Atomics.load(words, this.#headWord);
    this.#window = new SettleWindow(this.#storedHead);
    this.#storedTaken = Atomics.load(words, this.#takenWord);
    this.#recoverUntil = this.#storedTaken;
    this.#recovering = this.#recoverUntil !== this.#storedHead;
    this.reader = new LaneReader(memory, lane, this.#storedHead, identityAt(memory, lane), slabs, edges, {
      identity: (position, text) => this.#marks.push({ token: this.#window.next, position, text }),
    });
  }

  get deliveries(): number {
    return this.#deliveries;
  }

  get token(): number {
    return this.#token;
  }

  get unsettled(): number {
    return this.#window.unsettled;
  }

  get head(): number {
    return this.#window.head;
  }

  hasMore(): boolean {
    return this.reader.hasMore();
  }

  isHeld(): boolean {
    return false;
  }

  begin(_max: number, isInPlace: boolean): boolean {
    this.reader.readInPlace(isInPlace);
    return true;
  }

  next(): boolean {
    const { reader } = this;
    while (reader.next()) {
      this.#token = this.#window.enter(reader.start, reader.position);
      this.#deliveries = 1;
      if (!this.#recovering || this.#recover()) return true;
    }
    return false;
  }

  /** @returns false when an earlier consumer settled the message */
  #recover(): boolean {
    const { start, flags } = this.reader;
    this.#recovering = distance(start, this.#recoverUntil) < 0;
    if (!this.#recovering) return true;
    if ((flags & L.RECORD_FLAG.settled) !== 0) {
      this.settle(this.#token);
      this.#hasPassed = true;
      return false;
    }
    const before = (flags >>> L.RECORD_DELIVERIES_SHIFT) & L.RECORD_DELIVERIES_MAX;
    const wasReleased = (flags & L.RECORD_FLAG.released) !== 0;
    this.#deliveries = before + (wasReleased ? 1 : 2);
    this.handOutAgain(this.#token, this.#deliveries);
    return true;
  }

  finish(): boolean {
    if (!this.#window.isEmpty) {
      const end = this.#window.lastEnd;
      // After a death the messages before `taken` are read again: it never moves back.
      if (distance(end, this.#storedTaken) > 0) {
        this.#storedTaken = end;
        Atomics.store(this.#memory.words, this.#takenWord, end);
      }
    }
    if (!this.#hasPassed) return false;
    this.#hasPassed = false;
    return this.commit();
  }

  settle(token: number): void {
    if (this.#window.settle(token)) this.#setFlags(token, L.RECORD_FLAG.settled, 0);
  }

  commit(): boolean {
    const { head, first } = this.#window;
    if (head === this.#storedHead) return false;
    while (this.#marks.length > 0 && (this.#marks[0] as IdentityMark).token < first) {
      const { position, text } = this.#marks.shift() as IdentityMark;
      passIdentity(this.#memory, this.#lane, HEAD_IDENTITY, position, text, this.#failpoint);
    }
    this.#failpoint('settle:before-head');
    this.#storedHead = head;
    // SYNC: room. Pairs with the load of the head in LaneWriter: the consumer is done with all bytes before it.
    Atomics.store(this.#memory.words, this.#headWord, head);
    this.#failpoint('settle:after-head');
    return true;
  }

  giveBack(token: number, isCounted: boolean): false {
    if (!isCounted) this.#setFlags(token, L.RECORD_FLAG.released, 0);
    return false;
  }

  handOutAgain(token: number, deliveries: number): void {
    const before = Math.min(deliveries - 1, L.RECORD_DELIVERIES_MAX);
    const counted = L.RECORD_DELIVERIES_MAX << L.RECORD_DELIVERIES_SHIFT;
    this.#setFlags(token, before << L.RECORD_DELIVERIES_SHIFT, counted | L.RECORD_FLAG.released);
  }

  drop(token: number): void {
    this.#setFlags(token, L.RECORD_FLAG.dropped, 0);
  }

  received(token: number): boolean {
    const position = this.#window.startOf(token);
    if ((this.#records.flags(position) & L.RECORD_FLAG.received) !== 0) return false;
    this.#setFlags(token, L.RECORD_FLAG.received, 0);
    return true;
  }

  isEmptied(): boolean {
    return !this.hasMore() && this.unsettled === 0;
  }

  isHalfFree(): boolean {
    const used = distance(Atomics.load(this.#memory.words, this.#tailWord), this.head);
    return used <= this.#units >>> 1;
  }

  /** Whoever comes next finds out by itself. */
  leave(): void {}

  #setFlags(token: number, set: number, clear: number): void {
    const position = this.#window.startOf(token);
    this.#records.setFlags(position, (this.#records.flags(position) & ~clear) | set);
  }
}
