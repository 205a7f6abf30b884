// Who waits for something: a bit for each seat, in two words beside the thing itself, so that whoever makes it available finds out
// with two loads whether anybody is to be rung. How somebody sleeps and is rung is doorbell.ts's.

import { PARTICIPANTS } from './layout.ts';

/** Words that a list takes. */
export const WAIT_LIST_WORDS: number = PARTICIPANTS / 32;

/**
 * One seat's view of a list. A sleeper: join() · park its doorbell · LOOK AGAIN · sleep. A ringer: stores its news, then asks isEmpty. Either the
 * ringer sees the bit, or the sleeper's look comes after the news. A bit that stays set too long costs a look at a doorbell, no more.
 */
export class WaitList {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #slot: number;
  #isIn = false;
  /** The seat that is looked at first: everybody has its turn. */
  #next = 0;

  /** @param at  index of the first of its words */
  constructor(words: Int32Array, at: number, slot: number) {
    this.#words = words;
    this.#at = at;
    this.#slot = slot;
  }

  /** This seat waits. */
  join(): void {
    if (this.#isIn) return;
    this.#isIn = true;
    Atomics.or(this.#words, this.#at + (this.#slot >>> 5), 1 << (this.#slot & 31));
  }

  /** This seat waits no more. */
  leave(): void {
    if (!this.#isIn) return;
    this.#isIn = false;
    removeWaiting(this.#words, this.#at, this.#slot);
  }

  /** Whether nobody waits. Call it after the store of the news. */
  get isEmpty(): boolean {
    return (Atomics.load(this.#words, this.#at) | Atomics.load(this.#words, this.#at + 1)) === 0;
  }

  /** Rings the first who sleeps, beginning with whoever's turn it is. @param ring  @returns true when it rang */
  ringOne(ring: (slot: number) => boolean): void {
    for (const slot of this.#others()) {
      if (!ring(slot)) continue;
      this.#next = (slot + 1) % PARTICIPANTS;
      return;
    }
  }

  /** Rings everybody. */
  ringAll(ring: (slot: number) => boolean): void {
    for (const slot of this.#others()) ring(slot);
  }

  #others(): number[] {
    const slots = waitingSlots(this.#words, this.#at).filter((slot) => slot !== this.#slot);
    const first = slots.findIndex((slot) => slot >= this.#next);
    return first <= 0 ? slots : [...slots.slice(first), ...slots.slice(0, first)];
  }
}

/** Seats whose bit is set, lowest first. */
export function waitingSlots(words: Int32Array, at: number): number[] {
  const slots: number[] = [];
  for (let word = 0; word < WAIT_LIST_WORDS; word += 1) {
    const mask = Atomics.load(words, at + word);
    for (let rest = mask; rest !== 0; rest &= rest - 1) slots.push(word * 32 + 31 - Math.clz32(rest & -rest));
  }
  return slots;
}

/** Takes a seat off a list: of one who waits no more, or is dead. */
export function removeWaiting(words: Int32Array, at: number, slot: number): void {
  Atomics.and(words, at + (slot >>> 5), ~(1 << (slot & 31)));
}
