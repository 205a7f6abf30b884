// How far one group of a topic is: everything before a number is settled, and some behind it. Knows no message.

import { Deque } from '../store/deque.ts';

export class Progress {
  /** What was given to the group and is not known to be settled up to, in order. */
  readonly #open = new Deque<number>();
  readonly #done: Set<number>;
  #low: number;

  /**
   * @param low   everything before it is settled
   * @param done  settled too
   */
  constructor(low: number, done: readonly number[]) {
    this.#low = low;
    this.#done = new Set(done);
  }

  /** Everything before it is settled. */
  get low(): number {
    return this.#low;
  }

  /** What is settled from there on, lowest first. */
  get done(): number[] {
    return [...this.#done].sort((a, b) => a - b);
  }

  has(number: number): boolean {
    return number < this.#low || this.#done.has(number);
  }

  /** A message is given to the group. In order. */
  given(number: number): void {
    this.#open.push(number);
  }

  /** @returns whether `low` has moved */
  settle(number: number): boolean {
    if (this.has(number)) return false;
    this.#done.add(number);
    return this.advance();
  }

  /** Moves `low` over what is settled. */
  advance(): boolean {
    const before = this.#low;
    for (let next = this.#open.front(); next !== undefined && this.#done.delete(next); ) {
      this.#open.shift();
      this.#low = next + 1;
      next = this.#open.front();
    }
    return this.#low !== before;
  }
}
