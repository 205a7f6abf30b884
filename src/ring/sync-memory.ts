// The mapped bytes of one lock, semaphore or event: writing its header, and reading it back with every number checked. Maps nothing itself.

import { NaruError } from '../errors/index.ts';
import * as L from './layout.ts';
import { headerWord, participantWord, type RingOwner } from './memory.ts';
import type { PermitWords } from './permits.ts';
import * as S from './sync-layout.ts';

export type SyncType = (typeof S.SYNC_TYPES)[number];

/** What is chosen when one is made. */
export interface SyncShape {
  readonly type: SyncType;
  /** Permits of a semaphore at first; 1 for a lock, 0 for an event. */
  readonly count: number;
  /** Of a semaphore: only who has a permit gives one back. */
  readonly bounded: boolean;
  readonly owner: RingOwner;
}

/** Its numbers, as its header states them. */
export interface SyncGeometry extends SyncShape {
  readonly fileBytes: number;
  readonly participantCount: number;
  readonly createdMs: number;
}

/** The mapped bytes. */
export interface SyncMemory {
  readonly words: Int32Array;
  readonly geometry: SyncGeometry;
}

const OWNERS: readonly RingOwner[] = ['users', 'process', 'system'];

/** Word indexes of the thing itself: its value, who waits for it, and permits that came back. */
export const SYNC_WORDS: { readonly value: number; readonly waiting: number; readonly returned: number } = {
  value: headerWord(S.SYNC_HEADER.value),
  waiting: headerWord(S.SYNC_HEADER.waiting),
  returned: headerWord(S.SYNC_HEADER.returned),
};

export function syncGeometryOf(shape: SyncShape, createdMs: number): SyncGeometry {
  return { ...shape, fileBytes: S.SYNC_FILE_BYTES, participantCount: L.PARTICIPANTS, createdMs };
}

export function syncMemory(buffer: ArrayBufferLike, geometry: SyncGeometry): SyncMemory {
  return { words: new Int32Array(buffer, 0, geometry.fileBytes >>> 2), geometry };
}

/** Where a semaphore's words lie. */
export function permitWords({ words }: SyncMemory): PermitWords {
  return {
    words,
    wide: new BigInt64Array(words.buffer, words.byteOffset, words.length >>> 1),
    value: SYNC_WORDS.value >>> 1,
    returned: SYNC_WORDS.returned,
    seat: (slot) => participantWord(slot, S.SYNC_PARTICIPANT.permits),
  };
}

/** Writes header and first value into zeroed memory, all but the ready mark, which the creator writes last. */
export function writeSyncHeader({ words, geometry }: SyncMemory): void {
  const put = (offset: number, value: number): void => {
    words[headerWord(offset)] = value;
  };
  put(S.SYNC_HEADER.magic, L.MAGIC);
  put(S.SYNC_HEADER.kind, S.SYNC_KIND);
  put(S.SYNC_HEADER.byteOrder, L.BYTE_ORDER);
  put(S.SYNC_HEADER.versionMajor, S.SYNC_VERSION_MAJOR);
  put(S.SYNC_HEADER.versionMinor, S.SYNC_VERSION_MINOR);
  put(S.SYNC_HEADER.fileBytes, geometry.fileBytes);
  put(S.SYNC_HEADER.participantsOffset, L.PAGE_BYTES);
  put(S.SYNC_HEADER.participantStride, L.PARTICIPANT_STRIDE);
  put(S.SYNC_HEADER.participantCount, geometry.participantCount);
  put(S.SYNC_HEADER.type, S.SYNC_TYPES.indexOf(geometry.type) + 1);
  put(S.SYNC_HEADER.count, geometry.count);
  put(S.SYNC_HEADER.bounded, geometry.bounded ? 1 : 0);
  put(S.SYNC_HEADER.owner, OWNERS.indexOf(geometry.owner) + 1);
  new DataView(words.buffer, words.byteOffset).setFloat64(S.SYNC_HEADER.createdMs, geometry.createdMs, true);
  if (geometry.type === 'semaphore') put(S.SYNC_HEADER.value, geometry.count);
}

/**
 * Reads a header that another process wrote and checks every number in it.
 *
 * @param words      at least the header page
 * @param fileBytes  real size of the file
 * @param where      the file, for the error
 * @returns the geometry; undefined when the creator has not finished (no ready mark)
 * @throws NARU_EXISTS       it is something else of Naru's
 * @throws NARU_CORRUPT      it is nothing of ours, or its numbers contradict each other or the file
 * @throws NARU_UNSUPPORTED  another major version, byte order, or a feature that this version does not know
 */
