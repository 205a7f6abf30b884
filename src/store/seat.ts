// A consumer's seat at a queue: what it wants, whether it was called, and the table of what it has in flight. Who is called
// when is in roster.ts.

import { emptyRing } from './deque.ts';
import type { FlightTable, Slot } from './slot.ts';

/** What a seat may have in flight at most. */
export const FLIGHTS_MAX: number = 2 ** 24;

/** Smallest table, and what a table shrinks to when nothing is in flight. A power of two. */
const TABLE_MIN = 1024;

/**
 * The slots a seat has in flight, by token. Tokens only count up, so none is ever used again and the first two thousand
 * million are small integers, which need no memory of their own. A slot stands at the low bits of its token; a token whose
 * place is taken is left out. A Map costs more than the whole rest of the store.
 */
export class Flights<T> implements FlightTable<T> {
  #slots: (Slot<T> | undefined)[] = emptyRing(TABLE_MIN);
  #last = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Gives the slot a token. */
  add(slot: Slot<T>): void {
    // At most half full: the next free place is near.
    if (this.#size * 2 >= this.#slots.length) this.#grow();
    const slots = this.#slots;
    const mask = slots.length - 1;
    let token = this.#last + 1;
    while (slots[token & mask] !== undefined) token += 1;
    slots[token & mask] = slot;
    slot.token = token;
    this.#last = token;
    this.#size += 1;
  }

  get(token: number): Slot<T> | undefined {
    const slot = this.#slots[token & (this.#slots.length - 1)];
    return slot !== undefined && slot.token === token ? slot : undefined;
  }

  /** @returns undefined when the token is not in flight */
  remove(token: number): Slot<T> | undefined {
    const slots = this.#slots;
    const index = token & (slots.length - 1);
    const slot = slots[index];
    if (slot === undefined || slot.token !== token) return undefined;
    slots[index] = undefined;
    this.#size -= 1;
    if (this.#size === 0 && slots.length > TABLE_MIN) this.#slots = emptyRing(TABLE_MIN);
    return slot;
  }

  /** All of them, oldest first. */
  list(): Slot<T>[] {
    const slots = this.#slots.filter((slot) => slot !== undefined);
    return slots.sort((a, b) => a.sequence - b.sequence);
  }

  /** Takes all out, oldest first. */
  drain(): Slot<T>[] {
    const slots = this.list();
    this.#slots = emptyRing(TABLE_MIN);
    this.#size = 0;
    return slots;
  }

  /** Slots whose places differ in a table have different places in one of twice its size, too. */
  #grow(): void {
    const slots = emptyRing<Slot<T>>(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (const slot of this.#slots) if (slot !== undefined) slots[slot.token & mask] = slot;
    this.#slots = slots;
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
