// The producer's side of a lane: reserve room for records, fill them in place, publish them all with one store of the
// tail. Whatever is not published does not exist: a producer killed anywhere before loses only that. Knows nothing of what
// a payload means and never waits.

import * as L from './layout.ts';
import { laneData, laneWord, type RingMemory } from './memory.ts';
import { distance, recordBytes, strideOf } from './record.ts';
import { TopicFloor } from './topic-floor.ts';

export class LaneWriter {
  /** Index of this lane in the lane table. */
  readonly lane: number;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #identity: Uint8Array;
  readonly #tailWord: number;
  readonly #headWord: number;
  readonly #data: number;
  readonly #units: number;
  readonly #maxRecordBytes: number;
  readonly #slotStride: number;
  /** Of a topic: its producer finds out itself what may be written over. */
  readonly #floor: TopicFloor | undefined;
  #head: number;
  #published: number;
  #write: number;
  /** Messages reserved and not published. */
  #pending = 0;
  #identityDone = false;
  #needUnits = 0;

  /**
   * Continues a lane where its last producer stopped.
   *
   * @param identity  written before the first record, so that the consumer knows whose messages follow
   */
  constructor(
    memory: RingMemory,
    lane: number,
    identity: Uint8Array,
    failpoint: (name: string) => void = () => undefined,
  ) {
    const { geometry } = memory;
    this.lane = lane;
    this.#words = memory.words;
    this.#bytes = memory.bytes;
    this.#identity = identity;
    this.#tailWord = laneWord(lane, L.LANE.tail);
    this.#headWord = laneWord(lane, L.LANE.head);
    this.#data = laneData(geometry, lane);
    this.#units = geometry.laneBytes / L.UNIT_BYTES;
    this.#maxRecordBytes = geometry.maxRecordBytes;
    this.#slotStride = strideOf(geometry.slotBytes);
    this.#floor = geometry.mode === 'topic' ? new TopicFloor(memory, lane, failpoint) : undefined;
    this.#published = Atomics.load(this.#words, this.#tailWord);
    this.#write = this.#published;
    this.#head = Atomics.load(this.#words, this.#headWord);
  }

  /** Longest payload that reserve() can ever take. */
  get maxPayloadBytes(): number {
    return this.#slotStride === 0
      ? this.#maxRecordBytes - L.RECORD.payload
      : this.#slotStride - L.RECORD.payload;
  }

  /** Position after the last reserved record. */
  get position(): number {
    return this.#write;
  }

  /** True when something is reserved and not yet published. */
  get isPending(): boolean {
    return this.#write !== this.#published;
  }

