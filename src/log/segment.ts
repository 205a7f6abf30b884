// One segment in memory: which records it has, where, and which of them still live. 4 bytes and a bit for each record; no I/O.

import type { Columns } from './columns.ts';
import type { DiskFile } from './disk.ts';
import { fileName, FIRST_RECORD_AT, UNIT_BYTES } from './format.ts';

/** What a manifest says of a segment. */
export interface SegmentEntry {
  readonly number: number;
  readonly generation: number;
  /** Sequences it has room for: from `first` on; nothing after `last`. `last` < `first`: no records. */
  readonly first: number;
  readonly last: number;
  /** Offset behind its last record. */
  readonly usedBytes: number;
  /** What the heads of all its records come to. */
  readonly chain: number;
}

/** The chain after one more record: order counts. */
export function chained(chain: number, headCrc: number): number {
  return (Math.imul(chain, 31) + headCrc) | 0;
}

export class Segment {
  readonly number: number;
  readonly generation: number;
  readonly file: DiskFile;
  readonly first: number;
  last: number;
  usedBytes: number = FIRST_RECORD_AT;
  /** Offset behind the last byte that the file has for sure: less than `usedBytes` while a group is being written. */
  writtenBytes: number = FIRST_RECORD_AT;
  chain = 0;
  /** Records that at least one stream has not removed. */
  live = 0;
  count = 0;
  /** Bytes of records that nobody needs; what a new writing of the segment would leave out. */
  deadBytes = 0;
  /** Numbers of the other segments whose records removals here belong to. Until those records are gone, these must stay. */
  readonly removesFrom: Set<number> = new Set();
  /** Of a rewritten segment: the sequence of each row, less `first`. Dense ones need none. */
  #keys: Uint32Array | undefined;
  /** In units. */
  #offsets: Uint32Array = new Uint32Array(64);
  #bits: Uint32Array = new Uint32Array(2);
  /** Reads under way: the file is closed after them. */
  #users = 0;
  #isRetired = false;

  constructor(file: DiskFile, name: { number: number; generation: number }, first: number) {
    this.file = file;
    this.number = name.number;
    this.generation = name.generation;
    this.first = first;
    this.last = first - 1;
  }

  get name(): string {
    return fileName(this, 'seg');
  }

  get liveBytes(): number {
    return this.usedBytes - this.deadBytes;
  }

  toEntry(): SegmentEntry {
    const { number, generation, first, last, usedBytes, chain } = this;
    return { number, generation, first, last, usedBytes, chain };
  }

  /** A dense segment gets one more record. */
  add(offset: number): void {
    const row = this.count;
    if (row === this.#offsets.length) this.#grow();
    this.#offsets[row] = offset / UNIT_BYTES;
    this.#bits[row >>> 5] = (this.#bits[row >>> 5] as number) | (1 << (row & 31));
    this.count = row + 1;
    this.live += 1;
    this.last += 1;
  }

  #grow(): void {
    const offsets = new Uint32Array(this.#offsets.length * 2);
    offsets.set(this.#offsets);
    this.#offsets = offsets;
    const bits = new Uint32Array(offsets.length / 32);
    bits.set(this.#bits);
    this.#bits = bits;
  }

  /** Nothing will be added: gives back memory that is not needed. */
  seal(): void {
    this.#offsets = this.#offsets.slice(0, this.count);
    this.#bits = this.#bits.slice(0, (this.count + 31) >>> 5);
  }

  /** Fills an empty segment with the records of its index, all alive. `dense`: no sequence is missing. */
  fill(columns: Columns, dense: boolean): void {
    const { count } = columns;
    this.count = count;
    this.live = count;
    const room = dense ? Math.max(64, 2 ** Math.ceil(Math.log2(count + 1))) : count;
    this.#offsets = new Uint32Array(room);
    this.#bits = new Uint32Array((room + 31) >>> 5);
    for (let row = 0; row < count; row += 1)
      this.#offsets[row] = (columns.offsets[row] as number) / UNIT_BYTES;
    for (let row = 0; row < count; row += 1) {
      this.#bits[row >>> 5] = (this.#bits[row >>> 5] as number) | (1 << (row & 31));
    }
    if (dense) {
      this.last = this.first + count - 1;
    } else {
      this.#keys = new Uint32Array(count);
      for (let row = 0; row < count; row += 1) {
        this.#keys[row] = (columns.sequences[row] as number) - this.first;
      }
    }
  }

  /** @returns -1 when it is not here */
  rowOf(sequence: number): number {
    const key = sequence - this.first;
    if (this.#keys === undefined) return key >= 0 && key < this.count ? key : -1;
    let low = 0;
    let high = this.count - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const found = this.#keys[middle] as number;
      if (found === key) return middle;
      if (found < key) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  offsetOf(row: number): number {
    return (this.#offsets[row] as number) * UNIT_BYTES;
  }

  /** Where the next record begins, or the end: an upper bound of this one's end. */
  endOf(row: number): number {
    return row + 1 < this.count ? this.offsetOf(row + 1) : this.usedBytes;
  }

  isLive(row: number): boolean {
    return (((this.#bits[row >>> 5] as number) >>> (row & 31)) & 1) === 1;
  }

  /** Nobody needs the record any more. */
  kill(row: number): void {
    this.#bits[row >>> 5] = (this.#bits[row >>> 5] as number) & ~(1 << (row & 31));
    this.live -= 1;
    this.deadBytes += this.endOf(row) - this.offsetOf(row);
  }

  /** Uses the file: it stays open until `release()`. */
  use(): DiskFile {
    this.#users += 1;
    return this.file;
  }

  async release(): Promise<void> {
    this.#users -= 1;
    if (this.#isRetired && this.#users === 0) await this.file.close();
  }

  /** The segment is no longer part of the log. */
  async retire(): Promise<void> {
    this.#isRetired = true;
    if (this.#users === 0) await this.file.close();
  }
}

/** All segments of a log, oldest first. */
export class Segments {
  readonly all: Segment[] = [];
  #recent: Segment | undefined;

  get newest(): Segment {
    return this.all.at(-1) as Segment;
  }

  /** The segment whose sequences include this one, whether or not the record is still there. */
  of(sequence: number): Segment | undefined {
    const recent = this.#recent;
    if (recent !== undefined && sequence >= recent.first && sequence <= recent.last) return recent;
    let low = 0;
    let high = this.all.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const segment = this.all[middle] as Segment;
      if (sequence < segment.first) high = middle - 1;
      else if (sequence > segment.last) low = middle + 1;
      else {
        this.#recent = segment;
        return segment;
      }
    }
    return undefined;
  }

  add(segment: Segment): void {
    this.all.push(segment);
  }

  /** Puts `next`, or nothing, in the place of segments that stand next to each other. */
  replace(old: readonly Segment[], next: readonly Segment[]): void {
    const at = this.all.indexOf(old[0] as Segment);
    this.all.splice(at, old.length, ...next);
    this.#recent = undefined;
  }

  get usedBytes(): number {
    return this.all.reduce((sum, { usedBytes }) => sum + usedBytes, 0);
  }

  get liveBytes(): number {
    return this.all.reduce((sum, { liveBytes }) => sum + liveBytes, 0);
  }
}
