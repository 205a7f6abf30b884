// Reading one lane: copies what was published into private memory, checks every record in the copy, and yields messages one by
// one. The producer may be hostile or damaged: nothing it wrote is trusted, nothing throws, and a bad record puts the lane out
// of use for good. Who may take which message is exclusive-lane.ts's, competing-lane.ts's and topic-lane.ts's work.

import { NaruError } from '../errors/index.ts';
import * as L from './layout.ts';
import { laneData, laneWord, type RingMemory } from './memory.ts';
import { distance, identityText, recordBytes, strideOf } from './record.ts';
import { type MessageMemory, SLAB_BYTES, type Slabs } from './slab.ts';

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

/** What a reader tells whoever consumes the lane. */
export interface ReaderEvents {
  /** An identity record lies at `position`; the messages after it are from somebody else. */
  identity(position: number, text: Uint8Array): void;
}

export class LaneReader {
  readonly lane: number;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #slabs: Slabs;
  readonly #edges: ReaderEdges;
  readonly #events: ReaderEvents;
  readonly #tailWord: number;
  readonly #faultWord: number;
  /** Word of the floor that a producer of a lossy topic moves; -1 where nobody writes over what is being read. */
  readonly #floorWord: number;
  readonly #data: number;
  readonly #units: number;
  readonly #maxPayloadBytes: number;
  readonly #slotStride: number;
  /** The mapped memory as a message that is not copied lies in it. */
  readonly #mapped: MessageMemory;
  #inPlace = false;
  #faulted = false;
  #overrun = false;
  #copyBytesMax = SLAB_BYTES;
  /** Position of the next record to parse, in the lane. */
  #position: number;
  #start: number;
  /** The same record in the copy, and where the copy ends. */
  #at = 0;
  #end = 0;
  #slab: MessageMemory;
  /** Of the slab. */
  #slabWords: Int32Array;
  #sender: string;
  #payloadOffset = 0;
  #payloadBytes = 0;
  #flags = 0;

