// The messages of one queue (of one priority of it) in order: numbers in typed arrays, no object per message. Ends are
// constant time; what comes back from a consumer goes in at its old position.

import { grow } from '../typed.ts';

const SIZE_MIN = 16;
/** Positions of one ring lie at most so far apart. */
const DISTANCE_MAX = 0xffff_ffff;

/** An entry outside a ring. */
export interface Entry {
  readonly slot: number;
  /** Position in the queue: what was put in earlier has a smaller one. */
  readonly position: number;
  /** When it expires, in the clock's time; Infinity: never. */
  readonly expiresAt: number;
  /** How often it was given to a consumer and came back. */
  readonly returns: number;
}

export class EntryRing {
  #slots = new Uint32Array(SIZE_MIN);
  /** Distances from `#base`: half the memory of the positions themselves. Null while they go up by ones, from `#base` at the head. */
  #positions: Uint32Array | null = null;
  #base = 0;
  /** Made when the first entry needs it. */
  #expiry: Float64Array | null = null;
  #returns: Uint16Array | null = null;
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(slot: number, position: number, expiresAt: number, returns: number): void {
    if (this.#size === this.#slots.length) this.#resize(this.#size * 2);
    if (this.#size === 0) this.#begin(position);
    else if (this.#positions === null && position !== this.#base + this.#size) this.#loosen();
    if (position - this.#base > DISTANCE_MAX) this.#rebase(position);
    const index = (this.#head + this.#size) & (this.#slots.length - 1);
    this.#size += 1;
    this.#set(index, slot, position, expiresAt, returns);
  }

  unshift(slot: number, position: number, expiresAt: number, returns: number): void {
    if (this.#size === this.#slots.length) this.#resize(this.#size * 2);
    if (this.#size === 0) this.#begin(position);
    else if (this.#positions === null && position === this.#base - 1) this.#base = position;
    else if (this.#positions === null) this.#loosen();
    if (position < this.#base) this.#rebase(position);
    this.#head = (this.#head - 1) & (this.#slots.length - 1);
    this.#size += 1;
    this.#set(this.#head, slot, position, expiresAt, returns);
  }

  /** Of the first entry; there must be one. */
  firstSlot(): number {
    return this.#slots[this.#head] as number;
  }

  firstPosition(): number {
    return this.#positions === null ? this.#base : this.#base + (this.#positions[this.#head] as number);
  }

  firstExpiry(): number {
    return this.#expiry === null ? Infinity : (this.#expiry[this.#head] as number);
  }

  firstReturns(): number {
    return this.#returns === null ? 0 : (this.#returns[this.#head] as number);
  }

  /** Forgets the first entry. */
  shift(): void {
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    this.#size -= 1;
    if (this.#positions === null) this.#base += 1;
    if (this.#slots.length > 1024 && this.#size * 8 < this.#slots.length)
      this.#resize(this.#slots.length / 4);
  }

  /** Puts entries back where they were. @param entries  in order of position */
  restore(entries: readonly Entry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    const before: Entry[] = [];
    while (this.#size > 0 && this.firstPosition() < last.position) {
      before.push(this.#first());
      this.shift();
    }
    let at = before.length - 1;
    for (let i = entries.length - 1; i >= 0; i -= 1) {
      const entry = entries[i] as Entry;
      while (at >= 0 && (before[at] as Entry).position > entry.position) {
        this.#unshiftEntry(before[at] as Entry);
        at -= 1;
      }
      this.#unshiftEntry(entry);
    }
    for (; at >= 0; at -= 1) this.#unshiftEntry(before[at] as Entry);
  }

  /** Entries in order, from the first. For looking, not for the hot path. */
  *entries(): Generator<Entry> {
    for (let i = 0; i < this.#size; i += 1) yield this.#at((this.#head + i) & (this.#slots.length - 1));
  }

  #first(): Entry {
    return this.#at(this.#head);
  }

  #at(index: number): Entry {
    return {
      slot: this.#slots[index] as number,
      position: this.#positionAt(index),
      expiresAt: this.#expiry === null ? Infinity : (this.#expiry[index] as number),
      returns: this.#returns === null ? 0 : (this.#returns[index] as number),
    };
  }

  #positionAt(index: number): number {
    const distance =
      this.#positions === null
        ? (index - this.#head) & (this.#slots.length - 1)
        : (this.#positions[index] as number);
    return this.#base + distance;
  }

  /** The first entry of an empty ring. */
  #begin(position: number): void {
    this.#positions = null;
    this.#base = position;
  }

  /** The positions do not go up by ones any more: each is written down. */
  #loosen(): void {
    const positions = new Uint32Array(this.#slots.length);
    for (let i = 0; i < this.#size; i += 1) positions[(this.#head + i) & (positions.length - 1)] = i;
    this.#positions = positions;
  }

  #unshiftEntry({ slot, position, expiresAt, returns }: Entry): void {
    this.unshift(slot, position, expiresAt, returns);
  }

  #set(index: number, slot: number, position: number, expiresAt: number, returns: number): void {
    this.#slots[index] = slot;
    if (this.#positions !== null) this.#positions[index] = Math.max(0, position - this.#base);
    if (this.#expiry !== null) this.#expiry[index] = expiresAt;
    else if (expiresAt !== Infinity) {
      this.#expiry = new Float64Array(this.#slots.length).fill(Infinity);
      this.#expiry[index] = expiresAt;
    }
    if (this.#returns !== null) this.#returns[index] = returns;
    else if (returns !== 0) {
      this.#returns = new Uint16Array(this.#slots.length);
      this.#returns[index] = returns;
    }
  }

  /** Makes room for a position before the first or far behind the last. Beyond 2^32 from the last it only stays before the others. */
  #rebase(position: number): void {
    const positions = this.#positions;
    if (positions === null) return;
    const mask = this.#slots.length - 1;
    const last = this.#size === 0 ? position : this.#at((this.#head + this.#size - 1) & mask).position;
    const first = this.#size === 0 ? position : this.firstPosition();
    const base = Math.max(Math.min(first, position), Math.max(last, position) - DISTANCE_MAX);
    for (let i = 0; i < this.#size; i += 1) {
      const at = (this.#head + i) & mask;
      positions[at] = Math.max(0, this.#base + (positions[at] as number) - base);
    }
    this.#base = base;
  }

  /** Unrolls the ring into arrays of another size. */
  #resize(length: number): void {
    const mask = this.#slots.length - 1;
    const order = <T extends Uint32Array | Float64Array | Uint16Array>(from: T, to: T): T => {
      for (let i = 0; i < this.#size; i += 1) to[i] = from[(this.#head + i) & mask] as number;
      return to;
    };
    if (this.#head === 0 && length > this.#slots.length) {
      this.#slots = grow(this.#slots, new Uint32Array(length));
      if (this.#positions !== null) this.#positions = grow(this.#positions, new Uint32Array(length));
      if (this.#expiry !== null) this.#expiry = grow(this.#expiry, new Float64Array(length));
      if (this.#returns !== null) this.#returns = grow(this.#returns, new Uint16Array(length));
      return;
    }
    this.#slots = order(this.#slots, new Uint32Array(length));
    if (this.#positions !== null) this.#positions = order(this.#positions, new Uint32Array(length));
    if (this.#expiry !== null) this.#expiry = order(this.#expiry, new Float64Array(length));
    if (this.#returns !== null) this.#returns = order(this.#returns, new Uint16Array(length));
    this.#head = 0;
  }
}
