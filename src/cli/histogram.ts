// How long things took, in buckets 2 % wide: small enough to send between processes, and mergeable. Pure.

/** Buckets for each doubling. */
const PER_OCTAVE = 32;
/** The smallest time told apart, in microseconds: 2^-7. */
const OCTAVES_BELOW_ONE = 7;
/** Up to 2^31 microseconds, 35 minutes. */
const OCTAVES = OCTAVES_BELOW_ONE + 31;

/** A histogram of times in microseconds. */
export class Histogram {
  readonly #buckets: number[];
  #count = 0;

  /** @param buckets  what toJSON() gave elsewhere */
  constructor(buckets: readonly (readonly [index: number, count: number])[] = []) {
    this.#buckets = Array.from<number>({ length: OCTAVES * PER_OCTAVE }).fill(0);
    for (const [index, count] of buckets) this.#add(index, count);
  }

  get count(): number {
    return this.#count;
  }

  record(micros: number): void {
    this.#add(Math.floor((Math.log2(micros) + OCTAVES_BELOW_ONE) * PER_OCTAVE), 1);
  }

  merge(other: Histogram): void {
    for (const [index, count] of other.toJSON()) this.#add(index, count);
  }

  /** @param share  0.5 for the median. @returns microseconds, or null when nothing was recorded */
  percentile(share: number): number | null {
    if (this.#count === 0) return null;
    let left = Math.max(1, Math.ceil(share * this.#count));
    const index = this.#buckets.findIndex((count) => (left -= count) <= 0);
    return 2 ** ((index + 0.5) / PER_OCTAVE - OCTAVES_BELOW_ONE);
  }

  /** The buckets that hold something. */
  toJSON(): [index: number, count: number][] {
    return this.#buckets.flatMap((count, index) => (count === 0 ? [] : [[index, count]]));
  }

  /** What is too short or too long to tell goes to the ends; a clock that went back is too short. */
  #add(index: number, count: number): void {
    const last = this.#buckets.length - 1;
    const at = index >= 0 ? Math.min(index, last) : 0;
    this.#buckets[at] = (this.#buckets[at] ?? 0) + count;
    this.#count += count;
  }
}
