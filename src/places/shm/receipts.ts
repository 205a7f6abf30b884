// Messages of one producer that wait until a consumer has received them (`confirm: 'received'`).

import { NaruError } from '../../errors/index.ts';
import type { LaneWriter } from '../../ring/lane-writer.ts';
import { LANE, RECORD_FLAG } from '../../ring/layout.ts';
import { laneWord, type RingMemory } from '../../ring/memory.ts';

interface Pending {
  /** Of the payload in the mapped memory: where its record's flags are found. */
  readonly offset: number;
  /** Position after the record. */
  readonly end: number;
  readonly done: (error?: Error) => void;
}

export class PendingReceipts {
  readonly #words: Int32Array;
  readonly #writer: LaneWriter;
  readonly #receivedWord: number;
  readonly #units: number;
  #pending: Pending[] = [];

  constructor(memory: RingMemory, writer: LaneWriter) {
    this.#words = memory.words;
    this.#writer = writer;
    this.#receivedWord = laneWord(writer.lane, LANE.received);
    this.#units = memory.geometry.laneBytes / 8;
  }

  get count(): number {
    return this.#pending.length;
  }

  add(offset: number, end: number, done: (error?: Error) => void): void {
    this.#pending.push({ offset, end, done });
  }

  /** The last ones were never published. */
  forgetLast(count: number): void {
    this.#pending.length = Math.max(0, this.#pending.length - count);
  }

  /** Whether the oldest one has its answer. */
  hasNews(): boolean {
    const first = this.#pending[0];
    return first !== undefined && this.#isReceived(first, this.#writer.loadHead());
  }

  /** Answers what was received. Must see every head before the producer may write over what lies before it. */
  resolve(head: number): void {
    let count = 0;
    for (const pending of this.#pending) {
      if (!this.#isReceived(pending, head)) break;
      count += 1;
      const wasDropped = (this.#writer.flagsAt(pending.offset) & RECORD_FLAG.dropped) !== 0;
      later(pending.done, wasDropped ? droppedError() : undefined);
    }
    if (count > 0) this.#pending = this.#pending.slice(count);
  }

  fail(error: Error): void {
    const pending = this.#pending;
    this.#pending = [];
    for (const { done } of pending) later(done, error);
  }

  /** The mark counts only while it lies between head and tail: an old one may look ahead once positions have wrapped. */
  #isReceived(pending: Pending, head: number): boolean {
    const end = (pending.end - head) | 0;
    if (end <= 0) return true;
    const received = (Atomics.load(this.#words, this.#receivedWord) - head) | 0;
    return received > 0 && received <= this.#units && end <= received;
  }
}

/** Never from inside offer(). */
function later(done: (error?: Error) => void, error: Error | undefined): void {
  queueMicrotask(() => done(error));
}

function droppedError(): NaruError {
  return new NaruError(
    'NARU_TIMEOUT',
    'the message expired (ttlMs) or was damaged before anybody received it',
    {
      place: 'shm',
    },
  );
}