export function readSyncHeader(
  words: Int32Array,
  fileBytes: number,
  where: string,
): SyncGeometry | undefined {
  const at = (offset: number): number => (words[headerWord(offset)] ?? 0) >>> 0;
  if (at(S.SYNC_HEADER.magic) === 0 && at(S.SYNC_HEADER.ready) === 0) return undefined;
  if (at(S.SYNC_HEADER.magic) === L.MAGIC && at(S.SYNC_HEADER.kind) !== S.SYNC_KIND) {
    const kind = at(S.SYNC_HEADER.kind);
    const what = kind === L.KIND ? 'a mailbox' : L.OTHER_KINDS.get(kind);
    if (what !== undefined)
      throw new NaruError('NARU_EXISTS', `${where} is ${what}: choose another name`, { place: 'shm' });
  }
  if (at(S.SYNC_HEADER.magic) !== L.MAGIC || at(S.SYNC_HEADER.kind) !== S.SYNC_KIND)
    throw corrupt(where, 'it does not start with "NARUSYNC"');
  if (at(S.SYNC_HEADER.byteOrder) !== L.BYTE_ORDER)
    throw unsupported(where, 'was written on a machine of the other byte order');
  const [major, minor] = [at(S.SYNC_HEADER.versionMajor), at(S.SYNC_HEADER.versionMinor)];
  if (major !== S.SYNC_VERSION_MAJOR)
    throw unsupported(
      where,
      `has layout version ${major}.${minor}, this naru reads ${S.SYNC_VERSION_MAJOR}.x`,
    );
  const unknown = (at(S.SYNC_HEADER.requiredFeatures) & ~L.REQUIRED_FEATURES_KNOWN) >>> 0;
  if (unknown !== 0)
    throw unsupported(where, `needs features 0x${unknown.toString(16)} that this naru does not know`);
  if (at(S.SYNC_HEADER.ready) !== L.READY) return undefined;
  return checkedGeometry(at, words, fileBytes, where);
}

function checkedGeometry(
  at: (offset: number) => number,
  words: Int32Array,
  fileBytes: number,
  where: string,
): SyncGeometry {
  const type = S.SYNC_TYPES[at(S.SYNC_HEADER.type) - 1];
  const owner = OWNERS[at(S.SYNC_HEADER.owner) - 1];
  if (type === undefined || owner === undefined)
    throw corrupt(where, `type ${at(S.SYNC_HEADER.type)} or owner ${at(S.SYNC_HEADER.owner)} is unknown`);
  const view = new DataView(words.buffer, words.byteOffset);
  const geometry = syncGeometryOf(
    { type, owner, count: at(S.SYNC_HEADER.count), bounded: at(S.SYNC_HEADER.bounded) !== 0 },
    view.getFloat64(S.SYNC_HEADER.createdMs, true),
  );
  // Of one major version the tables have one place only; whatever differs was written by something else.
  const expected: readonly (readonly [string, number, number])[] = [
    ['fileBytes', at(S.SYNC_HEADER.fileBytes), geometry.fileBytes],
    ['participantsOffset', at(S.SYNC_HEADER.participantsOffset), L.PAGE_BYTES],
    ['participantStride', at(S.SYNC_HEADER.participantStride), L.PARTICIPANT_STRIDE],
    ['participantCount', at(S.SYNC_HEADER.participantCount), geometry.participantCount],
    ['size of the file', fileBytes, geometry.fileBytes],
  ];
  for (const [name, is, shouldBe] of expected)
    if (is !== shouldBe) throw corrupt(where, `${name} is ${is}, should be ${shouldBe}`);
  return geometry;
}

function corrupt(where: string, what: string): NaruError {
  return new NaruError(
    'NARU_CORRUPT',
    `${where} is not a usable lock, semaphore or event: ${what}. Remove it with "naru rm" once nobody uses it.`,
    { place: 'shm', mailbox: where },
  );
}

function unsupported(where: string, what: string): NaruError {
  return new NaruError(
    'NARU_UNSUPPORTED',
    `${where} ${what}. Use the same version of naru on both sides, or remove it with "naru rm".`,
    { place: 'shm', mailbox: where },
  );
}
