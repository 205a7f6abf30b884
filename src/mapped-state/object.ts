// The shared object of a value, an array or a map as a file: making it, checking somebody else's before a byte of it is used, mapping
// it. Its contents are header.ts's.

import * as fs from 'node:fs';
import { join } from 'node:path';
import { NaruError } from '../errors/index.ts';
import { attempt, errnoOf, ioError } from '../mapped-ring/io-error.ts';
import { fileMode, fileObjection, type Site } from '../mapped-ring/site.ts';
import { FILE_BYTES_MAX, READY } from '../ring/layout.ts';
import { headerWord } from '../ring/memory.ts';
import type { StateEdges } from './edges.ts';
import {
  readStateHeader,
  type StateGeometry,
  type StateMemory,
  stateMemory,
  writeStateHeader,
} from './header.ts';
import { DATA_OFFSET, STATE_HEADER } from './layout.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants;
/** Header page, participants, and the table's own header. */
const FIRST_BYTES = DATA_OFFSET + 4096;

/** A mapped object. */
export interface StateObject {
  readonly fd: number;
  readonly inode: number;
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  readonly memory: StateMemory;
}

/** Where an object is made; it gets its name when it is complete. A file that somebody else laid there is never touched. */
export function draftOf(site: Site): string {
  return join(site.folder, 'draft');
}

/** Makes the object, complete but for mark and name; under the lock of its folder. @throws NARU_LIMIT, NARU_DENIED */
export function createObject(site: Site, geometry: StateGeometry, edges: StateEdges): StateObject {
  const path = draftOf(site);
  if (geometry.fileBytes > FILE_BYTES_MAX)
    throw new NaruError(
      'NARU_LIMIT',
      `${path}: ${geometry.fileBytes} bytes are more than ${FILE_BYTES_MAX}; choose a smaller capacity or length`,
      { place: site.place, mailbox: path },
    );
  const mode = fileMode(site.gid);
  const fd = attempt(site, 'making', path, () =>
    fs.openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode),
  );
  try {
    edges.failpoint('create:empty');
    fs.fchmodSync(fd, mode);
    fs.ftruncateSync(fd, geometry.fileBytes);
    edges.failpoint('create:sized');
    // All of it: a full file system is an error here, and never a SIGBUS later.
    edges.native.allocate(fd, 0, geometry.fileBytes);
    const object = mapObject(site, fd, geometry, edges, false);
    writeStateHeader(object.memory);
    edges.failpoint('create:header');
    return object;
  } catch (error) {
    fs.closeSync(fd);
    fs.unlinkSync(path);
    throw ioError(site, error, 'making', path);
  }
}

/** The last steps of creation. @throws NARU_EXISTS  somebody laid a file of that name there meanwhile */
export function publish(site: Site, { memory }: StateObject, edges: StateEdges): void {
  const draft = draftOf(site);
  Atomics.store(memory.words, headerWord(STATE_HEADER.ready), READY);
  edges.failpoint('create:ready');
  try {
    fs.linkSync(draft, site.ring);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw ioError(site, error, 'naming', site.ring);
    throw new NaruError('NARU_EXISTS', `${site.ring} is there already, made by somebody else`, {
      place: site.place,
    });
  }
  edges.failpoint('create:named');
  fs.unlinkSync(draft);
  edges.failpoint('create:done');
}

/**
 * Opens and maps the object after every check.
 *
 * @returns undefined when there is none
 * @throws NARU_DENIED (somebody else's, links, open to others), NARU_CORRUPT, NARU_UNSUPPORTED, NARU_LIMIT
 */
export function openObject(
  site: Site,
  edges: Pick<StateEdges, 'native'>,
  readOnly = false,
): StateObject | undefined {
  const path = site.ring;
  let fd: number;
  try {
    fd = fs.openSync(path, (readOnly ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw ioError(site, error, 'opening', path);
  }
  try {
    const size = checkedSize(site, fd);
    const geometry = readStateHeader(readFirst(site, fd, size), size, { place: site.place, path });
    return mapObject(site, fd, geometry, edges, readOnly);
  } catch (error) {
    fs.closeSync(fd);
    throw ioError(site, error, 'opening', path);
  }
}

/** What happened to the file behind the mapping since it was opened. @throws nothing */
export function objectState(
  object: StateObject,
  site: Site,
  edges: Pick<StateEdges, 'native'>,
): 'ok' | 'removed' | 'truncated' {
  if (!isWhole(object, edges)) return 'truncated';
  try {
    return fs.statSync(site.ring, { throwIfNoEntry: false })?.ino === object.inode ? 'ok' : 'removed';
  } catch {
    return 'removed';
  }
}

/** False when somebody has truncated the file: touching the mapping would be a SIGBUS. Costs one short system call. */
export function isWhole(object: StateObject, edges: Pick<StateEdges, 'native'>): boolean {
  return edges.native.fileSize(object.fd) === object.memory.geometry.fileBytes;
}

export function releaseObject(object: StateObject, edges: Pick<StateEdges, 'native'>): void {
  edges.native.unmap(object.buffer);
  fs.closeSync(object.fd);
}

function checkedSize({ ring, gid, place }: Site, fd: number): number {
  const stat = fs.fstatSync(fd);
  const problem =
    fileObjection(stat, gid) ?? (stat.nlink > 1 ? `it has ${stat.nlink} names (hard links)` : undefined);
  if (problem !== undefined) throw new NaruError('NARU_DENIED', `${ring} is not used: ${problem}`, { place });
  if (stat.size < DATA_OFFSET)
    throw new NaruError(
      'NARU_CORRUPT',
      `${ring} has ${stat.size} bytes: it is no value, array or map, or it was truncated. Remove it with "naru rm".`,
      { place, mailbox: ring },
    );
  return stat.size;
}

/** Read, not mapped: the size of a mapping is only known once the header is. */
function readFirst(site: Site, fd: number, size: number): Int32Array {
  const first = new Uint8Array(FIRST_BYTES);
  attempt(site, 'reading', site.ring, () => fs.readSync(fd, first, 0, Math.min(FIRST_BYTES, size), 0));
  return new Int32Array(first.buffer);
}

function mapObject(
  site: Site,
  fd: number,
  geometry: StateGeometry,
  edges: Pick<StateEdges, 'native'>,
  readOnly: boolean,
): StateObject {
  const buffer = attempt(site, 'mapping', site.ring, () =>
    edges.native.map(fd, geometry.fileBytes, readOnly),
  );
  return { fd, inode: fs.fstatSync(fd).ino, buffer, memory: stateMemory(buffer, geometry) };
}
