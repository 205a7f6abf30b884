// The numbers, sizes and times of the messages in a log, by batch and in order: what is next, how much there is, where a time begins,
// which record has a message. Knows no message.

/** Batches of one block: neighbours are found by a binary search over blocks, then in one. */
const BLOCK = 512;

interface Block {
  /** Number of the first message of each batch. */
  readonly firsts: number[];
  readonly counts: number[];
  /** Sequence of its record in the log. 0: gone. */
  readonly sequences: number[];
  readonly times: number[];
  /** What still counts: messages, and their bytes. */
  readonly left: number[];
  readonly bytes: number[];
  live: number;
}

/** A batch whose last message is gone. */
export interface Emptied {
  readonly sequence: number;
  readonly first: number;
}

export class MessageIndex {
  readonly #blocks: Block[] = [];
  #count = 0;
  #bytes = 0;
  /** Everything before it is gone. */
  #low = 0;
  #next = 1;
  #newest = 0;
  /** Where the last look-up ended: the next is mostly there too. */
  #block: Block | undefined;
  #row = 0;

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Number that the next message will have. */
  get next(): number {
    return this.#next;
  }

  /** Everything before it is gone. */
  get low(): number {
    return this.#low;
  }

  /** Sequence of the newest batch that was added; 0 when there was none. */
  get newest(): number {
    return this.#newest;
  }

  /** The next message has this number at least. */
  goOnAt(next: number): void {
    this.#next = Math.max(this.#next, next);
  }

