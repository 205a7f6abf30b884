// A semaphore in mapped memory: how many permits are left, and for each seat how many it has, so that those of the dead come
// back exactly once. No lock: every store may be the last one of whoever makes it, and a stopped process holds up nobody.
//
// A seat that changes the value first announces what it is about to do, then swaps in the new value together with its name and the number of the
// change, then notes what it has. Whoever overwrites a name first writes that change's number into the seat's `made` word. So of a change that
// was announced and not noted it can always be told whether it was made: its name is in the value, or its number is in `made`.

import { PARTICIPANTS } from './layout.ts';
import { TAKE, type Take } from './lock-word.ts';

/** Most permits there can be. */
export const PERMITS_MAX: number = 2 ** 31 - 1;
/** Most permits that one seat can have. */
export const HELD_MAX = 0xff_ffff;

/** The value's 64 bits: permits left (low half); slot + 1 of who changed it, above the number of that change (high half). */
const NAME_SHIFT = 25;
const NUMBER_MASK = 0x1ff_ffff;
/** A seat marks its own changes so often: far more often than numbers go half around. */
const MARK_MASK = 0xf_ffff;
/** A seat's word: permits it has (had before the change) · kind of the change that is under way. */
const KIND_SHIFT = 24;
const KIND = { none: 0, take: 1, give: 2, giveAll: 3 } as const;

/** Where a semaphore's words lie. */
export interface PermitWords {
  readonly words: Int32Array;
  /** The same memory in 64-bit words. */
  readonly wide: BigInt64Array;
  /** Index of the value in `wide`. */
  readonly value: number;
  /** Index of the word that says that permits came back from the dead since somebody was last told. */
  readonly returned: number;
  /** Index of the first of a seat's three words: what it has, number of its last announcement, number of a change that was made. */
  readonly seat: (slot: number) => number;
}

/** The value, taken apart; the halves of one 64-bit word that is read and swapped as a whole. */
const scratch = new Int32Array(2);
const scratchWide = new BigInt64Array(scratch.buffer);

function joined(left: number, name: number): bigint {
  scratch[0] = left;
  scratch[1] = name;
  return scratchWide[0] as bigint;
}

function leftIn(word: bigint): number {
  scratchWide[0] = word;
  return scratch[0] as number;
}

function nameIn(word: bigint): number {
  scratchWide[0] = word;
  return scratch[1] as number;
}

function nameOf(slot: number, number: number): number {
  return ((slot + 1) << NAME_SHIFT) | number;
}

/** Permits that are left. */
export function permitsLeft({ words, value }: PermitWords): number {
  return Atomics.load(words, value * 2);
}

/** Permits that a seat has, alive or dead. */
export function permitsHeld(at: PermitWords, slot: number): number {
  return settledState(at, slot).held;
}

/** One seat's view of a semaphore. */
export class Permits {
  readonly #at: PermitWords;
  readonly #slot: number;
  readonly #seatWord: number;
  readonly #failpoint: (name: string) => void;
  /** Number of the last announcement of this seat. */
  #number: number;
  #held = 0;

  /** @param slot  a seat that is free of permits: see returnPermits() */
  constructor(at: PermitWords, slot: number, failpoint: (name: string) => void) {
    this.#at = at;
    this.#slot = slot;
    this.#seatWord = at.seat(slot);
    this.#failpoint = failpoint;
    this.#number = Atomics.load(at.words, this.#seatWord + 1);
  }

  /** Permits that this seat has. */
  get held(): number {
    return this.#held;
  }

