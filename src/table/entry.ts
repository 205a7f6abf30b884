// The bytes of one entry, spread over its blocks: writing them, copying them out, comparing a key. Lengths and references that are
// read may be garbage while a writer uses the blocks anew: everything is bounded, and the caller checks the version after.

import type { Blocks } from './blocks.ts';
import type { TableGeometry } from './geometry.ts';
import type { Key } from './key.ts';
import { BLOCK, ENTRY, FIRST_BYTES, FIRST_WORDS, MORE_BYTES, MORE_WORDS } from './layout.ts';

/** Up to so many bytes a loop is faster than set() with a subarray. */
const LOOP_BYTES = 96;

export class Entries {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #blocks: Blocks;
  readonly #geometry: TableGeometry;

  constructor(words: Int32Array, bytes: Uint8Array, blocks: Blocks, geometry: TableGeometry) {
    this.#words = words;
    this.#bytes = bytes;
    this.#blocks = blocks;
    this.#geometry = geometry;
  }

  /** Writes key and value into the blocks that were taken, and chains them. Version, hash and chain are the caller's. */
  write(key: Key, value: Uint8Array): void {
    const words = this.#words;
    const { taken } = this.#blocks;
    const first = this.#blocks.wordOf(taken[0] as number);
    words[first + ENTRY.keyBytes] = key.length;
    words[first + ENTRY.valueBytes] = value.length;
    words[first + BLOCK.next] = 0;
    const padded = (key.length + 3) & ~3;
    if (padded + value.length <= FIRST_BYTES) {
      // By far the most frequent case: everything in one block.
      const keyWords = padded >>> 2;
      for (let at = 0; at < keyWords; at += 1) words[first + FIRST_WORDS + at] = key.words[at] as number;
      this.#put((first + FIRST_WORDS) * 4 + padded, value, 0, value.length);
      return;
    }
    this.#writeLong(key.bytes.subarray(0, padded), value);
  }

  /** Whether the entry has this key. Its hash and its key's length are the same already. */
  hasKey(first: number, key: Key): boolean {
    const words = this.#words;
    if (key.length > FIRST_BYTES) {
      const found = this.copy(first, 0, key.length);
      return found !== undefined && found.equals(key.bytes.subarray(0, key.length));
    }
    const keyWords = (key.length + 3) >>> 2;
    for (let at = 0; at < keyWords; at += 1)
      if (words[first + FIRST_WORDS + at] !== key.words[at]) return false;
    return true;
  }

  /** A copy of the value; undefined when what stands there cannot be. */
  value(first: number): Buffer | undefined {
    const words = this.#words;
    const keyBytes = words[first + ENTRY.keyBytes] as number;
    const valueBytes = words[first + ENTRY.valueBytes] as number;
    if (!this.#isPossible(keyBytes, valueBytes)) return undefined;
    return this.copy(first, (keyBytes + 3) & ~3, valueBytes);
  }

  /** The key as text; undefined when what stands there cannot be. */
  key(first: number): string | undefined {
    const words = this.#words;
    const keyBytes = words[first + ENTRY.keyBytes] as number;
    if (!this.#isPossible(keyBytes, words[first + ENTRY.valueBytes] as number)) return undefined;
    return this.copy(first, 0, keyBytes)?.toString('utf8');
  }

  /** A copy of part of an entry's data. */
  copy(first: number, from: number, length: number): Buffer | undefined {
    const out = Buffer.allocUnsafe(length);
    if (from + length <= FIRST_BYTES) {
      this.#take((first + FIRST_WORDS) * 4 + from, out, 0, length);
      return out;
    }
    return this.#copyLong(first, from, out) ? out : undefined;
  }

  /** References of an entry's blocks; undefined when they are no chain. */
  chain(reference: number): number[] | undefined {
    const { blocks } = this.#geometry;
    const found: number[] = [];
    for (let next = reference; next !== 0; ) {
      if (next < 0 || next > blocks || found.length >= blocks) return undefined;
      found.push(next);
      next = this.#words[this.#blocks.wordOf(next) + BLOCK.next] as number;
    }
    return found;
  }

  #isPossible(keyBytes: number, valueBytes: number): boolean {
    const { maxKeyBytes, maxValueBytes } = this.#geometry;
    return keyBytes > 0 && keyBytes <= maxKeyBytes && valueBytes >= 0 && valueBytes <= maxValueBytes;
  }

  #writeLong(key: Uint8Array, value: Uint8Array): void {
    const { taken, count } = this.#blocks;
    let done = 0;
    for (let index = 0; index < count; index += 1) {
      const at = this.#blocks.wordOf(taken[index] as number);
      this.#words[at + BLOCK.next] = index + 1 < count ? (taken[index + 1] as number) : 0;
      const start = (at + (index === 0 ? FIRST_WORDS : MORE_WORDS)) * 4;
      const room = index === 0 ? FIRST_BYTES : MORE_BYTES;
      const ofKey = Math.max(0, Math.min(room, key.length - done));
      if (ofKey > 0) this.#put(start, key, done, ofKey);
      const valueFrom = done + ofKey - key.length;
      const ofValue = Math.min(room - ofKey, value.length - valueFrom);
      if (ofValue > 0) this.#put(start + ofKey, value, valueFrom, ofValue);
      done += room;
    }
  }

  #copyLong(first: number, from: number, out: Uint8Array): boolean {
    const { blocks } = this.#geometry;
    let at = first;
    let start = 0;
    let done = 0;
    let room = FIRST_BYTES;
    let offset = FIRST_WORDS;
    for (let left = blocks; left > 0; left -= 1) {
      const begin = Math.max(from - start, 0);
      const length = Math.min(room - begin, out.length - done);
      if (length > 0) {
        this.#take((at + offset) * 4 + begin, out, done, length);
        done += length;
      }
      if (done === out.length) return true;
      const next = this.#words[at + BLOCK.next] as number;
      if (next <= 0 || next > blocks) return false;
      at = this.#blocks.wordOf(next);
      start += room;
      room = MORE_BYTES;
      offset = MORE_WORDS;
    }
    return false;
  }

  #put(at: number, from: Uint8Array, start: number, length: number): void {
    const bytes = this.#bytes;
    if (length > LOOP_BYTES) bytes.set(from.subarray(start, start + length), at);
    else for (let i = 0; i < length; i += 1) bytes[at + i] = from[start + i] as number;
  }

  #take(at: number, out: Uint8Array, start: number, length: number): void {
    const bytes = this.#bytes;
    if (length > LOOP_BYTES) out.set(bytes.subarray(at, at + length), start);
    else for (let i = 0; i < length; i += 1) out[start + i] = bytes[at + i] as number;
  }
}
