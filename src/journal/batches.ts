// The batches of a journal that are in memory: those that came in and that some group has yet to have, and those that were read back
// last. What is in neither is fetched, once for all groups that want it.

import type { NaruError } from '../errors/index.ts';
import type { Log } from '../log/index.ts';
import { Deque } from '../store/deque.ts';
import { type Batch, readBatch } from './batch.ts';
import type { MessageIndex } from './message-index.ts';

/** Bytes that came in and are kept in memory until every group has had them. */
const FRESH_BYTES_MAX = 16 << 20;
const FRESH_MAX = 65_536;
/** Batches that were read back and are kept: groups that are near each other share them. */
const READ_MAX = 16;

/** Who wants a batch. */
export interface Reader {
  /** What it wanted may be there now. */
  feed(): void;
}

export class Batches {
  readonly #log: Log;
  readonly #index: MessageIndex;
  readonly #failed: (error: NaruError) => void;
  readonly #fresh = new Deque<Batch>();
  #freshBytes = 0;
  #read: Batch[] = [];
  readonly #fetching = new Map<number, { readonly readers: Set<Reader>; readonly done: Promise<void> }>();
  /** Times something was read from the disk. */
  fetches = 0;

  constructor(log: Log, index: MessageIndex, failed: (error: NaruError) => void) {
    this.#log = log;
    this.#index = index;
    this.#failed = failed;
  }

  /** One came in, behind all others. */
  add(batch: Batch): void {
    this.#fresh.push(batch);
    this.#freshBytes += batch.bytes;
  }

  /** The batch of a message; undefined: it is being fetched, and the reader is told when it is there. */
  get(reader: Reader, number: number): Batch | undefined {
    const known = this.#freshOne(number) ?? this.#read.find((batch) => batch.has(number));
    if (known !== undefined) return known;
    const sequence = this.#index.sequenceOf(number);
    try {
      const record = this.#log.peek(sequence);
      if (record !== undefined) {
        const batch = readBatch(record);
        this.#read = [...this.#read.slice(1 - READ_MAX), batch];
        return batch;
      }
    } catch (error) {
      this.#failed(error as NaruError);
      return undefined;
    }
    this.#fetch(reader, sequence);
    return undefined;
  }

  /**
   * What every group has had, and what is too much to keep, as far as it is in the log.
   * @param fed     everything up to this number was given to all groups
   * @param placed  everything up to this number is written
   */
  forget(fed: number, placed: number): void {
    const fresh = this.#fresh;
    for (let batch = fresh.front(); batch !== undefined && batch.last <= placed; batch = fresh.front()) {
      const isMuch = fresh.size > FRESH_MAX || this.#freshBytes > FRESH_BYTES_MAX;
      if (batch.last > fed && !isMuch) return;
      fresh.shift();
      this.#freshBytes -= batch.bytes;
    }
  }

  /** Resolves when nothing is being fetched any more. */
  async fetched(): Promise<void> {
    while (this.#fetching.size > 0) {
      await Promise.all(Array.from(this.#fetching.values(), ({ done }) => done));
    }
  }

  #freshOne(number: number): Batch | undefined {
    const fresh = this.#fresh;
    let low = 0;
    let high = fresh.size - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const batch = fresh.at(middle) as Batch;
      if (batch.has(number)) return batch;
      if (batch.first < number) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }

  #fetch(reader: Reader, sequence: number): void {
    const waiting = this.#fetching.get(sequence);
    if (waiting !== undefined) {
      waiting.readers.add(reader);
      return;
    }
    const readers = new Set([reader]);
    this.fetches += 1;
    const done = this.#log.fetch(sequence).then(
      () => {
        this.#fetching.delete(sequence);
        for (const each of readers) each.feed();
        return undefined;
      },
      (error: unknown) => {
        this.#fetching.delete(sequence);
        this.#failed(error as NaruError);
      },
    );
    this.#fetching.set(sequence, { readers, done });
  }
}
