// A lock as one word of mapped memory: 0, or the mark of the seat that has it. Taking and letting go are one compare-and-swap
// each, so every store may be the last one of whoever makes it. Waiting is wait-list.ts's and the caller's.

import type { SeatMark } from './participants.ts';

/** Nobody has it. */
export const FREE = 0;
/** Nobody has it, and whoever had it last died with it. No seat's mark looks like this: it would be slot 254. */
export const ORPHANED = 0xff;

/** What became of an attempt to take something. */
export const TAKE = { busy: 0, taken: 1, recovered: 2 } as const;
export type Take = (typeof TAKE)[keyof typeof TAKE];

/** One seat's view of a lock. */
export class LockWord {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #mark: SeatMark;
  readonly #failpoint: (name: string) => void;

  /**
   * @param at    index of the lock's word
   * @param mark  the mark of the seat that takes it; its proof of life must be in place
   */
  constructor(words: Int32Array, at: number, mark: SeatMark, failpoint: (name: string) => void) {
    this.#words = words;
    this.#at = at;
    this.#mark = mark;
    this.#failpoint = failpoint;
  }

  /** Who has it: a seat's mark, FREE or ORPHANED. */
  get holder(): SeatMark {
    return Atomics.load(this.#words, this.#at);
  }

  /** Whether this seat has it. */
  get isOwn(): boolean {
    return this.holder === this.#mark;
  }

  /** @returns `recovered` to the first one who has it after a death; what the dead one was about to do is half done */
  tryTake(): Take {
    // SYNC: lock/unlock. Pairs with unlock(): what the last holder stored is seen from here on.
    const was = Atomics.compareExchange(this.#words, this.#at, FREE, this.#mark);
    if (was === FREE) {
      this.#failpoint('lock:taken');
      return TAKE.taken;
    }
    if (was !== ORPHANED) return TAKE.busy;
    if (Atomics.compareExchange(this.#words, this.#at, ORPHANED, this.#mark) !== ORPHANED) return TAKE.busy;
    // Who dies here has told nobody: its own death makes an orphan of it again.
    this.#failpoint('lock:recovered');
    return TAKE.recovered;
  }

  /**
   * Lets go. Those who wait must be rung after it.
   * @returns false when this seat does not have it: nothing was changed
   */
  unlock(): boolean {
    this.#failpoint('lock:before-unlock');
    // SYNC: lock/unlock.
    if (Atomics.compareExchange(this.#words, this.#at, this.#mark, FREE) !== this.#mark) return false;
    this.#failpoint('lock:unlocked');
    return true;
  }
}

/**
 * Takes a lock away from a seat whose owner is proved dead. The mark must have been read before the proof: a seat is only given to
 * somebody else after this.
 *
 * @returns true when the dead one had it: the next holder is told
 */
export function orphanLock(words: Int32Array, at: number, dead: SeatMark): boolean {
  return Atomics.compareExchange(words, at, dead, ORPHANED) === dead;
}
