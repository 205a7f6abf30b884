// A consumer's seat at a queue: what it wants, whether it was called, and the table of what it has in flight. Who is called
// when is in roster.ts.

import type { FlightTable, Slot } from './slot.ts';

/** Bits of a token that are the index in the seat's table; the rest is a serial number. */
const INDEX_BITS = 24;
const INDEX_MASK = 2 ** INDEX_BITS - 1;
const SERIAL_END = 2 ** (53 - INDEX_BITS);

/** A table that has grown beyond this is given back when nothing is in flight. */
const TABLE_KEPT = 1024;

/** What a seat may have in flight at most. */
export const FLIGHTS_MAX: number = INDEX_MASK + 1;

/** The slots a seat has in flight, by token: an array with reused places, since a Map costs more than the whole rest. */
export class Flights<T> implements FlightTable<T> {
  readonly #slots: (Slot<T> | undefined)[] = [];
  readonly #free: number[] = [];
  #serial = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Gives the slot a token that no slot in flight here has, and that stale holders of the place do not have. */
  add(slot: Slot<T>): void {
    const index = this.#free.pop() ?? this.#slots.length;
    this.#slots[index] = slot;
    this.#serial = this.#serial + 1 === SERIAL_END ? 1 : this.#serial + 1;
    slot.token = this.#serial * (INDEX_MASK + 1) + index;
    this.#size += 1;
  }

  get(token: number): Slot<T> | undefined {
    const slot = this.#slots[token & INDEX_MASK];
    return slot !== undefined && slot.token === token ? slot : undefined;
  }

  /** @returns undefined when the token is not in flight */
  remove(token: number): Slot<T> | undefined {
    const index = token & INDEX_MASK;
    const slot = this.#slots[index];
    if (slot === undefined || slot.token !== token) return undefined;
    this.#slots[index] = undefined;
    this.#free.push(index);
    this.#size -= 1;
    if (this.#size === 0 && this.#slots.length > TABLE_KEPT) {
      this.#slots.length = 0;
      this.#free.length = 0;
    }
    return slot;
  }

  /** Takes all out, oldest first. */
  drain(): Slot<T>[] {
    const slots = this.#slots.filter((slot) => slot !== undefined);
    this.#slots.length = 0;
    this.#free.length = 0;
    this.#size = 0;
    return slots.sort((a, b) => a.sequence - b.sequence);
  }
}

/** One subscription, as its queue sees it. */
export interface Seat<T> {
  readonly ready: () => void;
  readonly flights: Flights<T>;
  /** How many more it would take. */
  want: number;
  /** ready() was called and it has not come to take since. */
  called: boolean;
  /** It was called because the end was reached: once is enough. */
  toldEnd: boolean;
  closed: boolean;
  /** Neighbours in the line; a seat in the line has `lined`. */
  lined: boolean;
  before: Seat<T> | undefined;
  after: Seat<T> | undefined;
}
