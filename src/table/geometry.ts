// The numbers of a shared hash table: computing them for a new one, and reading them back with every one checked, so that the rest of
// the table may trust them. Maps nothing itself.

import { NaruError } from '../errors/index.ts';
import * as L from './layout.ts';

/** What is chosen when a table is made. */
export interface TableShape {
  /** Blocks for entries. */
  readonly blocks: number;
  readonly maxEntries: number;
  readonly maxKeyBytes: number;
  readonly maxValueBytes: number;
}

/** A table's numbers. Offsets are words from the start of the mapped buffer. */
export interface TableGeometry extends TableShape {
  readonly headerAt: number;
  readonly shards: number;
  readonly buckets: number;
  readonly shardsAt: number;
  readonly bucketsAt: number;
  readonly ownersAt: number;
  readonly blocksAt: number;
  /** End of the table, in bytes from the start of the buffer. */
  readonly endBytes: number;
}

/** How many blocks an entry takes. */
export function blocksFor(keyBytes: number, valueBytes: number): number {
  const bytes = ((keyBytes + 3) & ~3) + valueBytes;
  return bytes <= L.FIRST_BYTES ? 1 : 1 + Math.ceil((bytes - L.FIRST_BYTES) / L.MORE_BYTES);
}

/**
 * @param headerAt  word at which the table's header begins; on a line of its own
 * @param bodyAt    word at which the rest begins; likewise
 */
export function tableGeometry(shape: TableShape, headerAt: number, bodyAt: number): TableGeometry {
  const buckets = Math.max(L.SHARDS, powerOfTwo(Math.min(shape.maxEntries, shape.blocks)));
  const shardsAt = bodyAt;
  const bucketsAt = shardsAt + (L.SHARDS * L.SHARD_BYTES) / 4;
  const ownersAt = bucketsAt + buckets;
  const blocksAt = Math.ceil((ownersAt + shape.blocks) / L.BLOCK_WORDS) * L.BLOCK_WORDS;
  return {
    ...shape,
    headerAt,
    shards: L.SHARDS,
    buckets,
    shardsAt,
    bucketsAt,
    ownersAt,
    blocksAt,
    endBytes: (blocksAt + shape.blocks * L.BLOCK_WORDS) * 4,
  };
}

/** Writes the fixed numbers into zeroed memory. */
export function writeTable(words: Int32Array, geometry: TableGeometry): void {
  for (const [field, value] of numbersOf(geometry)) words[geometry.headerAt + L.TABLE[field]] = value;
}

/**
 * @param where  the object, for the error
 * @throws NARU_CORRUPT  the numbers contradict each other
 */
export function readTable(words: Int32Array, headerAt: number, bodyAt: number, where: string): TableGeometry {
  const at = (field: keyof typeof L.TABLE): number => (words[headerAt + L.TABLE[field]] ?? 0) >>> 0;
  const [blocks, maxEntries, maxKeyBytes, maxValueBytes] = [
    at('blocks'),
    at('maxEntries'),
    at('maxKeyBytes'),
    at('maxValueBytes'),
  ];
  if (blocks < 1 || blocks > 2 ** 24 || maxEntries < 1 || maxKeyBytes < 1 || maxKeyBytes > L.KEY_BYTES_MAX)
    throw corrupt(where, `a table of ${blocks} blocks for ${maxEntries} entries is impossible`);
  const geometry = tableGeometry({ blocks, maxEntries, maxKeyBytes, maxValueBytes }, headerAt, bodyAt);
  for (const [field, value] of numbersOf(geometry))
    if (at(field) !== value >>> 0) throw corrupt(where, `${field} is ${at(field)}, should be ${value >>> 0}`);
  return geometry;
}

function numbersOf(geometry: TableGeometry): readonly (readonly [keyof typeof L.TABLE, number])[] {
  return [
    ['shards', geometry.shards],
    ['buckets', geometry.buckets],
    ['blocks', geometry.blocks],
    ['maxEntries', geometry.maxEntries],
    ['maxKeyBytes', geometry.maxKeyBytes],
    ['maxValueBytes', geometry.maxValueBytes],
    ['shardsOffset', geometry.shardsAt * 4],
    ['bucketsOffset', geometry.bucketsAt * 4],
    ['ownersOffset', geometry.ownersAt * 4],
    ['blocksOffset', geometry.blocksAt * 4],
  ];
}

function powerOfTwo(atLeast: number): number {
  let size = 1;
  while (size < atLeast) size *= 2;
  return size;
}

function corrupt(where: string, what: string): NaruError {
  return new NaruError('NARU_CORRUPT', `${where} is not usable: ${what}. Remove it with "naru rm".`, {
    mailbox: where,
  });
}
