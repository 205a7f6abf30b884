// Reading records back: in pieces of a megabyte ahead, so that a backlog is drained with one read for thousands of records and no
// promise for each. Every record is checked whenever it is handed out.

import { NaruError } from '../errors/index.ts';
import type { DiskFile } from './disk.ts';
import { corrupt, type Damage, storageError } from './failures.ts';
import { RECORD, RECORD_HEADER_BYTES } from './format.ts';
import { type Memory, newMemory, readWord } from './memory.ts';
import { bodyOf, isBodyValid, isHeadValid, kindAt, sequenceAt, strideAt, streamsAt } from './record.ts';
import type { Segment } from './segment.ts';
import type { LogState } from './state.ts';

const AHEAD_BYTES = 1 << 20;
/** Pieces kept: so many queues can be drained in turn without reading anything twice. */
const PIECES = 16;
/** Reads under way at once; libuv has four threads for all of the process. */
const READS_MAX = 2;

/** A record that was read. */
export interface ReadRecord {
  readonly stream: number;
  readonly note: number;
  readonly stamp: number;
  /** A view of memory that nobody writes to; it keeps up to a megabyte alive. */
  readonly body: Uint8Array;
}

/** Part of a segment in memory. Begins with a record. */
interface Piece {
  readonly segment: Segment;
  readonly start: number;
  readonly length: number;
  readonly memory: Memory;
}

export class Reader {
  readonly #state: LogState;
  #pieces: Piece[] = [];
  #reads = 0;
  #queue: (() => void)[] = [];

  constructor(state: LogState) {
    this.#state = state;
  }

  /** @returns undefined when it is not in memory: `fetch()` it, or it is not in the log */
  peek(sequence: number): ReadRecord | undefined {
    const segment = this.#state.segments.of(sequence);
    const row = segment?.rowOf(sequence) ?? -1;
    if (segment === undefined || row < 0) return undefined;
    const offset = segment.offsetOf(row);
    for (let index = this.#pieces.length - 1; index >= 0; index -= 1) {
      const piece = this.#pieces[index] as Piece;
      if (piece.segment !== segment || offset < piece.start) continue;
      const at = offset - piece.start;
      // Between two records may be marks: this is the end of the piece only when the head says so.
      if (at + RECORD_HEADER_BYTES > piece.length) continue;
      const record = this.#recordAt(piece, at, sequence);
      if (record !== undefined) return record;
    }
    return undefined;
  }

  /** @returns undefined when the piece ends before the record does */
  #recordAt({ memory, length, segment, start }: Piece, at: number, sequence: number): ReadRecord | undefined {
    const { seed } = this.#state;
    const isHead = isHeadValid(memory, at, length - at, seed) && kindAt(memory, at) === 1;
    if (!isHead || sequenceAt(memory, at) !== sequence) {
      // A head of extra streams may be cut off by the end of the piece.
      if (length - at < RECORD_HEADER_BYTES + 4 * 0xffff && length < segment.writtenBytes - start)
        return undefined;
      throw this.#damaged(segment, start + at, 'the head of a record', sequence, undefined);
    }
    if (at + strideAt(memory, at) > length) return undefined;
    if (!isBodyValid(memory, at, seed)) {
      throw this.#damaged(segment, start + at, 'the body of a record', sequence, streamsAt(memory, at));
    }
    return {
      stream: readWord(memory, at + RECORD.stream),
      note: readWord(memory, at + RECORD.note),
      stamp: memory.floats[(at + RECORD.stamp) >>> 3] as number,
      body: bodyOf(memory, at),
    };
  }

  #damaged(
    segment: Segment,
    offset: number,
    what: string,
    sequence: number,
    streams: readonly number[] | undefined,
  ): Error {
    const damage: Damage = {
      file: segment.name,
      offset,
      what: `${what} is not what was written`,
      sequence,
      ...(streams === undefined ? {} : { streams }),
    };
    this.#state.hooks.damaged?.(damage);
    return corrupt(this.#state.disk.folder, damage);
  }

  /** Whether a record is in a segment: it lives, or its room has not been freed yet. */
  has(sequence: number): boolean {
    return (this.#state.segments.of(sequence)?.rowOf(sequence) ?? -1) >= 0;
  }

  /** Reads a record, and what follows it, into memory. Does nothing when there is no such record. */
  async fetch(sequence: number): Promise<void> {
    const segment = this.#state.segments.of(sequence);
    const row = segment?.rowOf(sequence) ?? -1;
    if (segment === undefined || row < 0) return;
    const start = segment.offsetOf(row);
    // What lies between this record and the next is at least the record.
    const least = segment.endOf(row) - start;
    const bytes = Math.min(Math.max(AHEAD_BYTES, least), segment.writtenBytes - start);
    const memory = newMemory(bytes);
    const file = segment.use();
    try {
      const length = await this.#read(file, memory.bytes.subarray(0, bytes), start);
      if (length < bytes)
        throw this.#damaged(segment, start + length, 'the end of the file', sequence, undefined);
      this.#pieces = this.#pieces
        .slice(-(PIECES - 1))
        .filter((piece) => piece.segment !== segment || piece.start !== start);
      this.#pieces.push({ segment, start, length, memory });
    } catch (error) {
      if (error instanceof NaruError) throw error;
      throw storageError(this.#state.disk.folder, `reading ${segment.name}`, error);
    } finally {
      await segment.release();
    }
  }

  async #read(file: DiskFile, into: Uint8Array, offset: number): Promise<number> {
    if (this.#reads >= READS_MAX) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#reads += 1;
    try {
      return await file.read(into, offset);
    } finally {
      this.#reads -= 1;
      this.#queue.shift()?.();
    }
  }
}
