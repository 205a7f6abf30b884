// Messages of one lane that wait until a consumer has received them (`confirm: 'received'`).

import { NaruError } from '../errors/index.ts';
import type { LaneWriter } from '../ring/lane-writer.ts';
import { RECORD_FLAG } from '../ring/layout.ts';
import { distance } from '../ring/record.ts';

interface Pending {
  /** Of the payload in the mapped memory: where its record's flags are found. */
  readonly offset: number;
  /** Position after the record. */
  readonly end: number;
  readonly done: (error?: Error) => void;
}

export class PendingReceipts {
  readonly #writer: LaneWriter;
  readonly #place: string;
  #pending: Pending[] = [];

  /** @param place  scheme of the place, for errors */
  constructor(writer: LaneWriter, place: string) {
    this.#writer = writer;
    this.#place = place;
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

  /** Whether any has its answer. Several consumers receive in no particular order. */
  hasNews(): boolean {
    if (this.#pending.length === 0) return false;
    const head = this.#writer.loadHead();
    return this.#pending.some((pending) => this.#isAnswered(pending, head));
  }

  /** Answers what was received. Must see every head before the producer may write over what lies before it. */
  resolve(head: number): void {
    if (this.#pending.length === 0) return;
    const left: Pending[] = [];
    for (const pending of this.#pending) {
      if (!this.#isAnswered(pending, head)) {
        left.push(pending);
        continue;
      }
      const wasDropped = (this.#writer.flagsAt(pending.offset) & RECORD_FLAG.dropped) !== 0;
      later(pending.done, wasDropped ? droppedError(this.#place) : undefined);
    }
    this.#pending = left;
  }

  fail(error: Error): void {
    const pending = this.#pending;
    this.#pending = [];
    for (const { done } of pending) later(done, error);
  }

  #isAnswered({ offset, end }: Pending, head: number): boolean {
    return distance(end, head) <= 0 || (this.#writer.flagsAt(offset) & RECORD_FLAG.received) !== 0;
  }
}

/** Never from inside offer(). */
export function later(done: (error?: Error) => void, error: Error | undefined): void {
  queueMicrotask(() => done(error));
}

function droppedError(place: string): NaruError {
  return new NaruError(
    'NARU_TIMEOUT',
    'the message expired (ttlMs) or was damaged before anybody received it',
    { place },
  );
}