  /** @returns `recovered` when permits of a dead seat came back since anybody was last told */
  tryTake(): Take {
    const { words, returned } = this.#at;
    if (permitsLeft(this.#at) <= 0 || this.#held === HELD_MAX) return TAKE.busy;
    if (!this.#change(KIND.take, this.#held + 1)) return TAKE.busy;
    if (Atomics.load(words, returned) === 0) return TAKE.taken;
    return Atomics.compareExchange(words, returned, 1, 0) === 1 ? TAKE.recovered : TAKE.taken;
  }

  /** Gives back one that this seat has. @returns false when it has none */
  give(): boolean {
    return this.#held > 0 && this.#change(KIND.give, this.#held - 1);
  }

  /** Keeps one that this seat has for ever: nobody's death brings it back. @returns false when it has none */
  spend(): boolean {
    if (this.#held === 0) return false;
    this.#note(this.#held - 1);
    return true;
  }

  /** Makes one more than there were. @returns false when there are as many as there can be */
  add(): boolean {
    const { wide, value } = this.#at;
    for (;;) {
      const was = Atomics.load(wide, value);
      const left = leftIn(was);
      if (left >= PERMITS_MAX) return false;
      // Nothing of this seat changes, so nobody's name stands there afterwards.
      markMade(this.#at, was);
      this.#failpoint('permits:before-add');
      if (Atomics.compareExchange(wide, value, was, joined(left + 1, 0)) === was) return true;
    }
  }

  /** @returns false when there was nothing left to take; what was announced is taken back */
  #change(kind: typeof KIND.take | typeof KIND.give, held: number): boolean {
    const { words, wide, value } = this.#at;
    this.#number = (this.#number + 1) & NUMBER_MASK;
    // In this order: an announcement that can be seen has its number.
    Atomics.store(words, this.#seatWord + 1, this.#number);
    Atomics.store(words, this.#seatWord, this.#held | (kind << KIND_SHIFT));
    this.#failpoint('permits:announced');
    for (;;) {
      const was = Atomics.load(wide, value);
      const left = leftIn(was);
      if (kind === KIND.take && left <= 0) {
        this.#note(this.#held);
        return false;
      }
      const next = left + (kind === KIND.take ? -1 : 1);
      if (swap(this.#at, was, next, nameOf(this.#slot, this.#number), this.#failpoint)) break;
    }
    this.#failpoint('permits:swapped');
    this.#note(held);
    // Whoever marks tells old from new by the nearer way round: alone with the semaphore for long, this seat says where it is.
    if ((this.#number & MARK_MASK) === 0) Atomics.store(words, this.#seatWord + 2, this.#number);
    this.#failpoint('permits:noted');
    return true;
  }

  #note(held: number): void {
    Atomics.store(this.#at.words, this.#seatWord, held);
    this.#held = held;
  }
}

/** Writes value and name, after the change before it was marked as made. */
function swap(
  at: PermitWords,
  was: bigint,
  left: number,
  name: number,
  failpoint: (name: string) => void,
): boolean {
  markMade(at, was);
  failpoint('permits:before-swap');
  return Atomics.compareExchange(at.wide, at.value, was, joined(left, name)) === was;
}

/** Notes for a seat that the change whose name is in the value was made. Never steps back: who comes late with an old one changes nothing. */
function markMade(at: PermitWords, was: bigint): void {
  const name = nameIn(was);
  const slot = (name >>> NAME_SHIFT) - 1;
  if (slot < 0 || slot >= PARTICIPANTS) return;
  const made = at.seat(slot) + 2;
  const number = name & NUMBER_MASK;
  for (;;) {
    const known = Atomics.load(at.words, made);
    const ahead = (number - known) & NUMBER_MASK;
    if (ahead === 0 || ahead > NUMBER_MASK >>> 1) return;
    if (Atomics.compareExchange(at.words, made, known, number) === known) return;
  }
}

/** What a seat has, and the number of its last announcement. Of the dead only, or for show. */
function settledState(at: PermitWords, slot: number): { held: number; number: number } {
  const { words, wide, value } = at;
  const seat = at.seat(slot);
  const word = Atomics.load(words, seat);
  const number = Atomics.load(words, seat + 1) & NUMBER_MASK;
  const held = word & HELD_MAX;
  const kind = word >>> KIND_SHIFT;
  if (kind === KIND.none) return { held, number };
  // In this order: whoever took the name off the value had marked the change before.
  const isNamed = nameIn(Atomics.load(wide, value)) === nameOf(slot, number);
  if (!isNamed && Atomics.load(words, seat + 2) !== number) return { held, number };
  return { held: kind === KIND.take ? held + 1 : kind === KIND.give ? held - 1 : 0, number };
}

/**
 * Gives back all permits of a seat whose owner is dead or leaves; in that one's name, so that whoever dies over it leaves it to the next.
 * One at a time: under the object's lock.
 *
 * @param isDeath  whoever takes a permit next is told
 * @returns how many came back
 */
export function returnPermits(
  at: PermitWords,
  slot: number,
  isDeath: boolean,
  failpoint: (name: string) => void,
): number {
  const { words, wide, value } = at;
  const seat = at.seat(slot);
  const { held, number: last } = settledState(at, slot);
  if (held > 0) {
    // What is known by now, so that the number may change without an announcement being misread.
    Atomics.store(words, seat, held);
    failpoint('permits:settled');
    const number = (last + 1) & NUMBER_MASK;
    Atomics.store(words, seat + 1, number);
    Atomics.store(words, seat, held | (KIND.giveAll << KIND_SHIFT));
    if (isDeath) Atomics.store(words, at.returned, 1);
    failpoint('permits:returning');
    for (;;) {
      const was = Atomics.load(wide, value);
      const left = Math.min(leftIn(was) + held, PERMITS_MAX);
      if (swap(at, was, left, nameOf(slot, number), failpoint)) break;
    }
    failpoint('permits:returned');
  }
  Atomics.store(words, seat, 0);
  return held;
}
