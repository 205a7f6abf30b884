// The shared object of a mailbox as a file: making it, checking somebody else's before a byte of it is used, mapping
// it. Its contents are the ring's business.

import * as fs from 'node:fs';
import { NaruError } from '../errors/index.ts';
import { FILE_BYTES_MAX, HEADER, PAGE_BYTES, READY } from '../ring/layout.ts';
import {
  type Geometry,
  headerWord,
  laneData,
  readHeader,
  type RingMemory,
  ringMemory,
  writeHeader,
} from '../ring/memory.ts';
import { laneOf, markLaneUsed } from '../ring/participants.ts';
import type { RingEdges } from './edges.ts';
import { attempt, errnoOf, ioError } from './io-error.ts';
import { fileMode, fileObjection, type Site, type Where } from './site.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants;

/** A mapped mailbox. */
export interface RingObject {
  readonly path: string;
  /** For errors. */
  readonly where: Where;
  readonly fd: number;
  readonly inode: number;
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  readonly memory: RingMemory;
}

/** Makes the object, complete but for the ready mark; under the mailbox's lock. */
export function createObject(site: Site, geometry: Geometry, edges: RingEdges): RingObject {
  const path = site.ring;
  if (geometry.fileBytes > FILE_BYTES_MAX) {
    throw new NaruError(
      'NARU_LIMIT',
      `${path}: ${geometry.laneCount} lanes of ${geometry.laneBytes} bytes are ${geometry.fileBytes} bytes, the limit is ${FILE_BYTES_MAX}; ` +
        'choose a smaller capacity, or relation 1:1 (a single lane)',
      { place: site.place },
    );
  }
  const mode = fileMode(site.gid);
  const fd = attempt(site, 'making', path, () =>
    fs.openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode),
  );
  try {
    edges.failpoint('create:empty');
    fs.fchmodSync(fd, mode);
    fs.ftruncateSync(fd, geometry.fileBytes);
    edges.failpoint('create:sized');
    edges.native.allocate(fd, 0, geometry.dataOffset);
    const object = mapObject(site, fd, geometry, edges, false);
    writeHeader(object.memory);
    edges.failpoint('create:header');
    return object;
  } catch (error) {
    fs.closeSync(fd);
    fs.unlinkSync(path);
    throw ioError(site, error, 'making', path);
  }
}

/** The last step of creation. */
export function markReady(memory: RingMemory): void {
  Atomics.store(memory.words, headerWord(HEADER.ready), READY);
}

/**
 * Opens and maps the object after every check.
 *
 * @returns `absent` when there is none; `unfinished` when its creator died before the ready mark
 * @throws NARU_DENIED (somebody else's, links, open to others), NARU_CORRUPT, NARU_UNSUPPORTED, NARU_LIMIT
 */
export function openObject(
  site: Site,
  edges: Pick<RingEdges, 'native'>,
  readOnly = false,
): RingObject | 'absent' | 'unfinished' {
  return withFile(site, readOnly, (fd, geometry) => mapObject(site, fd, geometry, edges, readOnly));
}

/**
 * A copy of header and tables, without the lanes: enough to see who takes part, and much cheaper than a mapping.
 * @returns and throws as openObject()
 */
export function readTables(site: Site): RingMemory | 'absent' | 'unfinished' {
  return withFile(site, true, (fd, geometry) => {
    const tables = new Uint8Array(geometry.dataOffset);
    attempt(site, 'reading', site.ring, () => fs.readSync(fd, tables, 0, tables.length, 0));
    fs.closeSync(fd);
    return ringMemory(tables.buffer, geometry, tables.length);
  });
}

