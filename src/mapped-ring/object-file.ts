// A shared object as a file that every participant maps: making it, checking somebody else's before a byte of it is used, mapping it, seeing
// whether it is still whole. What its bytes mean is the caller's business.

import * as fs from 'node:fs';
import { NaruError } from '../errors/index.ts';
import { MAGIC, PAGE_BYTES } from '../ring/layout.ts';
import type { RingEdges } from './edges.ts';
import { attempt, errnoOf, ioError } from './io-error.ts';
import { fileMode, fileObjection, type Site, type Where } from './site.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants;

/** A mapped object. */
export interface MappedObject<M extends { readonly geometry: { readonly fileBytes: number } }> {
  readonly path: string;
  /** For errors. */
  readonly where: Where;
  readonly fd: number;
  readonly inode: number;
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  readonly memory: M;
}

type AnyObject = MappedObject<{ readonly geometry: { readonly fileBytes: number } }>;

/**
 * Makes the file; under the lock of its folder. Nothing is left of it when that fails.
 *
 * @param sizes    of the file, and how much of it gets its memory at once: a full file system is an error here, never a SIGBUS later
 * @param fill     maps it and writes its header, all but the ready mark
 */
export function makeObjectFile<T>(
  site: Site,
  sizes: { readonly fileBytes: number; readonly allocatedBytes: number },
  edges: RingEdges,
  fill: (fd: number) => T,
): T {
  const path = site.ring;
  const mode = fileMode(site.gid);
  const fd = attempt(site, 'making', path, () =>
    fs.openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode),
  );
  try {
    edges.failpoint('create:empty');
    fs.fchmodSync(fd, mode);
    fs.ftruncateSync(fd, sizes.fileBytes);
    edges.failpoint('create:sized');
    edges.native.allocate(fd, 0, sizes.allocatedBytes);
    const made = fill(fd);
    edges.failpoint('create:header');
    return made;
  } catch (error) {
    fs.closeSync(fd);
    fs.unlinkSync(path);
    throw ioError(site, error, 'making', path);
  }
}

/** Maps an open file of known size. */
export function mapObjectFile<M extends { readonly geometry: { readonly fileBytes: number } }>(
  site: Site,
  fd: number,
  geometry: M['geometry'],
  memoryOf: (buffer: ArrayBuffer | SharedArrayBuffer) => M,
  edges: Pick<RingEdges, 'native'>,
  readOnly: boolean,
): MappedObject<M> {
  const buffer = attempt(site, 'mapping', site.ring, () =>
    edges.native.map(fd, geometry.fileBytes, readOnly),
  );
  edges.native.guard(buffer);
  const inode = fs.fstatSync(fd).ino;
  return { path: site.ring, where: site, fd, inode, buffer, memory: memoryOf(buffer) };
}

/**
 * Opens the file and checks it; `use` has to close it, unless it throws.
 *
 * @param read  the header, from the first page; undefined when its maker has not finished
 * @returns `absent` when there is none; `unfinished` when its creator died before the ready mark
 * @throws NARU_DENIED (somebody else's, links, open to others), NARU_CORRUPT, NARU_LIMIT, and what `read` and `use` throw
 */
export function withObjectFile<G, T>(
  site: Site,
  readOnly: boolean,
  read: (words: Int32Array, size: number, path: string) => G | undefined,
  use: (fd: number, geometry: G) => T,
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
    const geometry = size === 0 ? undefined : read(readFirstPage(site, fd), size, path);
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

/** What kind of thing the file says it is; undefined when it is no file of ours, or not there. For choosing how to open it. */
export function objectKind({ ring }: Pick<Site, 'ring'>): number | undefined {
  let fd: number;
  try {
    fd = fs.openSync(ring, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const head = new Int32Array(2);
    const length = fs.readSync(fd, head, 0, 8, 0);
    return length === 8 && head[0] === MAGIC ? head[1] : undefined;
  } catch {
    return undefined;
  } finally {
    fs.closeSync(fd);
  }
}

/** False when somebody has truncated the file: what is in the mapping means nothing any more. Costs one short system call. */
export function isWhole(object: AnyObject, edges: Pick<RingEdges, 'native'>): boolean {
  const { fd, buffer, memory } = object;
  return edges.native.fileSize(fd) === memory.geometry.fileBytes && !edges.native.isTorn(buffer);
}

/** @returns what happened to the file behind the mapping since it was opened */
export function objectState(
  object: AnyObject,
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

export function releaseObject(object: AnyObject, edges: Pick<RingEdges, 'native'>): void {
  edges.native.unmap(object.buffer);
  fs.closeSync(object.fd);
}