  /** Position before which consumers need nothing any more. */
  loadHead(): number {
    return this.#floor === undefined
      ? Atomics.load(this.#words, this.#headWord)
      : this.#floor.limit(this.#published);
  }

  /** False for a topic that nobody listens to now. */
  hasListeners(): boolean {
    return this.#floor === undefined || this.#floor.hasConsumers();
  }

  /**
   * Lets reserve() write over everything that consumers are done with, for the reservation that failed last. What is needed of
   * the old bytes (receipts) must be read before.
   *
   * @returns false when the head is impossible: the consumers' line was damaged
   */
  findRoom(): boolean {
    const head =
      this.#floor === undefined
        ? Atomics.load(this.#words, this.#headWord)
        : this.#floor.makeRoom(this.#published, this.#needUnits, this.#write);
    const used = distance(this.#write, head);
    if (used < 0 || used > this.#units) return false;
    this.#head = head;
    return true;
  }

  /**
   * Reserves a message record.
   *
   * @param payloadBytes  at most `maxPayloadBytes`
   * @param flags         RECORD_FLAG bits of the producer
   * @returns byte offset of the payload in the mapped memory; -1 when there is no room (findRoom(), then try again)
   */
  reserve(payloadBytes: number, flags: number): number {
    if (!this.#identityDone && !this.#putIdentity(payloadBytes)) return -1;
    const at = this.#reserveRecord(L.RECORD_KIND.message | flags, payloadBytes, this.#slotStride);
    if (at >= 0) this.#pending += 1;
    return at;
  }

  /** @param payloadBytes  of the message behind it */
  #putIdentity(payloadBytes: number): boolean {
    const at = this.#reserveRecord(L.RECORD_KIND.identity, this.#identity.length, 0);
    if (at < 0) {
      // Room for both at once, or whoever asks once more would still be told that there is none.
      const after = (this.#write + this.#needUnits) | 0;
      this.#needUnits += this.#unitsAt(after, this.#recordUnits(payloadBytes, this.#slotStride));
      return false;
    }
    this.#bytes.set(this.#identity, at);
    this.#identityDone = true;
    this.#floor?.startedAt((this.#write - (recordBytes(this.#identity.length) >>> 3)) | 0);
    return true;
  }

  /** Makes the record that was reserved last shorter. */
  shrink(payloadOffset: number, payloadBytes: number): void {
    const word = (payloadOffset - L.RECORD.payload) >>> 2;
    const before = recordBytes(this.#words[word] as number);
    this.#words[word] = payloadBytes;
    if (this.#slotStride === 0)
      this.#write = (this.#write - ((before - recordBytes(payloadBytes)) >>> 3)) | 0;
  }

  #reserveRecord(flags: number, payloadBytes: number, slotStride: number): number {
    const units = this.#recordUnits(payloadBytes, slotStride);
    const index = this.#write & (this.#units - 1);
    const untilEnd = this.#units - index;
    const needed = this.#unitsAt(this.#write, units);
    if (needed > this.#units - ((this.#write - this.#head) | 0)) {
      this.#needUnits = needed;
      return -1;
    }
    if (units > untilEnd) {
      this.#putHeader(index, L.RECORD_KIND.padding, untilEnd * L.UNIT_BYTES - L.RECORD.payload);
      this.#putHeader(0, flags, payloadBytes);
      this.#write = (this.#write + needed) | 0;
      return this.#data + L.RECORD.payload;
    }
    this.#putHeader(index, flags, payloadBytes);
    this.#write = (this.#write + units) | 0;
    return this.#data + index * L.UNIT_BYTES + L.RECORD.payload;
  }

  #recordUnits(payloadBytes: number, slotStride: number): number {
    return (slotStride === 0 ? recordBytes(payloadBytes) : slotStride) >>> 3;
  }

  /** What a record takes at this position, with the padding before it where it would cross the end of the lane. */
  #unitsAt(position: number, units: number): number {
    const untilEnd = this.#units - (position & (this.#units - 1));
    return units > untilEnd ? units + untilEnd : units;
  }

  #putHeader(index: number, flags: number, length: number): void {
    const word = (this.#data >>> 2) + index * 2;
    this.#words[word] = length;
    this.#words[word + 1] = flags;
  }

  /** Makes everything reserved visible to the consumer. */
  publish(): void {
    this.#published = this.#write;
    this.#floor?.published(this.#pending);
    this.#pending = 0;
    // SYNC: publish/consume. Pairs with the load of the tail in LaneReader: the bytes before it are seen before it.
    Atomics.store(this.#words, this.#tailWord, this.#write);
  }

  /** Forgets everything reserved and not published. */
  abandon(): void {
    if (this.#write === this.#published) return;
    this.#write = this.#published;
    this.#pending = 0;
    // The identity may have been among it; a second identity record does no harm.
    this.#identityDone = false;
  }

  /** True when the reservation that failed last would succeed now. */
  hasRoom(): boolean {
    return this.#freeUnits() >= this.#needUnits;
  }

  /** True when at least half of the lane is free: worth waking up for. */
  hasMuchRoom(): boolean {
    return this.#freeUnits() >= Math.max(this.#needUnits, this.#units >>> 1);
  }

  #freeUnits(): number {
    return this.#units - ((this.#write - this.loadHead()) | 0);
  }

  /** Flags of a record that was published and not yet written over: what the consumer did with it. */
  flagsAt(payloadOffset: number): number {
    return Atomics.load(this.#words, (payloadOffset - L.RECORD.payload + L.RECORD.flags) >>> 2);
  }
}