/** Opens the file and checks it; `use` has to close it, unless it throws. */
function withFile<T>(
  site: Site,
  readOnly: boolean,
  use: (fd: number, geometry: Geometry) => T,
): T | 'absent' | 'unfinished' {
  const path = site.ring;
  let fd: number;
  try {
    fd = fs.openSync(path, (readOnly ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return 'absent';
    if (errnoOf(error) === 'EACCES' && isGroupDraft(site)) return 'unfinished';
    throw ioError(site, error, 'opening', path);
  }
  try {
    const size = checkedSize(site, fd);
    const geometry = size === 0 ? undefined : readHeader(readFirstPage(site, fd), size, path);
    if (geometry !== undefined) return use(fd, geometry);
  } catch (error) {
    fs.closeSync(fd);
    throw ioError(site, error, 'opening', path);
  }
  fs.closeSync(fd);
  return 'unfinished';
}

/** A group's object whose maker died before the other members could open it: it has its mode before it has its size. */
function isGroupDraft({ ring, gid }: Site): boolean {
  if (gid === undefined) return false;
  const stat = fs.lstatSync(ring, { throwIfNoEntry: false });
  return stat !== undefined && stat.isFile() && stat.gid === gid && stat.size === 0;
}

function checkedSize({ ring, gid, place }: Site, fd: number): number {
  const stat = fs.fstatSync(fd);
  // The same of a maker of our own user, who can open it.
  if (gid !== undefined && stat.isFile() && stat.gid === gid && stat.size === 0) return 0;
  const problem =
    fileObjection(stat, gid) ?? (stat.nlink > 1 ? `it has ${stat.nlink} names (hard links)` : undefined);
  if (problem !== undefined) throw new NaruError('NARU_DENIED', `${ring} is not used: ${problem}`, { place });
  if (stat.size !== 0 && stat.size < PAGE_BYTES)
    throw new NaruError(
      'NARU_CORRUPT',
      `${ring} has ${stat.size} bytes: it was truncated. Remove it with "naru rm".`,
      { place },
    );
  return stat.size;
}

/** Read, not mapped: the size of a mapping is only known once the header is. */
function readFirstPage(site: Site, fd: number): Int32Array {
  const page = new Uint8Array(PAGE_BYTES);
  attempt(site, 'reading', site.ring, () => fs.readSync(fd, page, 0, PAGE_BYTES, 0));
  return new Int32Array(page.buffer);
}

function mapObject(
  site: Site,
  fd: number,
  geometry: Geometry,
  edges: Pick<RingEdges, 'native'>,
  readOnly: boolean,
): RingObject {
  const buffer = attempt(site, 'mapping', site.ring, () =>
    edges.native.map(fd, geometry.fileBytes, readOnly),
  );
  return {
    path: site.ring,
    where: site,
    fd,
    inode: fs.fstatSync(fd).ino,
    buffer,
    memory: ringMemory(buffer, geometry),
  };
}

/**
 * Gives a lane its memory, so that a full file system is an error here and never a SIGBUS later; consumers look at it from then on.
 * @returns the lane of this seat and priority
 */
export function provideLane(object: RingObject, seat: number, level: number, edges: RingEdges): number {
  const { memory } = object;
  const { geometry } = memory;
  const lane = laneOf(memory, seat, level);
  attempt(object.where, `giving a lane of ${geometry.laneBytes} bytes its memory in`, object.path, () =>
    edges.native.allocate(object.fd, laneData(geometry, lane), geometry.laneBytes),
  );
  edges.failpoint('lane:allocated');
  markLaneUsed(memory, seat, level);
  return lane;
}

/** False when somebody has truncated the file: touching the mapping would be a SIGBUS. Costs one short system call. */
export function isWhole(object: RingObject, edges: Pick<RingEdges, 'native'>): boolean {
  return edges.native.fileSize(object.fd) === object.memory.geometry.fileBytes;
}

/** @returns what happened to the file behind the mapping since it was opened */
export function objectState(
  object: RingObject,
  edges: Pick<RingEdges, 'native'>,
): 'ok' | 'removed' | 'truncated' {
  if (!isWhole(object, edges)) return 'truncated';
  try {
    const now = fs.statSync(object.path, { throwIfNoEntry: false });
    return now?.ino === object.inode ? 'ok' : 'removed';
  } catch {
    // Not to be reached: in a group's folder another user may be making the mailbox anew, or have closed it to us.
    return 'removed';
  }
}

export function releaseObject(object: RingObject, edges: Pick<RingEdges, 'native'>): void {
  edges.native.unmap(object.buffer);
  fs.closeSync(object.fd);
}
