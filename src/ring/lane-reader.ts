// The consumer's way through one lane: copies what was published into private memory, checks every record in the copy, and
// yields messages one by one. The producer may be hostile or damaged: nothing it wrote is trusted, nothing throws, and a bad
// record puts the lane out of use for good. Settling is lane-ledger.ts's work.

import { NaruError } from '../errors/index.ts';
import { LaneLedger } from './lane-ledger.ts';
import { recordBytes } from './lane-writer.ts';
import * as L from './layout.ts';
import { laneData, laneWord, type RingMemory } from './memory.ts';
import { type Slab, SLAB_BYTES, type SlabSource } from './slab.ts';

/** Below this a loop over words copies faster than a call. */
const LOOP_BYTES_MAX = 256;
/** How much of a bad record the error shows. */
const DUMP_BYTES = 32;

/** What a reader is given from outside. */
export interface ReaderEdges {
  /** Called once when the lane turns out to be damaged. */
  readonly fault: (error: NaruError, lane: number) => void;
  readonly failpoint: (name: string) => void;
}

export class LaneReader {
  readonly lane: number;
  readonly ledger: LaneLedger;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #slabs: SlabSource;
  readonly #edges: ReaderEdges;
  readonly #tailWord: number;
  readonly #faultWord: number;
  readonly #data: number;
  readonly #units: number;
  readonly #maxPayloadBytes: number;
  readonly #slotStride: number;
  readonly #recoverUntil: number;
  #recovering: boolean;
  #faulted = false;
  /** Position of the next record to parse, in the lane. */
  #position: number;
  /** The same record in the copy, and where the copy ends. */
  #at = 0;
  #end = 0;
  #slab: Slab;
  #sender: string;
  #payloadOffset = 0;
  #payloadBytes = 0;
  #flags = 0;
  #deliveries = 1;
  #token = 0;

