// The numbers, sizes and times of the messages in a log, in order: what is next, how much there is, where a time begins. Knows no
// message.

/** Messages of one block: neighbours are found by a binary search over blocks, then in one. */
const BLOCK = 1024;

interface Block {
  readonly numbers: number[];
  /** -1: gone. */
  readonly sizes: number[];
  readonly stamps: number[];
  live: number;
}

export class MessageIndex {
  readonly #blocks: Block[] = [];
  #count = 0;
  #bytes = 0;

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The first; 0 when there is none. */
  get first(): number {
    return this.after(0);
  }

  /** @param number  greater than all before */
  add(number: number, bytes: number, stamp: number): void {
    let block = this.#blocks.at(-1);
    if (block === undefined || block.numbers.length === BLOCK) {
      block = { numbers: [], sizes: [], stamps: [], live: 0 };
      this.#blocks.push(block);
    }
    block.numbers.push(number);
    block.sizes.push(bytes);
    block.stamps.push(stamp);
    block.live += 1;
    this.#count += 1;
    this.#bytes += bytes;
  }

  /** @returns whether it was there */
  remove(number: number): boolean {
    const where = this.#blockOf(number);
    const block = this.#blocks[where];
    if (block === undefined) return false;
    const at = firstFrom(block.numbers, number);
    const size = block.sizes[at] ?? -1;
    if (block.numbers[at] !== number || size < 0) return false;
    block.sizes[at] = -1;
    block.live -= 1;
    this.#count -= 1;
    this.#bytes -= size;
    // The last block is kept, as new ones come to it.
    if (block.live === 0 && where < this.#blocks.length - 1) this.#blocks.splice(where, 1);
    return true;
  }

  /** The next one behind a number; 0 when there is none. */
  after(number: number): number {
    for (let where = this.#blockOf(number + 1); where < this.#blocks.length; where += 1) {
      const { numbers, sizes } = this.#blocks[where] as Block;
      for (let at = firstFrom(numbers, number + 1); at < numbers.length; at += 1) {
        if ((sizes[at] as number) >= 0) return numbers[at] as number;
      }
    }
    return 0;
  }

  /** Size and time of one; undefined when it is gone. */
  get(number: number): { readonly bytes: number; readonly stamp: number } | undefined {
    const block = this.#blocks[this.#blockOf(number)];
    if (block === undefined) return undefined;
    const at = firstFrom(block.numbers, number);
    const bytes = block.sizes[at] ?? -1;
    if (block.numbers[at] !== number || bytes < 0) return undefined;
    return { bytes, stamp: block.stamps[at] as number };
  }

  /** The first that was taken at this time or later; 0 when there is none. */
  since(stamp: number): number {
    for (const { numbers, sizes, stamps } of this.#blocks) {
      if ((stamps.at(-1) as number) < stamp) continue;
      for (let at = 0; at < numbers.length; at += 1) {
        if ((stamps[at] as number) >= stamp && (sizes[at] as number) >= 0) return numbers[at] as number;
      }
    }
    return 0;
  }

  /** How many there are from a number on. */
  from(number: number): { readonly count: number; readonly bytes: number } {
    let count = 0;
    let bytes = 0;
    for (let where = this.#blockOf(number); where < this.#blocks.length; where += 1) {
      const { numbers, sizes } = this.#blocks[where] as Block;
      for (let at = firstFrom(numbers, number); at < numbers.length; at += 1) {
        const size = sizes[at] as number;
        if (size < 0) continue;
        count += 1;
        bytes += size;
      }
    }
    return { count, bytes };
  }

  /** The n-th from the end; the first when there are fewer; 0 when there is none. */
  last(n: number): number {
    let left = n;
    for (let where = this.#blocks.length - 1; where >= 0; where -= 1) {
      const { numbers, sizes, live } = this.#blocks[where] as Block;
      if (live < left) {
        left -= live;
        continue;
      }
      for (let at = numbers.length - 1; at >= 0; at -= 1) {
        if ((sizes[at] as number) >= 0) left -= 1;
        if (left === 0) return numbers[at] as number;
      }
    }
    return this.first;
  }

  /** The first block whose last number is not before this one. */
  #blockOf(number: number): number {
    const blocks = this.#blocks;
    let low = 0;
    let high = blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (((blocks[middle] as Block).numbers.at(-1) as number) < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function firstFrom(numbers: readonly number[], number: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] as number) < number) low = middle + 1;
    else high = middle;
  }
  return low;
}
