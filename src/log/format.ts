// Where everything lies in the files of a log: every offset, mark and kind, and nothing else. The same tables stand in
// docs/internals/log.md, and format.test.ts compares the two. All numbers are little-endian.

/** Everything in a segment begins at a multiple of it. */
export const UNIT_BYTES = 8;
/** What a disk writes whole or not at all; a synced group ends at a multiple of it, so no later write touches its sectors. */
export const SECTOR_BYTES = 512;

/** "NARU", and what kind of file follows: "SLOG", "SIDX", "SNAP" as they stand in the file. */
export const MAGIC = 0x5552414e;
export const FILE_KIND = { segment: 0x474f4c53, index: 0x58444953, snapshot: 0x50414e53 } as const;
/** Reads as another number on a machine of the other byte order. */
export const BYTE_ORDER = 0x01020304;
/** A reader of another major version must refuse; a greater minor version only added what may be ignored. */
export const VERSION_MAJOR = 1;
export const VERSION_MINOR = 0;
/** Feature bits a reader must know. None yet. */
export const REQUIRED_FEATURES_KNOWN = 0;

/** Byte offsets in the header of every file of a log. */
export const FILE_HEADER = {
  magic: 0,
  kind: 4,
  byteOrder: 8,
  versionMajor: 12,
  versionMinor: 16,
  requiredFeatures: 20,
  optionalFeatures: 24,
  bodyBytes: 28,
  logId: 32,
  number: 48,
  generation: 52,
  bodyCrc: 56,
  crc: 60,
} as const;
export const FILE_HEADER_BYTES = 64;
/** Where a segment's first record begins: in a sector of its own, which the header's sync is not put at risk by. */
export const FIRST_RECORD_AT: number = SECTOR_BYTES;
export const LOG_ID_BYTES = 16;

/** Byte offsets in the header of a record. After it: `extraStreams` words, padding to a unit, the body, padding to a unit. */
export const RECORD = {
  crc: 0,
  kind: 4,
  extraStreams: 6,
  sequence: 8,
  stamp: 16,
  bodyBytes: 24,
  bodyCrc: 28,
  stream: 32,
  note: 36,
} as const;
export const RECORD_HEADER_BYTES = 40;

/** What a record is. 0 is nothing: preallocated room. */
export const KIND = { data: 1, removal: 2, mark: 3, manifest: 4, change: 5, seal: 6 } as const;
export type Kind = (typeof KIND)[keyof typeof KIND];

/** Byte offsets in the body of a mark; the rest of its body is padding. */
export const MARK_BODY = { syncedNumber: 0, syncedBytes: 4 } as const;
export const MARK_BODY_BYTES = 8;

/** Byte offsets in an entry of a manifest, which is one segment that belongs to the log. */
export const SEGMENT_ENTRY = {
  number: 0,
  generation: 4,
  first: 8,
  last: 16,
  usedBytes: 24,
  chain: 28,
} as const;
export const SEGMENT_ENTRY_BYTES = 32;

/** Byte offsets in the row of an index, which is one record of its segment. */
export const INDEX_ROW = { sequence: 0, stamp: 8, offset: 16, bodyBytes: 20, stream: 24, note: 28 } as const;
export const INDEX_ROW_BYTES = 32;

/** Limits, checked before anything is allocated. */
export const EXTRA_STREAMS_MAX = 0xffff;
export const SEGMENT_BYTES_MAX: number = 2 ** 31 - 4096;

/** Rounds up to a unit. */
export function toUnit(bytes: number): number {
  // Not by bits: a hostile length has all 32 of them.
  return Math.ceil(bytes / UNIT_BYTES) * UNIT_BYTES;
}

/** Bytes of a record before its body. */
export function headBytes(extraStreams: number): number {
  return RECORD_HEADER_BYTES + toUnit(extraStreams * 4);
}

export type FileName = { readonly number: number; readonly generation: number };

/** `00000001.0.seg`, or with another ending the index of that segment. */
export function fileName({ number, generation }: FileName, ending: 'seg' | 'idx'): string {
  return `${number.toString(16).padStart(8, '0')}.${generation.toString(16)}.${ending}`;
}

/** @returns undefined for a name that is not a segment's or, with `idx`, an index's */
export function parseFileName(name: string, ending: 'seg' | 'idx'): FileName | undefined {
  const match = /^([0-9a-f]{8})\.([0-9a-f]{1,8})\.(seg|idx)$/.exec(name);
  if (match === null || match[3] !== ending) return undefined;
  const parsed = {
    number: Number.parseInt(match[1] ?? '', 16),
    generation: Number.parseInt(match[2] ?? '', 16),
  };
  return fileName(parsed, ending) === name ? parsed : undefined;
}
