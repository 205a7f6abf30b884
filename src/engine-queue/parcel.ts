// Messages that go into one transaction, encoded one behind the other in one piece of memory: an engine's client has one value to carry, and
// nothing is made for each message.

import type { Outgoing } from '../mailbox/driver.ts';
import { encodeNamed, viewOf } from '../wire/named-envelope.ts';
import type { NewRow } from './backend.ts';

/** Where the memory of a new parcel begins, and what is no reason to begin with more. */
const BYTES_MIN = 4_096;
const BYTES_MAX = 65_536;

export class Parcel {
  readonly rows: NewRow[] = [];
  /** What all of them count for. */
  size = 0;
  #bytes: Buffer;
  #view: DataView;
  #used = 0;

  /** @param expected  bytes that it will have, as a guess */
  constructor(expected = 0) {
    this.#bytes = Buffer.allocUnsafe(Math.min(BYTES_MAX, Math.max(BYTES_MIN, expected)));
    this.#view = viewOf(this.#bytes);
  }

  /** All that was encoded. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#used);
  }

  /**
   * @param length  as namedSize() says
   * @param counted  what it counts for against the capacity
   */
  add(message: Outgoing, sender: string, length: number, counted: number): void {
    this.#reserve(length);
    const from = this.#used;
    encodeNamed(message, sender, this.#bytes, this.#view, from);
    this.#push(message, from, length, counted);
  }

  /** Another one's messages, from the nth, to the end or before another one. */
  addAll(other: Parcel, nth = 0, end?: number): void {
    const { bytes } = other;
    for (const { message, from, to, size } of other.rows.slice(nth, end)) {
      this.#reserve(to - from);
      const at = this.#used;
      bytes.copy(this.#bytes, at, from, to);
      this.#push(message, at, to - from, size);
    }
  }

  #push(message: Outgoing, from: number, length: number, size: number): void {
    const { priority = 0, delayMs, ttlMs } = message.fields ?? {};
    this.#used = from + length;
    this.size += size;
    this.rows.push({ message, from, to: this.#used, size, priority, delayMs, ttlMs });
  }

  #reserve(length: number): void {
    const needed = this.#used + length;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, Math.min(this.#bytes.length * 2, needed * 2)));
    this.#bytes.copy(larger, 0, 0, this.#used);
    this.#bytes = larger;
    this.#view = viewOf(larger);
  }
}
