// What the consumer of a lane has in its hands: every message between head and taken, in order, and which of them are
// settled. Writes the consumer's line and the consumer's bits of record headers. Parsing is lane-reader.ts's work.
//
// What a successor finds after a SIGKILL anywhere in here:
//   head      everything before it is done. It moves over a contiguous settled prefix only.
//   taken     everything before it was handed out; what is not marked settled is delivered again.
//   identity  whose messages follow at head. When head passes an identity record, head first stops AT that record, then the
//             text changes, then head goes on: a successor either reads the old text with an old head, or meets the record.

import * as L from './layout.ts';
import { laneData, laneWord, type RingMemory } from './memory.ts';

interface IdentityMark {
  /** The first message after the identity record. */
  readonly token: number;
  readonly position: number;
  readonly text: Uint8Array;
}

const FIRST_CAPACITY = 512;

export class LaneLedger {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #lineWord: number;
  readonly #dataWord: number;
  readonly #unitMask: number;
  readonly #failpoint: (name: string) => void;
  #starts: Int32Array = new Int32Array(FIRST_CAPACITY);
  #ends: Int32Array = new Int32Array(FIRST_CAPACITY);
  #settled: Uint8Array = new Uint8Array(FIRST_CAPACITY);
  #mask = FIRST_CAPACITY - 1;
  #first = 0;
  #next = 0;
  #settledAhead = 0;
  #head: number;
  #storedHead: number;
  #storedTaken: number;
  #storedReceived: number;
  #marks: IdentityMark[] = [];

  constructor(memory: RingMemory, lane: number, failpoint: (name: string) => void) {
    this.#words = memory.words;
    this.#bytes = memory.bytes;
    this.#lineWord = laneWord(lane, 0);
    this.#dataWord = laneData(memory.geometry, lane) >>> 2;
    this.#unitMask = memory.geometry.laneBytes / L.UNIT_BYTES - 1;
    this.#failpoint = failpoint;
    this.#storedHead = this.#load(L.LANE.head);
    this.#head = this.#storedHead;
    this.#storedTaken = this.#load(L.LANE.taken);
    this.#storedReceived = this.#load(L.LANE.received);
  }

  #load(field: number): number {
    return Atomics.load(this.#words, this.#lineWord + (field >>> 2));
  }

  #store(field: number, value: number): void {
    Atomics.store(this.#words, this.#lineWord + (field >>> 2), value);
  }

  /** Messages taken and not settled. */
  get unsettled(): number {
    return this.#next - this.#first - this.#settledAhead;
  }

  /** Position up to which everything is settled. */
  get head(): number {
    return this.#head;
  }

