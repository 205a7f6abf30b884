// What is known of the records of one segment without reading their bodies: a column for each field, in typed arrays. It is what
// an index holds, and what recovery works with; in a running log only the segment that is written to has one.

import { INDEX_ROW, INDEX_ROW_BYTES } from './format.ts';
import { type Memory, readWide, readWord, writeWide, writeWord } from './memory.ts';

/** A typed array that grows. */
function grown<T extends Uint32Array | Float64Array>(array: T, make: (length: number) => T): T {
  const next = make(array.length * 2);
  next.set(array);
  return next;
}

export class Columns {
  count = 0;
  sequences: Float64Array = new Float64Array(64);
  stamps: Float64Array = new Float64Array(64);
  /** In the file, in bytes. */
  offsets: Uint32Array = new Uint32Array(64);
  bodyBytes: Uint32Array = new Uint32Array(64);
  streams: Uint32Array = new Uint32Array(64);
  notes: Uint32Array = new Uint32Array(64);
  /** All streams of the records that have more than one, by row. */
  readonly shared: Map<number, readonly number[]> = new Map();

  add(
    sequence: number,
    offset: number,
    bodyBytes: number,
    stream: number,
    note: number,
    stamp: number,
    shared: readonly number[] | undefined,
  ): void {
    const row = this.count;
    if (row === this.offsets.length) this.#grow();
    this.sequences[row] = sequence;
    this.stamps[row] = stamp;
    this.offsets[row] = offset;
    this.bodyBytes[row] = bodyBytes;
    this.streams[row] = stream;
    this.notes[row] = note;
    if (shared !== undefined) this.shared.set(row, shared);
    this.count = row + 1;
  }

  #grow(): void {
    const floats = (length: number): Float64Array => new Float64Array(length);
    const words = (length: number): Uint32Array => new Uint32Array(length);
    this.sequences = grown(this.sequences, floats);
    this.stamps = grown(this.stamps, floats);
    this.offsets = grown(this.offsets, words);
    this.bodyBytes = grown(this.bodyBytes, words);
    this.streams = grown(this.streams, words);
    this.notes = grown(this.notes, words);
  }

  /** Forgets the rows from `count` on. */
  cut(count: number): void {
    this.count = count;
    for (const row of this.shared.keys()) if (row >= count) this.shared.delete(row);
  }

  writeRow(memory: Memory, at: number, row: number): void {
    writeWide(memory, at + INDEX_ROW.sequence, this.sequences[row] as number);
    memory.floats[(at + INDEX_ROW.stamp) >>> 3] = this.stamps[row] as number;
    writeWord(memory, at + INDEX_ROW.offset, this.offsets[row] as number);
    writeWord(memory, at + INDEX_ROW.bodyBytes, this.bodyBytes[row] as number);
    writeWord(memory, at + INDEX_ROW.stream, this.streams[row] as number);
    writeWord(memory, at + INDEX_ROW.note, this.notes[row] as number);
  }

  /** Adds `count` rows that stand one after the other. */
  readRows(memory: Memory, from: number, count: number): void {
    for (let row = 0, at = from; row < count; row += 1, at += INDEX_ROW_BYTES) {
      this.add(
        readWide(memory, at + INDEX_ROW.sequence),
        readWord(memory, at + INDEX_ROW.offset),
        readWord(memory, at + INDEX_ROW.bodyBytes),
        readWord(memory, at + INDEX_ROW.stream),
        readWord(memory, at + INDEX_ROW.note),
        memory.floats[(at + INDEX_ROW.stamp) >>> 3] as number,
        undefined,
      );
    }
  }
}
