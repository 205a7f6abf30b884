// A hash table in mapped memory: readers take no lock, writers take that of one shard. Pure: locks, clock and failpoints are given.
// How it works, and why a death at any step is harmless: docs/internals/state.md.
//
// A writer links a finished entry with one store; what it replaced is unlinked by the same store. Then it changes the shard's `seq`, then
// it clears the old version, and only then the old blocks can be used again. A reader trusts its walk when `seq` is what it was, and its
// copy when the version is what it was.

import { NaruError } from '../errors/index.ts';
import { Blocks, clearVersion } from './blocks.ts';
import { Entries } from './entry.ts';
import { blocksFor, type TableGeometry } from './geometry.ts';
import { Key } from './key.ts';
import { BLOCK, ENTRY, SHARD, SHARD_BYTES, TABLE } from './layout.ts';

/** The locks of the shards. */
export interface ShardLocks {
  /** Never waits. `recovered`: whoever had it last died with it. */
  tryTake(shard: number): 'busy' | 'taken' | 'recovered';
  release(shard: number): void;
}

export interface TableEdges {
  readonly locks: ShardLocks;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Called at every labelled step. */
  readonly failpoint: (name: string) => void;
  /** Loads may pass later loads on this processor: not x64. */
  readonly needsFence: boolean;
  /** The object, for errors. */
  readonly where: string;
}

/** An entry that was found. */
export interface Found {
  readonly key: string;
  readonly value: Uint8Array;
  readonly version: number;
  readonly expiresMs: number | undefined;
}

/** What became of a write. `busy`: another has the shard's lock; nothing was done. */
export const WROTE = { done: 0, refused: 1, busy: 2, full: 3 } as const;
export type Wrote = (typeof WROTE)[keyof typeof WROTE];

/** Condition of a write: an entry's version, or one of these. */
export const ANY = -1;
export const ABSENT = 0;

const LOW = 2 ** 32;

export class Table {
  readonly geometry: TableGeometry;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #edges: TableEdges;
  readonly #blocks: Blocks;
  readonly #entries: Entries;
  readonly #key: Key = new Key();
  /** Result of #walk(): the word that refers to the entry. */
  #linkAt = 0;
  /** The shard of the call that is going on, its first word, and the word of the key's bucket. */
  #shard = 0;
  #shardAt = 0;
  #bucketAt = 0;
  #busyShard = 0;