  /** Enters a message that was just parsed. @returns its token, for the calls below */
  enter(start: number, end: number): number {
    if (this.#next - this.#first > this.#mask) this.#grow();
    const index = this.#next & this.#mask;
    this.#starts[index] = start;
    this.#ends[index] = end;
    this.#settled[index] = 0;
    this.#next += 1;
    return this.#next - 1;
  }

  /** Notes that an identity record at `position` comes before the next message. */
  enterIdentity(position: number, text: Uint8Array): void {
    this.#marks.push({ token: this.#next, position, text });
  }

  /** Marks one message as settled; the shared head moves at commit(). */
  settle(token: number): void {
    const index = token & this.#mask;
    if (token !== this.#first) {
      if (token < this.#first || token >= this.#next || this.#settled[index] === 1) return;
      this.#settled[index] = 1;
      this.#settledAhead += 1;
      this.#setFlags(token, L.RECORD_FLAG.settled, 0);
      return;
    }
    if (this.#first === this.#next) return;
    this.#head = this.#ends[index] as number;
    this.#first += 1;
    while (this.#settledAhead > 0 && this.#settled[this.#first & this.#mask] === 1) {
      this.#head = this.#ends[this.#first & this.#mask] as number;
      this.#first += 1;
      this.#settledAhead -= 1;
    }
  }

  /** Stores the new head. @returns true when it moved */
  commit(): boolean {
    if (this.#head === this.#storedHead) return false;
    while (this.#marks.length > 0 && (this.#marks[0] as IdentityMark).token < this.#first)
      this.#passIdentity();
    this.#failpoint('settle:before-head');
    this.#storedHead = this.#head;
    // SYNC: room. Pairs with the load of the head in LaneWriter: the consumer is done with all bytes before it.
    this.#store(L.LANE.head, this.#head);
    this.#failpoint('settle:after-head');
    return true;
  }

  #passIdentity(): void {
    const mark = this.#marks.shift() as IdentityMark;
    this.#store(L.LANE.head, mark.position);
    this.#failpoint('identity:head-at-record');
    const at = this.#lineWord * 4 + L.LANE.identity;
    this.#bytes.fill(0, at, at + L.IDENTITY_BYTES_MAX);
    this.#bytes.set(mark.text, at);
    this.#failpoint('identity:half-written');
    this.#store(L.LANE.identityBytes, mark.text.length);
  }

  /** Tells the world that everything entered so far was handed out. Before the user sees it. */
  publishTaken(): void {
    if (this.#next === this.#first) return;
    const end = this.#ends[(this.#next - 1) & this.#mask] as number;
    // After a death the messages before `taken` are read again: it never moves back.
    if (((end - this.#storedTaken) | 0) <= 0) return;
    this.#storedTaken = end;
    this.#store(L.LANE.taken, end);
  }

  /** The user has this message and, as lanes are handed out in order, all before it. @returns true when that is news */
  received(token: number): boolean {
    const end = this.#ends[token & this.#mask] as number;
    // Only a mark within the present window counts: an old one may look ahead once positions have wrapped.
    const marked = (this.#storedReceived - this.#storedHead) | 0;
    const isCurrent = marked >= 0 && marked <= this.#unitMask + 1;
    if (isCurrent && ((end - this.#storedHead) | 0) <= marked) return false;
    this.#storedReceived = end;
    this.#store(L.LANE.received, end);
    return true;
  }

  /** Records in shared memory that this message is now being delivered for the n-th time (n > 1), or after a release. */
  handOutAgain(token: number, deliveries: number): void {
    const before = Math.min(deliveries - 1, L.RECORD_DELIVERIES_MAX);
    const counted = L.RECORD_DELIVERIES_MAX << L.RECORD_DELIVERIES_SHIFT;
    this.#setFlags(token, before << L.RECORD_DELIVERIES_SHIFT, counted | L.RECORD_FLAG.released);
  }

  /** Records that this message goes back as if it had not been handed out. */
  release(token: number): void {
    this.#setFlags(token, L.RECORD_FLAG.released, 0);
  }

  /** Records that nobody will ever receive this message, for its producer's receipt. settle() follows. */
  drop(token: number): void {
    this.#setFlags(token, L.RECORD_FLAG.dropped, 0);
  }

  #setFlags(token: number, set: number, clear: number): void {
    const position = this.#starts[token & this.#mask] as number;
    const word = this.#dataWord + (position & this.#unitMask) * 2 + 1;
    Atomics.store(this.#words, word, (Atomics.load(this.#words, word) & ~clear) | set);
  }

  #grow(): void {
    const size = (this.#mask + 1) * 2;
    const starts = new Int32Array(size);
    const ends = new Int32Array(size);
    const settled = new Uint8Array(size);
    for (let token = this.#first; token < this.#next; token += 1) {
      const from = token & this.#mask;
      const to = token & (size - 1);
      starts[to] = this.#starts[from] as number;
      ends[to] = this.#ends[from] as number;
      settled[to] = this.#settled[from] as number;
    }
    this.#starts = starts;
    this.#ends = ends;
    this.#settled = settled;
    this.#mask = size - 1;
  }
}
