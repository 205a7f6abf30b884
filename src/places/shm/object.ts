// The shared object `ring` of a mailbox as a file: making it, checking somebody else's before a byte of it is used, mapping
// it. Its contents are the ring's business.

import * as fs from 'node:fs';
import { join } from 'node:path';
import { NaruError } from '../../errors/index.ts';
import { FILE_BYTES_MAX, HEADER, PAGE_BYTES, READY } from '../../ring/layout.ts';
import {
  type Geometry,
  headerWord,
  laneData,
  readHeader,
  type RingMemory,
  ringMemory,
  writeHeader,
} from '../../ring/memory.ts';
import { laneOf, markLaneUsed } from '../../ring/participants.ts';
import type { ShmEdges } from './edges.ts';
import { fileMode, fileObjection, type Gid } from './access.ts';
import { RING_FILE } from './folder.ts';
import { attempt, errnoOf, ioError } from './io-error.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants;

/** A mapped mailbox. */
export interface RingObject {
  readonly path: string;
  readonly fd: number;
  readonly inode: number;
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  readonly memory: RingMemory;
}

/** Makes the object, complete but for the ready mark; under the mailbox's lock. */
export function createObject(folder: string, geometry: Geometry, edges: ShmEdges, gid: Gid): RingObject {
  const path = join(folder, RING_FILE);
  if (geometry.fileBytes > FILE_BYTES_MAX) {
    throw new NaruError(
      'NARU_LIMIT',
      `${path}: ${geometry.laneCount} lanes of ${geometry.laneBytes} bytes are ${geometry.fileBytes} bytes, the limit is ${FILE_BYTES_MAX}; ` +
        'choose a smaller capacity, or relation 1:1 (a single lane)',
      { place: 'shm' },
    );
  }
  const mode = fileMode(gid);
  const fd = attempt('making', path, () => fs.openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
  try {
    edges.failpoint('create:empty');
    fs.fchmodSync(fd, mode);
    fs.ftruncateSync(fd, geometry.fileBytes);
    edges.failpoint('create:sized');
    edges.native.allocate(fd, 0, geometry.dataOffset);
    const object = mapObject(path, fd, geometry, edges, false);
    writeHeader(object.memory);
    edges.failpoint('create:header');
    return object;
  } catch (error) {
    fs.closeSync(fd);
    fs.unlinkSync(path);
    throw ioError(error, 'making', path);
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
  folder: string,
  edges: Pick<ShmEdges, 'native'>,
  gid: Gid,
  readOnly = false,
): RingObject | 'absent' | 'unfinished' {
  return withFile(folder, gid, readOnly, (path, fd, geometry) =>
    mapObject(path, fd, geometry, edges, readOnly),
  );
}

/**
 * A copy of header and tables, without the lanes: enough to see who takes part, and much cheaper than a mapping.
 * @returns and throws as openObject()
 */
export function readTables(folder: string, gid: Gid): RingMemory | 'absent' | 'unfinished' {
  return withFile(folder, gid, true, (path, fd, geometry) => {
    const tables = new Uint8Array(geometry.dataOffset);
    attempt('reading', path, () => fs.readSync(fd, tables, 0, tables.length, 0));
    fs.closeSync(fd);
    return ringMemory(tables.buffer, geometry, tables.length);
  });
}

/** Opens the file and checks it; `use` has to close it, unless it throws. */
function withFile<T>(
  folder: string,
  gid: Gid,
  readOnly: boolean,
  use: (path: string, fd: number, geometry: Geometry) => T,
): T | 'absent' | 'unfinished' {
  const path = join(folder, RING_FILE);
  let fd: number;
  try {
    fd = fs.openSync(path, (readOnly ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return 'absent';
    if (errnoOf(error) === 'EACCES' && isGroupDraft(path, gid)) return 'unfinished';
    throw ioError(error, 'opening', path);
  }
  try {
    const size = checkedSize(fd, path, gid);
    const geometry = size === 0 ? undefined : readHeader(readFirstPage(fd, path), size, path);
    if (geometry !== undefined) return use(path, fd, geometry);
  } catch (error) {
    fs.closeSync(fd);
    throw ioError(error, 'opening', path);
  }
  fs.closeSync(fd);
  return 'unfinished';
}

/** A group's object whose maker died before the other members could open it: it has its mode before it has its size. */
function isGroupDraft(path: string, gid: Gid): boolean {
  if (gid === undefined) return false;
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  return stat !== undefined && stat.isFile() && stat.gid === gid && stat.size === 0;
}

function checkedSize(fd: number, path: string, gid: Gid): number {
  const stat = fs.fstatSync(fd);
  // The same of a maker of our own user, who can open it.
  if (gid !== undefined && stat.isFile() && stat.gid === gid && stat.size === 0) return 0;
  const problem =
    fileObjection(stat, gid) ?? (stat.nlink > 1 ? `it has ${stat.nlink} names (hard links)` : undefined);
  if (problem !== undefined)
    throw new NaruError('NARU_DENIED', `${path} is not used: ${problem}`, { place: 'shm' });
  if (stat.size !== 0 && stat.size < PAGE_BYTES)
    throw new NaruError(
      'NARU_CORRUPT',
      `${path} has ${stat.size} bytes: it was truncated. Remove it with "naru rm".`,
      {
        place: 'shm',
      },
    );
  return stat.size;
}

/** Read, not mapped: the size of a mapping is only known once the header is. */
function readFirstPage(fd: number, path: string): Int32Array {
  const page = new Uint8Array(PAGE_BYTES);
  attempt('reading', path, () => fs.readSync(fd, page, 0, PAGE_BYTES, 0));
  return new Int32Array(page.buffer);
}

function mapObject(
  path: string,
  fd: number,
  geometry: Geometry,
  edges: Pick<ShmEdges, 'native'>,
  readOnly: boolean,
): RingObject {
  const buffer = attempt('mapping', path, () => edges.native.map(fd, geometry.fileBytes, readOnly));
  return { path, fd, inode: fs.fstatSync(fd).ino, buffer, memory: ringMemory(buffer, geometry) };
}

/**
 * Gives a lane its memory, so that a full file system is an error here and never a SIGBUS later; consumers look at it from then on.
 * @returns the lane of this seat and priority
 */
export function provideLane(object: RingObject, seat: number, level: number, edges: ShmEdges): number {
  const { memory } = object;
  const { geometry } = memory;
  const lane = laneOf(memory, seat, level);
  attempt(`giving a lane of ${geometry.laneBytes} bytes its memory in`, object.path, () =>
    edges.native.allocate(object.fd, laneData(geometry, lane), geometry.laneBytes),
  );
  edges.failpoint('lane:allocated');
  markLaneUsed(memory, seat, level);
  return lane;
}

/** False when somebody has truncated the file: touching the mapping would be a SIGBUS. Costs one short system call. */
export function isWhole(object: RingObject, edges: Pick<ShmEdges, 'native'>): boolean {
  return edges.native.fileSize(object.fd) === object.memory.geometry.fileBytes;
}

/** @returns what happened to the file behind the mapping since it was opened */
export function objectState(
  object: RingObject,
  edges: Pick<ShmEdges, 'native'>,
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

export function releaseObject(object: RingObject, edges: Pick<ShmEdges, 'native'>): void {
  edges.native.unmap(object.buffer);
  fs.closeSync(object.fd);
}
