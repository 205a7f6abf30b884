// What one channel was given and has not settled, in the order of delivery tags: a ring of numbers in typed arrays, no object per
// message. Tags have gaps, so a tag is found by halving; what was settled out of order leaves a hole until the head reaches it.

import type { Queue } from '../queue/queue.ts';
import type { Entry } from '../queue/ring.ts';
import { grow } from '../typed.ts';
import type { Holder } from './subscription.ts';

const SIZE_MIN = 16;

export class Unacked {
  #tags = new Float64Array(SIZE_MIN);
  #slots = new Uint32Array(SIZE_MIN);
  #positions = new Float64Array(SIZE_MIN);
  #expiry = new Float64Array(SIZE_MIN);
  #returns = new Uint16Array(SIZE_MIN);
  /** Undefined: a hole. */
  #queues: (Queue | undefined)[] = [];
  #holders: (Holder | undefined)[] = [];
  #head = 0;
  #size = 0;
  #count = 0;

  /** Messages that are not settled. */
  get count(): number {
    return this.#count;
  }

  push(
    tag: number,
    queue: Queue,
    holder: Holder | undefined,
    slot: number,
    position: number,
    expiresAt: number,
    returns: number,
  ): void {
    if (this.#size === this.#tags.length) this.#makeRoom();
    const at = this.#index(this.#size);
    this.#tags[at] = tag;
    this.#slots[at] = slot;
    this.#positions[at] = position;
    this.#expiry[at] = expiresAt;
    this.#returns[at] = returns;
    this.#queues[at] = queue;
    this.#holders[at] = holder;
    this.#size += 1;
    this.#count += 1;
  }

  /** Whether a tag was given and not settled. */
  has(tag: number): boolean {
    return this.#find(tag) >= 0;
  }

  /** The tag of the oldest that is not settled; Infinity when there is none. */
  get oldest(): number {
    return this.#count === 0 ? Infinity : (this.#tags[this.#head] as number);
  }

  /** Settles one by ack. @returns false when there is no such tag */
  ack(tag: number): boolean {
    const at = this.#find(tag);
    if (at < 0) return false;
    this.#ackAt(at);
    this.#trim();
    return true;
  }

  /** Settles all up to a tag by ack. */
  ackUntil(tag: number): void {
    while (this.#size > 0 && (this.#tags[this.#head] as number) <= tag) {
      if (this.#queues[this.#head] !== undefined) this.#ackAt(this.#head);
      this.#dropHead();
    }
    this.#trim();
  }

  /** Takes one out, or all up to it, for the caller to deal with, in order of tags. */
  take(tag: number, multiple: boolean, taken: (queue: Queue, entry: Entry) => void): void {
    if (!multiple) {
      const at = this.#find(tag);
      if (at >= 0) this.#takeAt(at, taken);
    } else {
      while (this.#size > 0 && (this.#tags[this.#head] as number) <= tag) {
        if (this.#queues[this.#head] !== undefined) this.#takeAt(this.#head, taken);
        this.#dropHead();
      }
    }
    this.#trim();
  }

  /** Calls `fn` with each that is not settled, in order of tags. */
  each(fn: (tag: number, queue: Queue) => void): void {
    for (let offset = 0; offset < this.#size; offset += 1) {
      const at = this.#index(offset);
      const queue = this.#queues[at];
      if (queue !== undefined) fn(this.#tags[at] as number, queue);
    }
  }

  #ackAt(at: number): void {
    const queue = this.#queues[at] as Queue;
    this.#holders[at]?.settled();
    this.#clear(at);
    queue.ack(this.#slots[at] as number);
  }

  #takeAt(at: number, taken: (queue: Queue, entry: Entry) => void): void {
    const queue = this.#queues[at] as Queue;
    const entry = {
      slot: this.#slots[at] as number,
      position: this.#positions[at] as number,
      expiresAt: this.#expiry[at] as number,
      returns: this.#returns[at] as number,
    };
    this.#holders[at]?.settled();
    this.#clear(at);
    taken(queue, entry);
  }

  #clear(at: number): void {
    this.#queues[at] = undefined;
    this.#holders[at] = undefined;
    this.#count -= 1;
  }

  /** @returns where the tag is in the arrays, or -1 */
  #find(tag: number): number {
    let low = 0;
    let high = this.#size - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const at = this.#index(middle);
      const found = this.#tags[at] as number;
      if (found === tag) return this.#queues[at] === undefined ? -1 : at;
      if (found < tag) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  #index(offset: number): number {
    return (this.#head + offset) & (this.#tags.length - 1);
  }

  #dropHead(): void {
    this.#head = (this.#head + 1) & (this.#tags.length - 1);
    this.#size -= 1;
  }

  /** Holes at the head go. */
  #trim(): void {
    while (this.#size > 0 && this.#queues[this.#head] === undefined) this.#dropHead();
  }

  /** Closes holes when they are many, else doubles. */
  #makeRoom(): void {
    if (this.#count * 2 > this.#size) this.#grow();
    let to = 0;
    for (let offset = 0; offset < this.#size; offset += 1) {
      const at = this.#index(offset);
      if (this.#queues[at] === undefined) continue;
      if (to !== offset) this.#move(at, this.#index(to));
      to += 1;
    }
    this.#size = to;
  }

  #move(from: number, to: number): void {
    this.#tags[to] = this.#tags[from] as number;
    this.#slots[to] = this.#slots[from] as number;
    this.#positions[to] = this.#positions[from] as number;
    this.#expiry[to] = this.#expiry[from] as number;
    this.#returns[to] = this.#returns[from] as number;
    this.#queues[to] = this.#queues[from];
    this.#holders[to] = this.#holders[from];
    this.#queues[from] = undefined;
    this.#holders[from] = undefined;
  }

  /** Twice the room; what had wrapped round moves behind. */
  #grow(): void {
    const before = this.#tags.length;
    const size = before * 2;
    this.#tags = grow(this.#tags, new Float64Array(size));
    this.#slots = grow(this.#slots, new Uint32Array(size));
    this.#positions = grow(this.#positions, new Float64Array(size));
    this.#expiry = grow(this.#expiry, new Float64Array(size));
    this.#returns = grow(this.#returns, new Uint16Array(size));
    const wrapped = this.#head + this.#size - before;
    for (let at = 0; at < wrapped; at += 1) this.#move(at, before + at);
  }
}
