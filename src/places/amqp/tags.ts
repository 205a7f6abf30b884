// What belongs to delivery tags. They count up on a channel without gaps, and end in their order for the most part: a list that moves on costs
// a fraction of a map.

/** Ended ones at the beginning of the list are cut off when there are so many, and more of them than others. */
const CUT = 1_024;

export class Tags<T> {
  #values: (T | undefined)[] = [];
  /** Where the oldest that has not ended is, and its tag. */
  #head = 0;
  #oldest = 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The lowest tag there is; any when there is none. */
  get oldest(): number {
    return this.#oldest;
  }

  get(tag: number): T | undefined {
    return this.#values[this.#head + tag - this.#oldest];
  }

  /** @param tag  higher than all before */
  add(tag: number, value: T): void {
    if (this.#size === 0) {
      this.#values = [];
      this.#head = 0;
      this.#oldest = tag;
    }
    const index = this.#head + tag - this.#oldest;
    while (this.#values.length < index) this.#values.push(undefined);
    this.#values.push(value);
    this.#size += 1;
  }

  delete(tag: number): T | undefined {
    const index = this.#head + tag - this.#oldest;
    const value = this.#values[index];
    if (value === undefined) return undefined;
    this.#values[index] = undefined;
    this.#size -= 1;
    if (index === this.#head) this.#moveOn();
    return value;
  }

  /** Takes all out, the oldest first. */
  clear(): T[] {
    const all = this.#values.filter((value) => value !== undefined);
    this.#values = [];
    this.#head = 0;
    this.#size = 0;
    return all;
  }

  #moveOn(): void {
    const values = this.#values;
    let head = this.#head;
    if (this.#size > 0) while (values[head] === undefined) head += 1;
    this.#oldest += head - this.#head;
    this.#head = head;
    if (head < CUT || head < values.length / 2) return;
    this.#values = values.slice(head);
    this.#head = 0;
  }
}