  /** The first; 0 when there is none. */
  get first(): number {
    return this.after(this.#low - 1);
  }

  /**
   * One more batch, behind all others.
   * @param bytes  what counts of it
   */
  add(first: number, count: number, sequence: number, bytes: number, time: number): void {
    let block = this.#blocks.at(-1);
    if (block === undefined || block.firsts.length === BLOCK) {
      block = { firsts: [], counts: [], sequences: [], times: [], left: [], bytes: [], live: 0 };
      this.#blocks.push(block);
    }
    block.firsts.push(first);
    block.counts.push(count);
    block.sequences.push(sequence);
    block.times.push(time);
    block.left.push(count);
    block.bytes.push(bytes);
    block.live += 1;
    this.#count += count;
    this.#bytes += bytes;
    this.#next = first + count;
    this.#newest = sequence;
  }

  /** A message counts no more. @param bytes  what it counted; undefined: its share @returns its batch when it was the last of it */
  settle(number: number, bytes: number | undefined): Emptied | undefined {
    if (!this.#find(number)) return undefined;
    const block = this.#block as Block;
    const row = this.#row;
    const left = block.left[row] as number;
    if (left === 0) return undefined;
    const had = block.bytes[row] as number;
    const gone = left === 1 ? had : Math.min(had, bytes ?? Math.round(had / left));
    block.left[row] = left - 1;
    block.bytes[row] = had - gone;
    this.#count -= 1;
    this.#bytes -= gone;
    if (left > 1) return undefined;
    return { sequence: block.sequences[row] as number, first: block.firsts[row] as number };
  }

  /** The oldest message is gone, of those in order. @returns its batch when it was the last of it */
  shift(): Emptied | undefined {
    const { first } = this;
    if (first === 0) return undefined;
    this.#low = first + 1;
    return this.settle(first, undefined);
  }

  /** A batch is no longer in the log. */
  remove({ first }: Emptied): void {
    if (!this.#find(first)) return;
    const block = this.#block as Block;
    const row = this.#row;
    block.sequences[row] = 0;
    block.live -= 1;
    this.#count -= block.left[row] as number;
    this.#bytes -= block.bytes[row] as number;
    block.left[row] = 0;
    block.bytes[row] = 0;
    this.#block = undefined;
    // The last block is kept, as new ones come to it.
    if (block.live === 0 && block !== this.#blocks.at(-1))
      this.#blocks.splice(this.#blocks.indexOf(block), 1);
  }

  /** The next one behind a number; 0 when there is none. */
  after(number: number): number {
    const least = Math.max(number + 1, this.#low);
    if (this.#find(least)) return least;
    for (let where = this.#blockOf(least); where < this.#blocks.length; where += 1) {
      const { firsts, sequences } = this.#blocks[where] as Block;
      for (let row = 0; row < firsts.length; row += 1) {
        if (sequences[row] !== 0 && (firsts[row] as number) >= least) return firsts[row] as number;
      }
    }
    return 0;
  }

  /** The record of the log that has a message; 0 when there is none. */
  sequenceOf(number: number): number {
    return this.#find(number) ? ((this.#block as Block).sequences[this.#row] as number) : 0;
  }

  /** When a message was taken; undefined when it is gone. */
  timeOf(number: number): number | undefined {
    return this.#find(number) ? this.#block?.times[this.#row] : undefined;
  }

  /** The share of a message in what counts of its batch. */
  bytesOf(number: number): number {
    if (!this.#find(number)) return 0;
    const { left, bytes } = this.#block as Block;
    return Math.round((bytes[this.#row] as number) / Math.max(1, left[this.#row] as number));
  }

  /** The first that was taken at this time or later; 0 when there is none. */
  since(time: number): number {
    for (const { firsts, counts, sequences, times } of this.#blocks) {
      if ((times.at(-1) as number) < time) continue;
      for (let row = 0; row < firsts.length; row += 1) {
        const end = (firsts[row] as number) + (counts[row] as number);
        const isThere = sequences[row] !== 0 && end > this.#low;
        if (isThere && (times[row] as number) >= time) return Math.max(firsts[row] as number, this.#low);
      }
    }
    return 0;
  }

  /**
   * How many there are from a number on.
   * @param settled  how many of the messages from a number up to, not with, another count no more
   */
  from(
    number: number,
    settled: (from: number, to: number) => number,
  ): { readonly count: number; readonly bytes: number } {
    let count = 0;
    let bytes = 0;
    for (const batch of this.batches()) {
      const start = Math.max(batch.first, number, this.#low);
      const end = batch.first + batch.count;
      if (start >= end) continue;
      const here = end - start - settled(start, end);
      count += here;
      bytes += (batch.bytes / Math.max(1, batch.left)) * here;
    }
    return { count, bytes: Math.round(bytes) };
  }

  /** All batches that are in the log. What is removed meanwhile does no harm. */
  *batches(): Generator<{
    readonly first: number;
    readonly count: number;
    readonly sequence: number;
    readonly left: number;
    readonly bytes: number;
  }> {
    // A block that empties meanwhile leaves the list.
    const blocks = this.#blocks.slice();
    for (const block of blocks) {
      for (let row = 0; row < block.firsts.length; row += 1) {
        const sequence = block.sequences[row] as number;
        if (sequence === 0) continue;
        yield {
          first: block.firsts[row] as number,
          count: block.counts[row] as number,
          sequence,
          left: block.left[row] as number,
          bytes: block.bytes[row] as number,
        };
      }
    }
  }

  /** The n-th from the end; the first when there are fewer; 0 when there is none. */
  last(n: number): number {
    let left = n;
    for (let where = this.#blocks.length - 1; where >= 0; where -= 1) {
      const { firsts, counts, sequences } = this.#blocks[where] as Block;
      for (let row = firsts.length - 1; row >= 0; row -= 1) {
        if (sequences[row] === 0) continue;
        const count = counts[row] as number;
        if (count >= left) return Math.max((firsts[row] as number) + count - left, this.first);
        left -= count;
      }
    }
    return this.first;
  }

  /** Goes to the batch of a message. @returns whether it is there */
  #find(number: number): boolean {
    if (this.#block !== undefined && this.#isAt(this.#block, this.#row, number)) return true;
    const block = this.#blocks[this.#blockOf(number)];
    if (block === undefined) return false;
    const row = lastUpTo(block.firsts, number);
    if (row < 0 || !this.#isAt(block, row, number)) return false;
    this.#block = block;
    this.#row = row;
    return true;
  }

  #isAt({ firsts, counts, sequences }: Block, row: number, number: number): boolean {
    const place = number - (firsts[row] as number);
    return place >= 0 && place < (counts[row] as number) && sequences[row] !== 0;
  }

  /** The first block that ends behind this number. */
  #blockOf(number: number): number {
    const blocks = this.#blocks;
    let low = 0;
    let high = blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { firsts, counts } = blocks[middle] as Block;
      if ((firsts.at(-1) as number) + (counts.at(-1) as number) <= number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The place of the last that is not greater; -1 when all are. */
function lastUpTo(numbers: readonly number[], number: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] as number) <= number) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