  constructor(
    memory: RingMemory,
    lane: number,
    position: number,
    sender: string,
    slabs: Slabs,
    edges: ReaderEdges,
    events: ReaderEvents,
  ) {
    const { geometry, words, bytes } = memory;
    this.lane = lane;
    this.#words = words;
    this.#bytes = bytes;
    this.#slabs = slabs;
    this.#slab = slabs.slab;
    this.#slabWords = this.#slab.words;
    this.#edges = edges;
    this.#events = events;
    this.#tailWord = laneWord(lane, L.LANE.tail);
    this.#faultWord = laneWord(lane, L.LANE.fault);
    this.#floorWord = geometry.lossy ? laneWord(lane, L.LANE.head) : -1;
    this.#data = laneData(geometry, lane);
    this.#units = geometry.laneBytes / L.UNIT_BYTES;
    this.#slotStride = strideOf(geometry.slotBytes);
    this.#maxPayloadBytes =
      (this.#slotStride === 0 ? geometry.maxRecordBytes : this.#slotStride) - L.RECORD.payload;
    this.#mapped = { buffer: words.buffer, bytes, words, view: memory.view, isMapped: true };
    this.#position = position;
    this.#start = position;
    this.#sender = sender;
    if (Atomics.load(words, this.#faultWord) !== 0) this.#faulted = true;
  }

  /** The memory that the present message lies in: private, or mapped. */
  get slab(): MessageMemory {
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
  /** Position of the present record. */
  get start(): number {
    return this.#start;
  }
  /** Position after the last record that was parsed. */
  get position(): number {
    return this.#position;
  }
  /** Identity text of the producer who wrote the present message. */
  get sender(): string {
    return this.#sender;
  }
  /** True when the lane was found damaged; it yields nothing any more. */
  get isFaulted(): boolean {
    return this.#faulted;
  }
  /** True when the producer of a lossy topic has written over what comes next: seek() to its floor. */
  get isOverrun(): boolean {
    return this.#overrun;
  }

  /** True when next() may find something. Cheap: one load. */
  hasMore(): boolean {
    if (this.#faulted) return false;
    // The plain load is only ever behind; an atomic one costs as much as reading a message does.
    if (this.#at !== this.#end || this.#words[this.#tailWord] !== this.#position) return true;
    return Atomics.load(this.#words, this.#tailWord) !== this.#position;
  }

  /** Units published and not parsed yet. */
  backlog(): number {
    return distance(Atomics.load(this.#words, this.#tailWord), this.#position);
  }

  /** Copies no more than this at once, unless a single record needs it: for who shares the lane and takes only a few. */
  limitCopy(sizeBytes: number): void {
    this.#copyBytesMax = Math.min(Math.max(sizeBytes, L.UNIT_BYTES), SLAB_BYTES) & ~(L.UNIT_BYTES - 1);
  }

  /** Leaves messages where they lie from here on, or copies them. Not in a lossy topic, where they would not stay. */
  readInPlace(isInPlace: boolean): void {
    if (isInPlace === this.#inPlace) return;
    this.#inPlace = isInPlace;
    this.#at = this.#end;
  }

  /** Goes on at another position: somebody else has taken what lies between, or it was written over. */
  seek(position: number, sender: string): void {
    this.#position = position;
    this.#at = this.#end;
    this.#sender = sender;
    this.#overrun = false;
  }

  /** Moves on to the next message. @returns false when there is none (yet) */
  next(): boolean {
    while (!this.#faulted) {
      if (this.#at === this.#end && !this.#fill(0)) return false;
      const word = this.#at >>> 2;
      const length = this.#slabWords[word] as number;
      const flags = this.#slabWords[word + 1] as number;
      if ((flags & L.RECORD_KIND_MASK) === L.RECORD_KIND.message) {
        if (length < 0 || length > this.#maxPayloadBytes) return this.#fault('its length is impossible');
        const stride = this.#slotStride === 0 ? recordBytes(length) : this.#slotStride;
        if (stride > this.#end - this.#at) {
          if (!this.#fill(stride))
            return this.#overrun ? false : this.#fault('it ends beyond the tail or the lane');
          continue;
        }
        this.#start = this.#position;
        this.#payloadOffset = this.#at + L.RECORD.payload;
        this.#payloadBytes = length;
        this.#flags = flags;
        this.#advance(stride);
        return true;
      } else if (!this.#passOther(length, flags)) return false;
    }
    return false;
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
      return this.backlog() >= 0 ? true : this.#fault('padding reaches beyond the tail');
    }
    if (kind !== L.RECORD_KIND.identity) return this.#fault('its kind is unknown');
    if (length < 0 || length > L.IDENTITY_BYTES_MAX) return this.#fault('its identity is too long');
    const stride = recordBytes(length);
    if (stride > this.#end - this.#at)
      return this.#fill(stride) || (!this.#overrun && this.#fault('its identity ends beyond the tail'));
    const from = this.#at + L.RECORD.payload;
    const text = this.#slab.bytes.slice(from, from + length);
    this.#events.identity(start, text);
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
    const available = this.backlog();
    if (available === 0) return false;
    if (this.#isOverrun()) return false;
    if (available < 0 || available > this.#units) return this.#fault('the tail is impossible');
    const index = this.#position & (this.#units - 1);
    const contiguous = Math.min(available, this.#units - index) * L.UNIT_BYTES;
    if (contiguous < needBytes) return false;
    const from = this.#data + index * L.UNIT_BYTES;
    if (this.#inPlace) {
      this.#slab = this.#mapped;
      this.#slabWords = this.#slab.words;
      this.#at = from;
      this.#end = from + contiguous;
      return true;
    }
    const first = Math.min(Math.max(needBytes, this.#firstRecordBytes(from)), contiguous);
    const room = this.#slabs.remaining;
    const most = Math.min(contiguous, Math.max(first, this.#copyBytesMax));
    const size = Math.min(most, first > room ? Math.max(first, SLAB_BYTES) : room);
    const at = this.#slabs.reserve(size);
    this.#slab = this.#slabs.slab;
    this.#slabWords = this.#slab.words;
    this.#copy(from, at, size);
    // Of a lossy topic only now is it known that the copy is whole.
    if (this.#isOverrun()) return false;
    this.#at = at;
    this.#end = at + size;
    return true;
  }

  /** SYNC: overrun. Pairs with the store of the floor in TopicFloor, which comes before the producer writes over anything. */
  #isOverrun(): boolean {
    if (this.#floorWord < 0) return false;
    if (distance(Atomics.load(this.#words, this.#floorWord), this.#position) <= 0) return false;
    this.#overrun = true;
    this.#at = this.#end;
    return true;
  }

  /** How much the first record will want. Only a hint: its header is read again, and checked, from the copy. */
  #firstRecordBytes(from: number): number {
    const length = this.#words[from >>> 2] as number;
    const kind = (this.#words[(from >>> 2) + 1] as number) & L.RECORD_KIND_MASK;
    const isWhole = kind !== L.RECORD_KIND.padding && length >= 0 && length <= this.#maxPayloadBytes;
    return isWhole ? recordBytes(length) : L.UNIT_BYTES;
  }

  #copy(from: number, at: number, size: number): void {
    if (size > LOOP_BYTES_MAX) {
      this.#slab.bytes.set(this.#bytes.subarray(from, from + size), at);
      return;
    }
    const target = this.#slabWords;
    const source = this.#words;
    let to = at >>> 2;
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

  /** Another reader of this consumer has found the lane damaged, and has said so. */
  giveUp(): void {
    this.#faulted = true;
  }

  /** Finds the lane damaged for a reason that only its consumer can see. */
  quarantine(what: string): void {
    this.#fault(what);
  }
}
