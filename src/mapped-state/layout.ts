// Where everything lies in the shared object of a value, an array or a map: every offset and mark, and nothing else. What a mailbox's
// header has too stands at the same offset (ring/layout.ts). The same tables stand in docs/internals/state-layout.md.

import { PAGE_BYTES, PARTICIPANT_STRIDE, PARTICIPANTS } from '../ring/layout.ts';

/** "STAT" as it stands in the file, where a mailbox has "RING". */
export const STATE_KIND = 0x54415453;
export const STATE_VERSION_MAJOR = 1;
export const STATE_VERSION_MINOR = 0;

/** Byte offsets in the header page. Fixed at creation up to and with `creator`. */
export const STATE_HEADER = {
  magic: 0,
  kind: 4,
  byteOrder: 8,
  versionMajor: 12,
  versionMinor: 16,
  requiredFeatures: 20,
  optionalFeatures: 24,
  fileBytes: 28,
  participantsOffset: 32,
  participantStride: 36,
  participantCount: 40,
  type: 44,
  element: 48,
  elementBytes: 52,
  length: 56,
  dataOffset: 60,
  owner: 76,
  createdMs: 88,
  creator: 96,
  ready: 256,
  closed: 384,
  membership: 392,
  /** The lock that users take (withLock), 1 while somebody waits for it, and what waiters sleep on. */
  lock: 1024,
  waiting: 1028,
  turn: 1032,
  /** The lock of whoever writes a text or bytes. */
  writer: 1152,
} as const;

/** Values of `STATE_HEADER.type`. */
export const STATE_TYPES = ['value', 'array', 'map'] as const;

/** Where the header of a map's table begins: in the header page, so that reading that is enough to know everything. */
export const TABLE_OFFSET = 2048;
/** Where values and elements begin, and the rest of a table. */
export const DATA_OFFSET: number = PAGE_BYTES + PARTICIPANTS * PARTICIPANT_STRIDE;

/**
 * Byte offsets in the data of a text or bytes: how often it was written, the lengths of its two copies, the copies. The one that
 * counts is copy `written` modulo 2.
 */
export const BLOB = { written: 0, lengths: 4, copies: 64 } as const;
