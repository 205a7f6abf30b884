// An event as one word of mapped memory: set or not, and how often it was set. Nobody has it, so nobody's death matters to it.

/** An event that processes share. */
export class EventWord {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #failpoint: (name: string) => void;

  /** @param at  index of its word */
  constructor(words: Int32Array, at: number, failpoint: (name: string) => void) {
    this.#words = words;
    this.#at = at;
    this.#failpoint = failpoint;
  }

  get isSet(): boolean {
    return (Atomics.load(this.#words, this.#at) & 1) === 1;
  }

  /** How often it was set: who waits remembers it, and misses no setting that was cleared again at once. */
  get count(): number {
    return Atomics.load(this.#words, this.#at) >>> 1;
  }

  /** Those who wait must be rung after it. @returns false when it was set already */
  set(): boolean {
    for (;;) {
      const was = Atomics.load(this.#words, this.#at);
      if ((was & 1) === 1) return false;
      const next = (((was >>> 1) + 1) << 1) | 1;
      if (Atomics.compareExchange(this.#words, this.#at, was, next) !== was) continue;
      this.#failpoint('event:set');
      return true;
    }
  }

  /** @returns false when it was not set */
  clear(): boolean {
    return (Atomics.and(this.#words, this.#at, ~1) & 1) === 1;
  }
}
