// Where everything lies in the shared object of a lock, a semaphore or an event: every offset and mark, and nothing else. Header and seats begin
// like a mailbox's (layout.ts). The same tables stand in docs/internals/shm-layout.md, and layout.test.ts compares the two.

import { PAGE_BYTES, PARTICIPANTS, PARTICIPANT_STRIDE } from './layout.ts';

/** "SYNC" as it stands in the file, where a mailbox has "RING". */
export const SYNC_KIND = 0x434e5953;
export const SYNC_VERSION_MAJOR = 1;
export const SYNC_VERSION_MINOR = 0;

/** Byte offsets in the header page. What a mailbox's header has too stands at the same offset. */
export const SYNC_HEADER = {
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
  count: 48,
  bounded: 52,
  owner: 76,
  createdMs: 88,
  creator: 96,
  ready: 256,
  closed: 384,
  membership: 392,
  value: 1024,
  waiting: 1032,
  returned: 1040,
} as const;

/** What a participant's entry holds beside what a mailbox's does: three words about its permits. */
export const SYNC_PARTICIPANT = { permits: 192, announced: 196, made: 200 } as const;

/** Values of `SYNC_HEADER.type`. */
export const SYNC_TYPES = ['lock', 'semaphore', 'event'] as const;

/** What a waiting participant's doorbell is rung for. */
export const WANT_TURN = 1;

export const SYNC_FILE_BYTES: number = PAGE_BYTES + PARTICIPANTS * PARTICIPANT_STRIDE;
