// Publisher confirms of one channel, in the order of the publishes and as few frames as possible: one cumulative ack for all that
// is settled, a nack for each that was refused. What storage has not got far enough yet holds up what came after it.

import { writeBasicAck, writeBasicNack } from '../../wire/amqp091/index.ts';
import type { Output } from './output.ts';

const PENDING = 0;
const ACKED = 1;
const NACKED = 2;
const SIZE_MIN = 64;

export class Confirms {
  #states = new Uint8Array(SIZE_MIN);
  /** The sequence that storage must reach before a pending one is acked. Made when the first is stored. */
  #sequences: Float64Array | null = null;
  /** Before it nothing is pending. */
  #pendingFrom = 1;
  /** Tag of the oldest publish that was not answered. */
  #first = 1;
  #next = 1;
  /** All from the first on are acked up to here, without looking. */
  #settledUntil = 1;

  /** Publishes that were not answered. */
  get pending(): number {
    return this.#next - this.#first;
  }

  /** A publish came that is acked when storage reaches a sequence. Sequences never go down. */
  expect(sequence: number): void {
    const tag = this.#add(PENDING);
    this.#sequences ??= new Float64Array(this.#states.length);
    this.#sequences[tag & (this.#states.length - 1)] = sequence;
  }

  /** Storage has reached a sequence. @returns whether any publish waits for more */
  reach(sequence: number): boolean {
    const mask = this.#states.length - 1;
    let tag = Math.max(this.#pendingFrom, this.#first);
    for (; tag < this.#next; tag += 1) {
      if (this.#states[tag & mask] !== PENDING || tag < this.#settledUntil) continue;
      if ((this.#sequences?.[tag & mask] ?? 0) > sequence) break;
      this.#states[tag & mask] = ACKED;
    }
    this.#pendingFrom = tag;
    return tag < this.#next;
  }

  /** A publish came and is settled. */
  add(acked: boolean): void {
    if (acked && this.#settledUntil === this.#next) {
      // Nothing before it waits: it needs no memory of its own.
      this.#next += 1;
      this.#settledUntil = this.#next;
      return;
    }
    this.#add(acked ? ACKED : NACKED);
  }

  /** Answers what is settled. */
  flush(output: Output, channel: number): void {
    let acked = this.#first;
    if (this.#settledUntil > acked) acked = this.#settledUntil;
    while (acked < this.#next) {
      const state = this.#states[acked & (this.#states.length - 1)];
      if (state === PENDING) break;
      if (state === NACKED) {
        this.#ackUntil(acked, output, channel);
        writeBasicNack(output, channel, { deliveryTag: acked, multiple: false, requeue: false });
        this.#first = acked + 1;
      }
      acked += 1;
    }
    this.#ackUntil(acked, output, channel);
    this.#settledUntil = Math.max(this.#settledUntil, this.#first);
  }

  #ackUntil(end: number, output: Output, channel: number): void {
    const count = end - this.#first;
    if (count > 0) writeBasicAck(output, channel, { deliveryTag: end - 1, multiple: count > 1 });
    this.#first = Math.max(this.#first, end);
  }

  #add(state: number): number {
    const tag = this.#next;
    if (tag - this.#first >= this.#states.length) this.#grow();
    this.#states[tag & (this.#states.length - 1)] = state;
    this.#next += 1;
    return tag;
  }

  #grow(): void {
    const before = this.#states;
    const grown = new Uint8Array(before.length * 2);
    for (let tag = this.#first; tag < this.#next; tag += 1) {
      grown[tag & (grown.length - 1)] = before[tag & (before.length - 1)] as number;
    }
    this.#states = grown;
    const sequences = this.#sequences;
    if (sequences === null) return;
    this.#sequences = new Float64Array(grown.length);
    for (let tag = this.#first; tag < this.#next; tag += 1) {
      this.#sequences[tag & (grown.length - 1)] = sequences[tag & (before.length - 1)] as number;
    }
  }
}
