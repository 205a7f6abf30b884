// Blocks: who has which, taking and giving back. A block's owner is a word of its own, set by compare-and-swap from 0 to the shard:
// whatever a dead writer had taken is found again by its owner, and no list can be torn. Callers hold their shard's lock.

import type { TableGeometry } from './geometry.ts';
import { BLOCK, BLOCK_WORDS, SHARD, SHARD_BYTES } from './layout.ts';

/** Free blocks that a shard keeps: taking one of those is two plain stores. */
const SPARES_MAX = 8;

export class Blocks {
  readonly #words: Int32Array;
  readonly #geometry: TableGeometry;
  readonly #sparesMax: number;
  /** Blocks that take() gave: the first `count` references. Valid until the next call. */
  readonly taken: number[] = [];
  count = 0;

  constructor(words: Int32Array, geometry: TableGeometry) {
    this.#words = words;
    this.#geometry = geometry;
    // In a small table what a shard keeps would be missing elsewhere.
    this.#sparesMax = Math.min(SPARES_MAX, Math.floor(geometry.blocks / (geometry.shards * 16)));
  }

  /** Word at which a block begins, by its reference. */
  wordOf(reference: number): number {
    return this.#geometry.blocksAt + (reference - 1) * BLOCK_WORDS;
  }

  /** Takes `count` blocks, into `taken`. @returns false when there are not so many; none is taken then */
  take(shard: number, count: number): boolean {
    const { taken } = this;
    this.count = 0;
    while (this.count < count) {
      const reference = this.#takeSpare(shard) || this.#find(shard);
      if (reference === 0) {
        for (let index = 0; index < this.count; index += 1) this.#release(taken[index] as number);
        return false;
      }
      taken[this.count] = reference;
      this.count += 1;
    }
    return true;
  }

  /** Gives back the blocks of an entry, from its first. Nobody can reach it any more, and its version is gone. */
  give(shard: number, first: number): void {
    const words = this.#words;
    const { blocks } = this.#geometry;
    // The bound ends a chain that somebody else's bug made a circle.
    for (let reference = first, left = blocks; reference > 0 && reference <= blocks && left > 0; left -= 1) {
      const next = words[this.wordOf(reference) + BLOCK.next] as number;
      this.#keepOrRelease(shard, reference);
      reference = next;
    }
  }

  /**
   * After a death: every block of the shard that is not in `used` becomes free.
   * @param used  one byte for each block
   */
  sweep(shard: number, used: Uint8Array): void {
    const words = this.#words;
    const { blocks, ownersAt } = this.#geometry;
    const lost: number[] = [];
    for (let index = 0; index < blocks; index += 1)
      if (words[ownersAt + index] === shard + 1 && used[index] === 0) lost.push(index + 1);
    // All versions go before any block is used again: a reader may still be copying from what the dead one had taken out.
    for (const reference of lost) clearVersion(words, this.wordOf(reference));
    const at = this.#shardWord(shard);
    words[at + SHARD.spare] = 0;
    words[at + SHARD.spares] = 0;
    for (const reference of lost) this.#release(reference);
  }

  /** Blocks that nobody has, those that shards keep included. Not exact while others write. */
  countFree(): number {
    const words = this.#words;
    const { blocks, ownersAt, shards } = this.#geometry;
    let free = 0;
    for (let index = 0; index < blocks; index += 1) if (words[ownersAt + index] === 0) free += 1;
    for (let shard = 0; shard < shards; shard += 1)
      free += words[this.#shardWord(shard) + SHARD.spares] as number;
    return free;
  }

  #takeSpare(shard: number): number {
    const words = this.#words;
    const at = this.#shardWord(shard);
    const reference = words[at + SHARD.spare] as number;
    if (reference <= 0 || reference > this.#geometry.blocks) return 0;
    words[at + SHARD.spare] = words[this.wordOf(reference) + BLOCK.next] as number;
    words[at + SHARD.spares] = (words[at + SHARD.spares] as number) - 1;
    return reference;
  }

  #find(shard: number): number {
    const words = this.#words;
    const { blocks, ownersAt, shards } = this.#geometry;
    const hintAt = this.#shardWord(shard) + SHARD.hint;
    // Shards begin apart, so that they do not meet.
    let index = (words[hintAt] as number) || Math.floor((blocks / shards) * shard) + 1;
    for (let left = blocks; left > 0; left -= 1) {
      index = index < blocks ? index : 0;
      const at = ownersAt + index;
      index += 1;
      if (words[at] === 0 && Atomics.compareExchange(words, at, 0, shard + 1) === 0) {
        words[hintAt] = index;
        return index;
      }
    }
    return 0;
  }

  #keepOrRelease(shard: number, reference: number): void {
    const words = this.#words;
    const at = this.#shardWord(shard);
    const spares = words[at + SHARD.spares] as number;
    if (spares >= this.#sparesMax) {
      this.#release(reference);
      return;
    }
    words[this.wordOf(reference) + BLOCK.next] = words[at + SHARD.spare] as number;
    words[at + SHARD.spare] = reference;
    words[at + SHARD.spares] = spares + 1;
  }

  #release(reference: number): void {
    Atomics.store(this.#words, this.#geometry.ownersAt + reference - 1, 0);
  }

  #shardWord(shard: number): number {
    return this.#geometry.shardsAt + (shard * SHARD_BYTES) / 4;
  }
}

/**
 * Readers that are copying from the block see that it is no entry any more. An exchange, not a store: what is written into the block
 * later must not be seen before.
 */
export function clearVersion(words: Int32Array, at: number): void {
  Atomics.exchange(words, at + BLOCK.versionLow, 0);
}
