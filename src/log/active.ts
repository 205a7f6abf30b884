// The segment that is written to: places slabs, removals, changes and marks behind one another and keeps its index up to date. Builds
// bytes; writing them is the committer's part.

import { KIND, RECORD, RECORD_HEADER_BYTES, SECTOR_BYTES } from './format.ts';
import { markBytes } from './mark.ts';
import { type Memory, newMemory, readWord } from './memory.ts';
import type { Slab } from './pending.ts';
import {
  extraStreamsAt,
  type LogRecord,
  sequenceAt,
  streamsAt,
  strideAt,
  strideOf,
  writeRecord,
} from './record.ts';
import type { SyncedClaim } from './scan.ts';
import { chained, type Segment } from './segment.ts';
import type { Contents, Removal } from './segment-index.ts';
import type { LogState } from './state.ts';

/** A mark with the longest padding, and a seal. */
const CLOSING_BYTES = 2 * SECTOR_BYTES + 2 * RECORD_HEADER_BYTES;
/** A removal record has at most so many bytes of runs. */
const RUNS_BYTES_MAX = 1 << 16;

export class Active {
  readonly segment: Segment;
  readonly contents: Contents;
  readonly bytes: number;
  readonly #state: LogState;
  /** Kept for removals when the disk is full: readers of a full log go on. */
  readonly #reserveBytes: number;
  /** What is to be written at `#writeAt`. */
  #parts: Uint8Array[] = [];
  #writeAt: number;
  /** Records since the last mark. */
  #sinceMark = 0;
  isSealed = false;

  constructor(state: LogState, segment: Segment, contents: Contents, bytes: number) {
    this.#state = state;
    this.segment = segment;
    this.contents = contents;
    this.bytes = bytes;
    this.#writeAt = segment.usedBytes;
    this.#reserveBytes = Math.min(bytes >>> 3, 1 << 20);
  }

  /** Whether a slab finds room and leaves the reserve. */
  hasRoomFor(bytes: number): boolean {
    return this.segment.usedBytes + bytes + CLOSING_BYTES + this.#reserveBytes <= this.bytes;
  }

  /** The size of a segment that has room for `bytes` of records beside its manifest. */
  static bytesFor(standardBytes: number, bytes: number, manifestBytes: number): number {
    const needed = bytes + manifestBytes + 4 * CLOSING_BYTES;
    const reserve = Math.min(Math.ceil(needed / 7), 1 << 20);
    return Math.max(standardBytes, Math.ceil((needed + reserve) / 4096) * 4096);
  }

  get hasParts(): boolean {
    return this.#parts.length > 0;
  }

  /** What is to be written, and where. The next is behind it. */
  takeParts(): { readonly parts: readonly Uint8Array[]; readonly offset: number } {
    const taken = { parts: this.#parts, offset: this.#writeAt };
    this.#parts = [];
    this.#writeAt = this.segment.usedBytes;
    return taken;
  }

  /** All records of a slab. */
  place({ memory, usedBytes }: Slab): void {
    const { segment } = this;
    const { columns } = this.contents;
    const { words, floats } = memory;
    const shift = segment.usedBytes;
    let { chain } = segment;
    for (let at = 0; at < usedBytes; ) {
      const word = at >>> 2;
      const streams = extraStreamsAt(memory, at) === 0 ? undefined : streamsAt(memory, at);
      if (streams !== undefined) this.#state.shared.set(sequenceAt(memory, at), [...streams]);
      columns.add(
        sequenceAt(memory, at),
        shift + at,
        (words[word + RECORD.bodyBytes / 4] as number) >>> 0,
        (words[word + RECORD.stream / 4] as number) >>> 0,
        (words[word + RECORD.note / 4] as number) >>> 0,
        floats[(at + RECORD.stamp) >>> 3] as number,
        streams,
      );
      segment.add(shift + at);
      chain = chained(chain, words[word] as number);
      this.#sinceMark += 1;
      at += strideAt(memory, at);
    }
    segment.chain = chain;
    segment.usedBytes += usedBytes;
    this.#parts.push(memory.bytes.subarray(0, usedBytes));
  }

  /** As many of the removals that wait as find room. @returns whether all did */
  placeRemovals(): boolean {
    const { removals, removesFrom, settings } = this.#state;
    if (removals.size === 0) return true;
    let isAll = true;
    for (const [stream, runs] of removals) {
      while (!runs.isEmpty) {
        const room = this.bytes - this.segment.usedBytes - CLOSING_BYTES - RECORD_HEADER_BYTES - 64;
        // The mark behind a group may have taken more than there was.
        const bytes = runs.take(Math.max(0, Math.min(room, RUNS_BYTES_MAX, settings.segmentBytes >>> 3)));
        if (bytes.length === 0) {
          isAll = false;
          break;
        }
        this.contents.removals.push({ stream, runs: bytes } satisfies Removal);
        this.#control(KIND.removal, { stream, body: bytes });
      }
      if (runs.isEmpty) removals.delete(stream);
    }
    for (const number of removesFrom)
      if (number !== this.segment.number) this.segment.removesFrom.add(number);
    if (isAll) removesFrom.clear();
    return isAll;
  }

  /** A manifest, a change. @returns false when there is no room */
  placeEntries(kind: typeof KIND.manifest | typeof KIND.change, body: Uint8Array, note: number): boolean {
    const record = { stream: 0, note, body };
    if (this.segment.usedBytes + strideOf(record) + CLOSING_BYTES > this.bytes) return false;
    this.#control(kind, record);
    return true;
  }

  /** The end of a group: behind everything else of it. `isPadded`: the group will be synced. */
  placeMark(claim: SyncedClaim, isPadded: boolean): void {
    const { chain, last, usedBytes } = this.segment;
    const mark = { claim, records: this.#sinceMark, chain, sequence: last, offset: usedBytes, isPadded };
    this.#put(markBytes(mark, this.#state.seed));
    this.#sinceMark = 0;
  }

  /** The end of the segment; a mark must stand before it. */
  placeSeal(next: number): void {
    this.#control(KIND.seal, { stream: next, note: this.segment.chain, body: new Uint8Array() });
    this.isSealed = true;
  }

  #control(kind: (typeof KIND)[keyof typeof KIND], record: LogRecord): void {
    const memory = newMemory(strideOf(record));
    writeRecord(memory, 0, kind, this.segment.last, record, this.#state.seed);
    this.#put(memory);
    this.#sinceMark += 1;
  }

  #put(memory: Memory): void {
    const { segment } = this;
    segment.chain = chained(segment.chain, readWord(memory, 0) | 0);
    segment.usedBytes += memory.bytes.length;
    this.#parts.push(memory.bytes);
  }
}
