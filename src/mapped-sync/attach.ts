// From a site to a seat in a lock, semaphore or event: finding it or making it, checking it, taking a slot. Everything here happens under
// the lock of its folder.

import { NaruError } from '../errors/index.ts';
import type { Create, WaitOptions } from '../mailbox/options.ts';
import type { RingEdges } from '../mapped-ring/edges.ts';
import { lockFolder, removeFifos, removeFile, removeMailboxFiles } from '../mapped-ring/folder.ts';
import {
  makeObjectFile,
  type MappedObject,
  mapObjectFile,
  releaseObject,
  withObjectFile,
} from '../mapped-ring/object-file.ts';
import { markReady } from '../mapped-ring/object.ts';
import { isClosed } from '../mapped-ring/participation.ts';
import { recoveryEdges, type Seat, takeSeat } from '../mapped-ring/seat.ts';
import type { Site } from '../mapped-ring/site.ts';
import { HEADER } from '../ring/layout.ts';
import { headerWord } from '../ring/memory.ts';
import { seatMark, type SeatMark } from '../ring/participants.ts';
import { isAbandoned } from '../ring/recovery.ts';
import {
  readSyncHeader,
  type SyncGeometry,
  syncGeometryOf,
  type SyncMemory,
  syncMemory,
  type SyncShape,
  writeSyncHeader,
} from '../ring/sync-memory.ts';
import { recoverDeadHolders } from '../ring/sync-recovery.ts';

export type SyncObject = MappedObject<SyncMemory>;

/** What one is opened with. */
export interface AttachOptions {
  /** The URL as it may be shown. */
  readonly text: string;
  readonly create: Create;
  /** What a new one gets. */
  readonly shape: SyncShape;
  /** What was said in so many words, and must agree with what exists. */
  readonly stated: Partial<SyncShape>;
  readonly wait: WaitOptions;
  readonly signal: AbortSignal | undefined;
}

/** One handle's part in a lock, semaphore or event. */
export interface SyncPart extends Seat {
  readonly text: string;
  readonly site: Site;
  readonly object: SyncObject;
  readonly memory: SyncMemory;
  /** The seat's mark. */
  readonly mark: SeatMark;
  readonly edges: RingEdges;
  readonly created: boolean;
}

/** @throws NARU_NOT_FOUND, NARU_EXISTS (another type or other options), NARU_DENIED, NARU_CORRUPT, NARU_UNSUPPORTED, NARU_LIMIT */
export async function attachSync(site: Site, options: AttachOptions, edges: RingEdges): Promise<SyncPart> {
  const lock = await lockFolder(site, options.create !== 'never', options.signal, edges);
  if (lock === 'absent') throw absent(options, site);
  try {
    return attachLocked(site, options, edges);
  } finally {
    lock.release();
  }
}

function attachLocked(site: Site, options: AttachOptions, edges: RingEdges): SyncPart {
  const found = findLiving(site, edges);
  if (found === undefined && options.create === 'never') {
    removeMailboxFiles(site, edges.failpoint);
    throw absent(options, site);
  }
  let object = found;
  try {
    if (object !== undefined) {
      if (options.create === 'new') throw exists(options, site);
      compare(options, site, object.memory.geometry);
      return takePart(site, options, object, edges, false);
    }
    object = createSync(site, syncGeometryOf(options.shape, Date.now()), edges);
    const part = takePart(site, options, object, edges, true);
    Atomics.store(object.memory.words, headerWord(HEADER.creator), part.mark);
    edges.failpoint('create:before-ready');
    markReady(object.memory);
    edges.failpoint('create:ready');
    return part;
  } catch (error) {
    if (object !== undefined) releaseObject(object, edges);
    if (found === undefined) removeMailboxFiles(site, edges.failpoint);
    throw error;
  }
}

function takePart(
  site: Site,
  { text, wait }: AttachOptions,
  object: SyncObject,
  edges: RingEdges,
  created: boolean,
): SyncPart {
  const { memory } = object;
  const seat = takeSeat(site, text, memory, wait, edges);
  return { ...seat, text, site, object, memory, mark: seatMark(seat.slot, seat.generation), edges, created };
}

/** What is in the folder, its dead cleaned up; undefined when there is nothing that anybody may still use. */
function findLiving(site: Site, edges: RingEdges): SyncObject | undefined {
  const object = openSync(site, edges);
  if (typeof object === 'object') {
    recoverDeadHolders(object.memory, -1, recoveryEdges(site, object.memory, edges));
    if (!isClosed(object.memory) && !isAbandoned(object.memory)) return object;
    releaseObject(object, edges);
  }
  // Nobody holds the lock but us: who left this half-made is dead, and so is whoever used it.
  removeFile(site, site.ring);
  removeFifos(site);
  return undefined;
}

/**
 * Opens and maps the object after every check.
 *
 * @returns `absent` when there is none; `unfinished` when its creator died before the ready mark
 * @throws NARU_EXISTS (something else of Naru's), NARU_DENIED, NARU_CORRUPT, NARU_UNSUPPORTED, NARU_LIMIT
 */
export function openSync(
  site: Site,
  edges: Pick<RingEdges, 'native'>,
  readOnly = false,
): SyncObject | 'absent' | 'unfinished' {
  return withObjectFile(site, readOnly, readSyncHeader, (fd, geometry) =>
    mapSync(site, fd, geometry, edges, readOnly),
  );
}

function createSync(site: Site, geometry: SyncGeometry, edges: RingEdges): SyncObject {
  const sizes = { fileBytes: geometry.fileBytes, allocatedBytes: geometry.fileBytes };
  return makeObjectFile(site, sizes, edges, (fd) => {
    const object = mapSync(site, fd, geometry, edges, false);
    writeSyncHeader(object.memory);
    return object;
  });
}

function mapSync(
  site: Site,
  fd: number,
  geometry: SyncGeometry,
  edges: Pick<RingEdges, 'native'>,
  readOnly: boolean,
): SyncObject {
  return mapObjectFile(site, fd, geometry, (buffer) => syncMemory(buffer, geometry), edges, readOnly);
}

/** @throws NARU_EXISTS  it is another type, or something that was asked for differs from what it was made with */
function compare({ text, shape, stated }: AttachOptions, { place }: Site, existing: SyncGeometry): void {
  const fail = (what: string): NaruError =>
    new NaruError('NARU_EXISTS', `${text} ${what}`, { place, mailbox: text });
  const named = (type: string): string => `${type === 'event' ? 'an' : 'a'} ${type}`;
  if (existing.type !== shape.type)
    throw fail(
      `is ${named(existing.type)}, not ${named(shape.type)}: choose another name, or open it as what it is`,
    );
  const different = (Object.keys(stated) as (keyof SyncShape)[]).filter(
    (key) => stated[key] !== existing[key],
  );
  if (different.length === 0) return;
  const shown = different.map((key) => `${key}: asked ${stated[key]}, is ${existing[key]}`).join('; ');
  throw fail(
    `exists with other options (${shown}). Leave them out to adopt what exists, or remove it with "naru rm".`,
  );
}

function absent({ text }: AttachOptions, { place, ring }: Site): NaruError {
  return new NaruError(
    'NARU_NOT_FOUND',
    `${text} does not exist (there is no ${ring}), and create is "never"`,
    {
      place,
      mailbox: text,
    },
  );
}

function exists({ text }: AttachOptions, { place }: Site): NaruError {
  return new NaruError(
    'NARU_EXISTS',
    `${text} exists already and create is "new". Open it with create: "if-missing", or remove it with "naru rm".`,
    { place, mailbox: text },
  );
}