  /** Starts at the lane's head: what an earlier consumer took and did not settle comes first, as redelivered. */
  constructor(memory: RingMemory, lane: number, slabs: SlabSource, edges: ReaderEdges) {
    const { geometry, words, bytes } = memory;
    this.lane = lane;
    this.#words = words;
    this.#bytes = bytes;
    this.#slabs = slabs;
    this.#slab = slabs.slab;
    this.#edges = edges;
    this.#tailWord = laneWord(lane, L.LANE.tail);
    this.#faultWord = laneWord(lane, L.LANE.fault);
    this.#data = laneData(geometry, lane);
    this.#units = geometry.laneBytes / L.UNIT_BYTES;
    this.#slotStride = geometry.slotBytes === 0 ? 0 : recordBytes(geometry.slotBytes);
    this.#maxPayloadBytes =
      (this.#slotStride === 0 ? geometry.maxRecordBytes : this.#slotStride) - L.RECORD.payload;
    this.ledger = new LaneLedger(memory, lane, edges.failpoint);
    this.#position = this.ledger.head;
    this.#recoverUntil = Atomics.load(words, laneWord(lane, L.LANE.taken));
    this.#recovering = this.#recoverUntil !== this.#position;
    this.#sender = identityAt(memory, lane);
    if (Atomics.load(words, this.#faultWord) !== 0) this.#faulted = true;
  }

  /** The private memory that the present message lies in. */
  get slab(): Slab {
    return this.#slab;
  }
  /** Where the present message's payload starts in `slab`; a multiple of 8. */
  get payloadOffset(): number {
    return this.#payloadOffset;
  }
  get payloadBytes(): number {
    return this.#payloadBytes;
  }
  /** The present record's flags, as they were when it was copied. */
  get flags(): number {
    return this.#flags;
  }
  /** 1, or more when a consumer before us, or this one, had the message already. */
  get deliveries(): number {
    return this.#deliveries;
  }
  /** The ledger's token of the present message. */
  get token(): number {
    return this.#token;
  }
  /** Identity text of the producer who wrote the present message. */
  get sender(): string {
    return this.#sender;
  }

  /** True when the lane was found damaged; it yields nothing any more. */
  get isFaulted(): boolean {
    return this.#faulted;
  }

  /** True when next() may find something. Cheap: one load. */
  hasMore(): boolean {
    return (
      !this.#faulted &&
      (this.#at !== this.#end || Atomics.load(this.#words, this.#tailWord) !== this.#position)
    );
  }

  /** True when at least half of the lane is free for its producer. */
  isHalfFree(): boolean {
    const used = (Atomics.load(this.#words, this.#tailWord) - this.ledger.head) | 0;
    return used <= this.#units >>> 1;
  }

  /** Moves on to the next message. @returns false when there is none (yet) */
  next(): boolean {
    while (!this.#faulted) {
      if (this.#at === this.#end && !this.#fill(0)) return false;
      const word = this.#at >>> 2;
      const length = this.#slab.words[word] as number;
      const flags = this.#slab.words[word + 1] as number;
      if ((flags & L.RECORD_KIND_MASK) === L.RECORD_KIND.message) {
        if (length < 0 || length > this.#maxPayloadBytes) return this.#fault('its length is impossible');
        const stride = this.#slotStride === 0 ? recordBytes(length) : this.#slotStride;
        if (stride > this.#end - this.#at) {
          if (!this.#fill(stride)) return this.#fault('it ends beyond the tail or the lane');
          continue;
        }
        if (this.#enter(length, flags, stride)) return true;
      } else if (!this.#passOther(length, flags)) return false;
    }
    return false;
  }

  /** @returns false when an earlier consumer settled the message */
  #enter(length: number, flags: number, stride: number): boolean {
    const start = this.#position;
    this.#payloadOffset = this.#at + L.RECORD.payload;
    this.#payloadBytes = length;
    this.#flags = flags;
    this.#advance(stride);
    this.#token = this.ledger.enter(start, this.#position);
    if (!this.#recovering) {
      this.#deliveries = 1;
      return true;
    }
    return this.#recover(start, flags);
  }

  #recover(start: number, flags: number): boolean {
    this.#recovering = ((start - this.#recoverUntil) | 0) < 0;
    if (!this.#recovering) {
      this.#deliveries = 1;
      return true;
    }
    if ((flags & L.RECORD_FLAG.settled) !== 0) {
      this.ledger.settle(this.#token);
      return false;
    }
    const before = (flags >>> L.RECORD_DELIVERIES_SHIFT) & L.RECORD_DELIVERIES_MAX;
    const wasReleased = (flags & L.RECORD_FLAG.released) !== 0;
    this.#deliveries = before + (wasReleased ? 1 : 2);
    this.ledger.handOutAgain(this.#token, this.#deliveries);
    return true;
  }

  /** Takes note of an identity record or steps over padding. @returns false when the lane is damaged */
  #passOther(length: number, flags: number): boolean {
    const kind = flags & L.RECORD_KIND_MASK;
    const start = this.#position;
    if (kind === L.RECORD_KIND.padding) {
      const untilEnd = (this.#units - (start & (this.#units - 1))) * L.UNIT_BYTES;
      if (length + L.RECORD.payload !== untilEnd)
        return this.#fault('padding must reach the end of its lane');
      // The copy may have been cut in the middle of the padding, whose bytes nobody needs.
      const copied = Math.min(untilEnd, this.#end - this.#at);
      this.#position = (start + (untilEnd >>> 3)) | 0;
      this.#at += copied;
      this.#end = this.#at;
      return ((Atomics.load(this.#words, this.#tailWord) - this.#position) | 0) >= 0
        ? true
        : this.#fault('padding reaches beyond the tail');
    }
    if (kind !== L.RECORD_KIND.identity) return this.#fault('its kind is unknown');
    if (length < 0 || length > L.IDENTITY_BYTES_MAX) return this.#fault('its identity is too long');
    const stride = recordBytes(length);
    if (stride > this.#end - this.#at)
      return this.#fill(stride) || this.#fault('its identity ends beyond the tail');
    const from = this.#at + L.RECORD.payload;
    const text = this.#slab.bytes.slice(from, from + length);
    this.ledger.enterIdentity(start, text);
    this.#sender = identityText(text);
    this.#advance(stride);
    return true;
  }

  #advance(stride: number): void {
    this.#position = (this.#position + (stride >>> 3)) | 0;
    this.#at += stride;
  }

  /**
   * Copies from the present position on. What was copied and not parsed is copied again.
   *
   * @param needBytes  the least that must be there (0: anything)
   */
  #fill(needBytes: number): boolean {
    // SYNC: publish/consume. Pairs with the store of the tail in LaneWriter.publish().
    const available = (Atomics.load(this.#words, this.#tailWord) - this.#position) | 0;
    if (available === 0) return false;
    if (available < 0 || available > this.#units) return this.#fault('the tail is impossible');
    const index = this.#position & (this.#units - 1);
    const contiguous = Math.min(available, this.#units - index) * L.UNIT_BYTES;
    if (contiguous < needBytes) return false;
    const from = this.#data + index * L.UNIT_BYTES;
    const first = Math.min(Math.max(needBytes, this.#firstRecordBytes(from)), contiguous);
    const room = this.#slabs.remaining;
    const size = Math.min(contiguous, first > room ? Math.max(first, SLAB_BYTES) : room);
    this.#at = this.#slabs.reserve(size);
    this.#end = this.#at + size;
    this.#slab = this.#slabs.slab;
    this.#copy(from, size);
    return true;
  }

  /** How much the first record will want. Only a hint: its header is read again, and checked, from the copy. */
  #firstRecordBytes(from: number): number {
    const length = this.#words[from >>> 2] as number;
    const kind = (this.#words[(from >>> 2) + 1] as number) & L.RECORD_KIND_MASK;
    const isWhole = kind !== L.RECORD_KIND.padding && length >= 0 && length <= this.#maxPayloadBytes;
    return isWhole ? recordBytes(length) : L.UNIT_BYTES;
  }

  #copy(from: number, size: number): void {
    if (size > LOOP_BYTES_MAX) {
      this.#slab.bytes.set(this.#bytes.subarray(from, from + size), this.#at);
      return;
    }
    const target = this.#slab.words;
    const source = this.#words;
    let to = this.#at >>> 2;
    for (let word = from >>> 2, last = (from + size) >>> 2; word < last; word += 1, to += 1)
      target[to] = source[word] as number;
  }

  #fault(what: string): false {
    if (this.#faulted) return false;
    this.#faulted = true;
    Atomics.store(this.#words, this.#faultWord, 1);
    const index = this.#position & (this.#units - 1);
    const from = this.#data + index * L.UNIT_BYTES;
    const dump = Buffer.from(this.#bytes.slice(from, from + DUMP_BYTES)).toString('hex');
    this.#edges.fault(
      new NaruError(
        'NARU_CORRUPT',
        `Lane ${this.lane} holds a damaged record at position ${this.#position >>> 0}: ${what}. ` +
          `First bytes: ${dump}. The lane is out of use, the others go on; find out who wrote into it.`,
        { place: 'shm' },
      ),
      this.lane,
    );
    return false;
  }
}

/** Who wrote the messages at a lane's head. */
export function identityAt(memory: RingMemory, lane: number): string {
  const length = Atomics.load(memory.words, laneWord(lane, L.LANE.identityBytes));
  if (length < 0 || length > L.IDENTITY_BYTES_MAX) return '';
  const at = laneWord(lane, L.LANE.identity) * 4;
  return identityText(memory.bytes.slice(at, at + length));
}

/** Identities are plain ASCII; whatever else a damaged one holds must not reach a terminal or a log. */
function identityText(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('latin1')
    .replaceAll(/[^\x21-\x7e]/g, '?');
}