  constructor(buffer: ArrayBufferLike, geometry: TableGeometry, edges: TableEdges) {
    this.geometry = geometry;
    this.#words = new Int32Array(buffer, 0, geometry.endBytes >>> 2);
    this.#doubles = new Float64Array(buffer, 0, geometry.endBytes >>> 3);
    this.#edges = edges;
    this.#blocks = new Blocks(this.#words, geometry);
    this.#entries = new Entries(
      this.#words,
      new Uint8Array(buffer, 0, geometry.endBytes),
      this.#blocks,
      geometry,
    );
  }

  /** @throws NARU_CORRUPT */
  get(text: string): Found | undefined {
    this.#aim(text);
    const words = this.#words;
    for (;;) {
      const seq = Atomics.load(words, this.#shardAt + SHARD.seq);
      const reference = this.#find(seq);
      if (reference === 0) return undefined;
      if (reference < 0) continue;
      const found = this.#copyOut(reference, seq, text);
      if (found !== undefined) return found === null ? undefined : found;
    }
  }

  /** Whether there is an entry; cheaper than get(). @throws NARU_CORRUPT */
  has(text: string): boolean {
    this.#aim(text);
    for (;;) {
      const seq = Atomics.load(this.#words, this.#shardAt + SHARD.seq);
      const reference = this.#find(seq);
      if (reference === 0) return false;
      if (reference < 0) continue;
      const at = this.#blocks.wordOf(reference);
      const expires = this.#doubles[(at + ENTRY.expires) >>> 1] as number;
      if (this.#isUnchanged(seq)) return expires === 0 || expires > this.#edges.now();
    }
  }

  /**
   * @param only       ANY, ABSENT, or the version that the entry must have
   * @param expiresMs  0 = never
   * @throws NARU_CORRUPT
   */
  set(text: string, value: Uint8Array, only: number, expiresMs: number): Wrote {
    this.#aim(text);
    if (!this.#lock(this.#shard)) return WROTE.busy;
    try {
      return this.#setLocked(value, only, expiresMs);
    } finally {
      this.#edges.locks.release(this.#shard);
    }
  }

  /** @param version  ANY, or the version that the entry must have @throws NARU_CORRUPT */
  delete(text: string, version: number): Wrote {
    this.#aim(text);
    if (!this.#lock(this.#shard)) return WROTE.busy;
    try {
      const reference = this.#walk();
      if (reference === 0 || this.#isExpired(reference)) return WROTE.refused;
      if (version !== ANY && this.#versionOf(reference) !== version) return WROTE.refused;
      this.#unlink(this.#shard, this.#linkAt, reference);
      return WROTE.done;
    } finally {
      this.#edges.locks.release(this.#shard);
    }
  }

  /**
   * Entries of one bucket, as they are at one moment.
   * @param bucket  0 to `geometry.buckets` - 1
   * @throws NARU_CORRUPT
   */
  bucket(bucket: number): Found[] {
    this.#aimAt(bucket);
    const words = this.#words;
    for (;;) {
      const seq = Atomics.load(words, this.#shardAt + SHARD.seq);
      const found = this.#bucketNow(seq);
      if (found !== undefined) return found;
    }
  }

  /** How many entries there are; expired ones count until they are removed. */
  count(): number {
    let sum = 0;
    for (let shard = 0; shard < this.geometry.shards; shard += 1)
      sum += Atomics.load(this.#words, this.#shardWord(shard) + SHARD.count);
    return sum;
  }

  /** A number that is another one after every change; for whoever looks for changes. */
  pulse(): number {
    let sum = 0;
    for (let shard = 0; shard < this.geometry.shards; shard += 1)
      sum = (sum + Atomics.load(this.#words, this.#shardWord(shard) + SHARD.seq)) | 0;
    return sum;
  }

  /** Removes a shard's entries: all, or those that have expired. @returns false when its lock is busy @throws NARU_CORRUPT */
  removeFrom(shard: number, onlyExpired: boolean): boolean {
    if (!this.#lock(shard)) return false;
    try {
      const { buckets, bucketsAt, shards } = this.geometry;
      for (let bucket = shard; bucket < buckets; bucket += shards)
        this.#removeInBucket(shard, bucketsAt + bucket, onlyExpired);
      return true;
    } finally {
      this.#edges.locks.release(shard);
    }
  }

  /** The word of the lock that was busy last. */
  get busyLockAt(): number {
    return this.#shardWord(this.#busyShard) + SHARD.lock;
  }

  /** Whether any entry ever had a time to live. */
  get hasExpiring(): boolean {
    return Atomics.load(this.#words, this.geometry.headerAt + TABLE.expiring) !== 0;
  }

  /** Whether a death may have left `entries` too high. */
  get isCountUnsure(): boolean {
    const at = this.geometry.headerAt;
    return Atomics.load(this.#words, at + TABLE.recoveries) !== Atomics.load(this.#words, at + TABLE.counted);
  }

  /** Counts anew, with every lock. @returns false when one of them is busy @throws NARU_CORRUPT */
  recount(): boolean {
    const { shards, headerAt } = this.geometry;
    let taken = 0;
    try {
      while (taken < shards && this.#lock(taken)) taken += 1;
      if (taken < shards) return false;
      const { recoveries } = TABLE;
      Atomics.store(this.#words, headerAt + TABLE.entries, this.count());
      Atomics.store(this.#words, headerAt + TABLE.counted, Atomics.load(this.#words, headerAt + recoveries));
      return true;
    } finally {
      while (taken > 0) this.#edges.locks.release((taken -= 1));
    }
  }

  /** Blocks without an entry. Not exact while others write. */
  countFreeBlocks(): number {
    return this.#blocks.countFree();
  }

  #setLocked(value: Uint8Array, only: number, expiresMs: number): Wrote {
    const words = this.#words;
    const { failpoint } = this.#edges;
    const old = this.#walk();
    const linkAt = this.#linkAt;
    const isThere = old !== 0 && !this.#isExpired(old);
    if (only !== ANY && (isThere ? only === ABSENT || this.#versionOf(old) !== only : only !== ABSENT))
      return WROTE.refused;
    if (old === 0 && !this.#reserve()) return WROTE.full;
    if (expiresMs !== 0) Atomics.store(words, this.geometry.headerAt + TABLE.expiring, 1);
    failpoint('table:reserved');
    if (!this.#blocks.take(this.#shard, blocksFor(this.#key.length, value.length))) {
      if (old === 0) Atomics.sub(words, this.geometry.headerAt + TABLE.entries, 1);
      return WROTE.full;
    }
    failpoint('table:blocks-taken');
    this.#entries.write(this.#key, value);
    const reference = this.#blocks.taken[0] as number;
    const at = this.#blocks.wordOf(reference);
    words[at + ENTRY.hash] = this.#key.hash;
    words[at + ENTRY.flags] = 0;
    this.#doubles[(at + ENTRY.expires) >>> 1] = expiresMs;
    this.#stampVersion(at);
    const after = old === 0 ? (words[this.#bucketAt] as number) : this.#chainOf(old);
    words[at + ENTRY.chain] = after;
    failpoint('table:written');
    // SYNC: link/walk. Everything of the entry is there before anybody can find it.
    Atomics.store(words, old === 0 ? this.#bucketAt : linkAt, reference);
    failpoint('table:linked');
    if (old === 0) {
      words[this.#shardAt + SHARD.count] = (words[this.#shardAt + SHARD.count] as number) + 1;
      Atomics.add(words, this.#shardAt + SHARD.seq, 1);
    } else this.#retire(this.#shard, old);
    return WROTE.done;
  }

  /** Takes an entry out of its chain. */
  #unlink(shard: number, linkAt: number, reference: number): void {
    const words = this.#words;
    this.#edges.failpoint('table:before-unlink');
    Atomics.store(words, linkAt, this.#chainOf(reference));
    this.#edges.failpoint('table:unlinked');
    const countAt = this.#shardWord(shard) + SHARD.count;
    words[countAt] = (words[countAt] as number) - 1;
    Atomics.sub(words, this.geometry.headerAt + TABLE.entries, 1);
    this.#retire(shard, reference);
  }

  /** What nobody can find any more: its blocks become free, once no reader can take them for what they were. */
  #retire(shard: number, reference: number): void {
    const words = this.#words;
    // SYNC: seq/walk. Before any block is used again.
    Atomics.add(words, this.#shardWord(shard) + SHARD.seq, 1);
    this.#edges.failpoint('table:seq-changed');
    clearVersion(words, this.#blocks.wordOf(reference));
    this.#edges.failpoint('table:version-cleared');
    this.#blocks.give(shard, reference);
    this.#edges.failpoint('table:blocks-given');
  }

  #removeInBucket(shard: number, bucketAt: number, onlyExpired: boolean): void {
    const words = this.#words;
    let linkAt = bucketAt;
    for (let left = this.geometry.blocks; ; left -= 1) {
      const reference = words[linkAt] as number;
      if (reference === 0) return;
      if (left === 0) throw this.#corrupt();
      this.#checkReference(reference);
      if (!onlyExpired || this.#isExpired(reference)) this.#unlink(shard, linkAt, reference);
      else linkAt = this.#blocks.wordOf(reference) + ENTRY.chain;
    }
  }

  /** @returns the reference of the key's entry, 0 for none; -1 when the chain changed meanwhile */
  #find(seq: number): number {
    const words = this.#words;
    const { hash, length } = this.#key;
    const { blocks } = this.geometry;
    let reference = Atomics.load(words, this.#bucketAt);
    for (let left = blocks; reference !== 0; left -= 1) {
      if (reference < 0 || reference > blocks || left === 0) return this.#strayed(seq);
      const at = this.#blocks.wordOf(reference);
      if (
        words[at + ENTRY.hash] === hash &&
        words[at + ENTRY.keyBytes] === length &&
        this.#entries.hasKey(at, this.#key)
      )
        return reference;
      reference = words[at + ENTRY.chain] as number;
    }
    return this.#isUnchanged(seq) ? 0 : -1;
  }

  /** @returns null: it has expired; undefined: look again */
  #copyOut(reference: number, seq: number, text: string): Found | null | undefined {
    const words = this.#words;
    const at = this.#blocks.wordOf(reference);
    const low = words[at + BLOCK.versionLow] as number;
    const high = words[at + BLOCK.versionHigh] as number;
    // From here on: this was the key's entry, and in its chain, after seq was read. Is it still when the copy is made?
    if (!this.#isUnchanged(seq)) return undefined;
    const expires = this.#doubles[(at + ENTRY.expires) >>> 1] as number;
    const value = this.#entries.value(at);
    if (this.#loadChecked(at + BLOCK.versionLow) !== low) return undefined;
    if (this.#loadChecked(at + BLOCK.versionHigh) !== high) return undefined;
    if (value === undefined) throw this.#corrupt();
    if (expires !== 0 && expires <= this.#edges.now()) return null;
    return {
      key: text,
      value,
      version: versionNumber(low, high),
      expiresMs: expires === 0 ? undefined : expires,
    };
  }

  #bucketNow(seq: number): Found[] | undefined {
    const words = this.#words;
    const { blocks } = this.geometry;
    const found: Found[] = [];
    let reference = Atomics.load(words, this.#bucketAt);
    for (let left = blocks; reference !== 0; left -= 1) {
      if (reference < 0 || reference > blocks || left === 0)
        return this.#strayed(seq) === -1 ? undefined : [];
      const at = this.#blocks.wordOf(reference);
      const text = this.#entries.key(at);
      if (text === undefined) return this.#strayed(seq) === -1 ? undefined : [];
      const one = this.#copyOut(reference, seq, text);
      if (one === undefined) return undefined;
      if (one !== null) found.push(one);
      reference = words[at + ENTRY.chain] as number;
    }
    return this.#isUnchanged(seq) ? found : undefined;
  }

  /** @returns -1 when the shard changed: no wonder @throws NARU_CORRUPT */
  #strayed(seq: number): -1 {
    if (this.#isUnchanged(seq)) throw this.#corrupt();
    return -1;
  }

  #isUnchanged(seq: number): boolean {
    return this.#loadChecked(this.#shardAt + SHARD.seq) === seq;
  }

  /** A load that no load before it passes. Loads are in order on x64; elsewhere only a compare-and-swap keeps them so. */
  #loadChecked(at: number): number {
    return this.#edges.needsFence
      ? Atomics.compareExchange(this.#words, at, 0, 0)
      : Atomics.load(this.#words, at);
  }

  /** Finds the key's entry with the lock held. @returns its reference or 0; `#linkAt` then refers to it */
  #walk(): number {
    const words = this.#words;
    const { hash, length } = this.#key;
    let linkAt = this.#bucketAt;
    for (let left = this.geometry.blocks; ; left -= 1) {
      const reference = words[linkAt] as number;
      if (reference === 0) return 0;
      if (left === 0) throw this.#corrupt();
      this.#checkReference(reference);
      const at = this.#blocks.wordOf(reference);
      this.#linkAt = linkAt;
      if (
        words[at + ENTRY.hash] === hash &&
        words[at + ENTRY.keyBytes] === length &&
        this.#entries.hasKey(at, this.#key)
      )
        return reference;
      linkAt = at + ENTRY.chain;
    }
  }

  #chainOf(reference: number): number {
    return this.#words[this.#blocks.wordOf(reference) + ENTRY.chain] as number;
  }

  #checkReference(reference: number): void {
    if (reference < 0 || reference > this.geometry.blocks) throw this.#corrupt();
  }

  #isExpired(reference: number): boolean {
    const expires = this.#doubles[(this.#blocks.wordOf(reference) + ENTRY.expires) >>> 1] as number;
    return expires !== 0 && expires <= this.#edges.now();
  }

  #versionOf(reference: number): number {
    const at = this.#blocks.wordOf(reference);
    const words = this.#words;
    return versionNumber(words[at + BLOCK.versionLow] as number, words[at + BLOCK.versionHigh] as number);
  }

  /** A version that no entry of the whole table ever had: it counts in the shard, and the shard is part of it. */
  #stampVersion(at: number): void {
    const words = this.#words;
    const lowAt = this.#shardAt + SHARD.versionLow;
    const highAt = this.#shardAt + SHARD.versionHigh;
    const before = versionNumber(words[lowAt] as number, words[highAt] as number);
    const step = before === 0 ? this.geometry.shards + this.#shard : this.geometry.shards;
    // A low word of 0 says that a block is no entry.
    const next = (before + step) % LOW === 0 ? before + step + this.geometry.shards : before + step;
    const low = (next % LOW) | 0;
    const high = Math.floor(next / LOW);
    words[highAt] = high;
    words[lowAt] = low;
    words[at + BLOCK.versionLow] = low;
    words[at + BLOCK.versionHigh] = high;
  }

  #reserve(): boolean {
    const at = this.geometry.headerAt + TABLE.entries;
    if (Atomics.add(this.#words, at, 1) < this.geometry.maxEntries) return true;
    Atomics.sub(this.#words, at, 1);
    return false;
  }

  #aim(text: string): void {
    this.#key.set(text);
    this.#aimAt(this.#key.hash & (this.geometry.buckets - 1));
  }

  #aimAt(bucket: number): void {
    this.#shard = bucket & (this.geometry.shards - 1);
    this.#shardAt = this.#shardWord(this.#shard);
    this.#bucketAt = this.geometry.bucketsAt + bucket;
  }

  #shardWord(shard: number): number {
    return this.geometry.shardsAt + (shard * SHARD_BYTES) / 4;
  }

  #lock(shard: number): boolean {
    const outcome = this.#edges.locks.tryTake(shard);
    if (outcome === 'busy') {
      this.#busyShard = shard;
      return false;
    }
    if (outcome === 'taken') return true;
    try {
      this.#repair(shard);
    } catch (error) {
      this.#edges.locks.release(shard);
      throw error;
    }
    return true;
  }

  /** After a death: finds what the shard has, and frees what its last writer had taken and nobody can reach. May be repeated. */
  #repair(shard: number): void {
    const words = this.#words;
    const { blocks, buckets, bucketsAt, shards, headerAt } = this.geometry;
    const used = new Uint8Array(blocks);
    let count = 0;
    for (let bucket = shard; bucket < buckets; bucket += shards) {
      let reference = words[bucketsAt + bucket] as number;
      while (reference !== 0) {
        this.#checkReference(reference);
        const chain = this.#entries.chain(reference);
        if (chain === undefined || used[reference - 1] !== 0) throw this.#corrupt();
        for (const one of chain) used[one - 1] = 1;
        count += 1;
        reference = this.#chainOf(reference);
      }
    }
    this.#edges.failpoint('table:repair-marked');
    Atomics.add(words, this.#shardWord(shard) + SHARD.seq, 1);
    this.#blocks.sweep(shard, used);
    this.#edges.failpoint('table:repair-swept');
    words[this.#shardWord(shard) + SHARD.count] = count;
    Atomics.add(words, headerAt + TABLE.recoveries, 1);
  }

  #corrupt(): NaruError {
    const { where } = this.#edges;
    return new NaruError(
      'NARU_CORRUPT',
      `${where}: a chain of entries leads nowhere; somebody else wrote into the map. Remove it with "naru rm".`,
      { mailbox: where },
    );
  }
}

function versionNumber(low: number, high: number): number {
  return high * LOW + (low >>> 0);
}
