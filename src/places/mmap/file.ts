// The file of a mailbox and the folder beside it: where they are, and every check before anything is made. A file of somebody
// else's is never changed, moved or removed.

import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { isNaruError, NaruError } from '../../errors/index.ts';
import { errnoOf, ioError } from '../../mapped-ring/io-error.ts';
import { readTables } from '../../mapped-ring/object.ts';
import type { Site } from '../../mapped-ring/site.ts';
import { STATE_KIND } from '../../mapped-state/layout.ts';
import { KIND, MAGIC } from '../../ring/layout.ts';
import { BESIDE } from './options.ts';
import { fileSystemObjection } from '../../disk/file-system.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants;

/** Where a mailbox's files are. */
export function siteOf(path: string): Site {
  return {
    place: 'mmap',
    fullText: 'the file system that the file is on is full',
    ring: path,
    folder: `${path}${BESIDE}`,
    isBeside: true,
    gid: undefined,
  };
}

/**
 * Looks at what is there before anything is made.
 *
 * @param text  the URL as it may be shown
 * @throws NARU_NOT_FOUND    the folder of the file does not exist
 * @throws NARU_UNSUPPORTED  a file system of a network; a ring of another version
 * @throws NARU_CORRUPT      there is a file, and it is no ring, or a damaged one
 * @throws NARU_DENIED       it is somebody else's, or open to others; a link
 */
export function checkFile(site: Site, text: string): void {
  checkFolder(site, text);
  if (readTables(site) === 'unfinished' && !fs.existsSync(site.folder)) throw noRing(site, text);
}

/** The part of checkFile() that is about the folder alone. @throws NARU_NOT_FOUND, NARU_UNSUPPORTED */
export function checkFolder(site: Site, text: string): void {
  const folder = dirname(site.ring);
  let objection: string | undefined;
  try {
    objection = fileSystemObjection(folder);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR')
      throw ioError(site, error, 'looking at', folder);
    throw new NaruError(
      'NARU_NOT_FOUND',
      `${text}: there is no folder ${folder}; make it first`,
      about(text),
    );
  }
  if (objection !== undefined) {
    throw new NaruError(
      'NARU_UNSUPPORTED',
      `${text}: ${folder} is on a file system that cannot be shared through memory (${objection}); choose a folder on a disk of this ` +
        'machine, or a place that crosses machines, such as tcp://',
      about(text),
    );
  }
}

/**
 * Whether a file may be removed as ours: it is a ring, sound or not, or was about to become one, or a value, array or map.
 * @returns which of them
 * @throws NARU_CORRUPT  it is anything else
 */
export function checkRemovable(site: Site, text: string): 'ring' | 'state' {
  const mark = firstWords(site);
  if (mark === 'state') return mark;
  if (mark === undefined || mark === 'ring') return 'ring';
  if (mark === 'nothing' && fs.existsSync(site.folder)) return 'ring';
  throw noRing(site, text);
}

/** What a file starts with: the mark of a ring, that of a value, array or map, nothing but zeros, anything else; undefined when there is none. */
function firstWords(site: Site): 'ring' | 'state' | 'nothing' | 'other' | undefined {
  let fd: number;
  try {
    fd = fs.openSync(site.ring, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw ioError(site, error, 'opening', site.ring);
  }
  try {
    if (!fs.fstatSync(fd).isFile()) return 'other';
    const start = Buffer.alloc(8);
    fs.readSync(fd, start, 0, start.length, 0);
    if (start.readUInt32LE(0) === MAGIC && start.readUInt32LE(4) === KIND) return 'ring';
    if (start.readUInt32LE(0) === MAGIC && start.readUInt32LE(4) === STATE_KIND) return 'state';
    return start.every((byte) => byte === 0) ? 'nothing' : 'other';
  } finally {
    fs.closeSync(fd);
  }
}

/** What a file with a folder beside it is, for listings: a mailbox, a value, array or map, or none of ours. */
export function kindOf(site: Site): 'ring' | 'state' | undefined {
  try {
    const mark = fs.existsSync(site.folder) ? firstWords(site) : undefined;
    return mark === 'ring' || mark === 'state' ? mark : undefined;
  } catch (error) {
    if (isNaruError(error)) return undefined;
    throw error;
  }
}

/** Whether a file is a value, array or map, in use or not. @throws NARU_DENIED, NARU_CORRUPT (it cannot be read) */
export function isState(site: Site): boolean {
  return firstWords(site) === 'state';
}

function noRing(site: Site, text: string): NaruError {
  const what = `${site.ring} is a file, but not one that naru made`;
  return new NaruError(
    'NARU_CORRUPT',
    `${text}: ${what}; it is left as it is. Choose another path.`,
    about(text),
  );
}

function about(mailbox: string): { readonly place: string; readonly mailbox: string } {
  return { place: 'mmap', mailbox };
}
