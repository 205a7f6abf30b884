// Where everything lies in a shared hash table: every offset and mark, and nothing else. The same tables stand in
// docs/internals/state-layout.md. All numbers are little-endian; "word" = 32 bits. References to blocks are index + 1; 0 = none.

/** Bytes of a block: an entry is a chain of them. */
export const BLOCK_BYTES = 128;
export const BLOCK_WORDS: number = BLOCK_BYTES / 4;
/** Two cache lines: shards stay apart (adjacent-line prefetch). */
export const SHARD_BYTES = 128;
/** Shards, each with a lock of its own; a power of two. */
export const SHARDS = 64;

/** Word offsets in the table's own header. Fixed at creation: the first line. The others change, each on a line of its own. */
export const TABLE = {
  shards: 0,
  buckets: 1,
  blocks: 2,
  maxEntries: 3,
  maxKeyBytes: 4,
  maxValueBytes: 5,
  shardsOffset: 6,
  bucketsOffset: 7,
  ownersOffset: 8,
  blocksOffset: 9,
  /** Entries there are or are being made; too high by one for each writer that died at it, until it is counted anew. */
  entries: 32,
  /** Shards that were put right after a death, and how many of them the last count of `entries` knew. */
  recoveries: 33,
  counted: 34,
  /** 1 once an entry was made that expires. */
  expiring: 35,
  /** 1 while somebody sleeps for changes; whoever clears it wakes all. */
  parked: 64,
  /** What they sleep on. */
  changes: 96,
} as const;
export const TABLE_WORDS = 128;

/** Word offsets in a shard. All but `lock` and `seq` belong to whoever has the lock. */
export const SHARD = {
  lock: 0,
  /** Changes after a chain was changed, before any block that left it is used again. */
  seq: 1,
  count: 2,
  versionLow: 3,
  versionHigh: 4,
  /** Free blocks that this shard keeps for itself, chained by `next`. */
  spare: 5,
  spares: 6,
  /** Where the last free block was found. */
  hint: 7,
} as const;

/** Word offsets in every block. `versionLow` of an entry is never 0; in what is no entry (any more) it is. */
export const BLOCK = {
  next: 0,
  versionLow: 1,
  versionHigh: 2,
} as const;
/** Word at which the data of a continuing block begin. */
export const MORE_WORDS = 3;

/** Further word offsets in the first block of an entry. Its data: the key, zeros up to a whole word, the value. */
export const ENTRY = {
  chain: 3,
  hash: 4,
  keyBytes: 5,
  valueBytes: 6,
  flags: 7,
  /** Float64: milliseconds since the epoch; 0 = never. */
  expires: 8,
} as const;
/** Word at which the data of a first block begin. */
export const FIRST_WORDS = 10;

export const FIRST_BYTES: number = BLOCK_BYTES - FIRST_WORDS * 4;
export const MORE_BYTES: number = BLOCK_BYTES - MORE_WORDS * 4;
/** Longest key in bytes of UTF-8. */
export const KEY_BYTES_MAX = 1024;
