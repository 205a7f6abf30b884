// How far one group is: everything before a number is settled, and some behind it. Knows no message.

/** Numbers from the first up to, not with, the second. */
export type Run = readonly [from: number, to: number];

export class Progress {
  /** What is settled behind `low`, in order; neighbours never touch. */
  readonly #done: [from: number, to: number][];
  #low: number;

  /**
   * @param low   everything before it is settled
   * @param done  settled too, in order
   */
  constructor(low: number, done: readonly Run[]) {
    this.#low = low;
    this.#done = done.map(([from, to]) => [from, to]);
  }

  /** Everything before it is settled. */
  get low(): number {
    return this.#low;
  }

  /** What is settled from there on. */
  get done(): Run[] {
    return this.#done.map(([from, to]) => [from, to]);
  }

  has(number: number): boolean {
    if (number < this.#low) return true;
    return this.#done.length > 0 && number < (this.#done[this.#runBehind(number) - 1]?.[1] ?? 0);
  }

  /** How many of these are settled. */
  count(from: number, to: number): number {
    let count = Math.max(0, Math.min(to, this.#low) - from);
    for (const [start, end] of this.#done) count += Math.max(0, Math.min(to, end) - Math.max(from, start));
    return count;
  }

  /** @returns whether `low` has moved */
  settle(number: number): boolean {
    return this.settleRun(number, number + 1);
  }

  /** Settles what is not settled yet of `from` up to, not with, `to`. @returns whether `low` has moved */
  settleRun(from: number, to: number): boolean {
    if (to <= this.#low) return false;
    if (from > this.#low) {
      this.#add(from, to);
      return false;
    }
    this.#low = to;
    const done = this.#done;
    let passed = 0;
    for (; passed < done.length && (done[passed] as Run)[0] <= this.#low; passed += 1) {
      this.#low = Math.max(this.#low, (done[passed] as Run)[1]);
    }
    if (passed > 0) done.splice(0, passed);
    return true;
  }

  #add(from: number, to: number): void {
    const done = this.#done;
    let at = this.#runBehind(from);
    const before = done[at - 1];
    let start = from;
    let end = to;
    if (before !== undefined && before[1] >= from) {
      if (before[1] >= to) return;
      at -= 1;
      start = before[0];
    }
    let next = at;
    for (; next < done.length && (done[next] as Run)[0] <= end; next += 1) {
      end = Math.max(end, (done[next] as Run)[1]);
    }
    if (next === at + 1) {
      const run = done[at] as [number, number];
      run[0] = start;
      run[1] = end;
    } else done.splice(at, next - at, [start, end]);
  }

  /** The first run that begins behind a number. */
  #runBehind(number: number): number {
    let low = 0;
    let high = this.#done.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#done[middle] as Run)[0] <= number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
