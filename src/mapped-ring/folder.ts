// The folder of a mailbox, and the lock in it under which anything of the mailbox is made, changed or removed. What else lies there
// is object.ts's and fifo.ts's business.

import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isNaruError, NaruError } from '../errors/index.ts';
import type { RingEdges } from './edges.ts';
import { attempt, errnoOf, ioError } from './io-error.ts';
import { checkedFolder, giveToGroup, makeFolder, removeIfEmpty } from './own-folder.ts';
import { fileMode, fileObjection, folderObjection, ownUid, type Site, type Where } from './site.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = fs.constants;
/** Pauses between attempts to get the lock, in milliseconds. It is only ever held for a few system calls. */
const LOCK_PAUSES_MS = [0, 1, 1, 2, 5, 10, 20];
/** How often a group's mailbox may be refused, a quarter of a second in all: somebody else may be making it this moment. */
const REFUSALS_MAX = 16;

/** Names of the files in a mailbox's folder. */
const LOCK_FILE = 'lock';
const FIFO_NAME = /^p\d{1,3}$/;
/** A lock file before it has its name; a living maker whose spare is removed makes another. */
const SPARE_LOCK = /^lock\.[0-9a-f-]{36}$/;

/**
 * Makes a mailbox's own folder when it is missing, and checks it. It may be gone again right after: whoever opens a file in
 * it finds out.
 */
function ensureMailboxFolder(site: Site): void {
  const { folder, gid } = site;
  makeFolder(site, folder, 'making the mailbox folder');
  if (gid !== undefined) finishMailboxFolder(site, gid);
  checkedFolder(site, folder, gid);
}

/** A folder in a group's is made with the right group, but with less than the right mode when the umask says so. */
function finishMailboxFolder(site: Site, gid: number): void {
  const path = site.folder;
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isDirectory() || stat.gid !== gid) return;
  if (folderObjection(stat, gid) === undefined) return;
  if (stat.uid === ownUid()) attempt(site, 'setting the mode of', path, () => giveToGroup(site, path, gid));
  // Its maker died, or is at work and makes it again. Nothing but an empty folder can be removed.
  else removeEmptyFolder(site);
}

/** @returns whether there was a folder with nothing in it; it is gone now, and whoever was making it makes it again */
export function removeEmptyFolder(site: Site): boolean {
  try {
    removeSpares(site);
  } catch {
    // Not to be looked into yet: nothing is in it.
  }
  return removeIfEmpty(site.folder);
}

/** A held lock; `release()` is idempotent. */
export interface HeldLock {
  release(): void;
}

/**
 * Takes the lock of a mailbox's folder, once. The lock goes with its holder: a dead one never keeps it.
 *
 * @param create  make the lock file when it is missing
 * @returns the lock; `busy` when another holds it; `absent` when there is no such folder or file
 */
export function tryLockFolder(
  site: Site,
  create: boolean,
  edges: Pick<RingEdges, 'native'>,
): HeldLock | 'busy' | 'absent' {
  const file = join(site.folder, LOCK_FILE);
  let fd: number;
  try {
    fd = openLock(site, file, create);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return 'absent';
    throw ioError(site, error, 'opening', file);
  }
  try {
    if (!edges.native.tryLock(fd, 'exclusive')) {
      fs.closeSync(fd);
      return 'busy';
    }
    // The folder may have been removed and made again between open and lock: then this lock guards nothing.
    const now = fs.statSync(file, { throwIfNoEntry: false });
    const mine = fs.fstatSync(fd);
    if (now === undefined || now.ino !== mine.ino || now.dev !== mine.dev) {
      fs.closeSync(fd);
      return 'busy';
    }
    const problem = site.gid === undefined ? undefined : fileObjection(mine, site.gid);
    if (problem !== undefined)
      throw new NaruError('NARU_DENIED', `${file} is not used: ${problem}`, { place: site.place });
  } catch (error) {
    fs.closeSync(fd);
    throw ioError(site, error, 'locking', file);
  }
  let isHeld = true;
  return {
    release: () => {
      if (isHeld) fs.closeSync(fd);
      isHeld = false;
    },
  };
}

function openLock(site: Site, file: string, create: boolean): number {
  const { gid } = site;
  const flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK;
  if (gid === undefined) return fs.openSync(file, flags | (create ? O_CREAT : 0), 0o600);
  try {
    return fs.openSync(file, flags);
  } catch (error) {
    if (!create || errnoOf(error) !== 'ENOENT') throw error;
  }
  makeGroupLock(site, file, gid);
  return fs.openSync(file, flags);
}

/**
 * A group's lock file has its mode before it has its name. One that its dead maker left unreadable to the others could never
 * be replaced safely: it might be locked by then.
 */
function makeGroupLock(site: Site, file: string, gid: number): void {
  const spare = `${file}.${randomUUID()}`;
  const fd = fs.openSync(spare, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, fileMode(gid));
  try {
    fs.fchmodSync(fd, fileMode(gid));
    fs.linkSync(spare, file);
  } catch (error) {
    // Another's came first.
    if (errnoOf(error) !== 'EEXIST') throw error;
  } finally {
    fs.closeSync(fd);
    removeFile(site, spare);
  }
}

/**
 * Takes the lock, waiting until it is free.
 *
 * @param create  make folder and lock file when they are missing; otherwise `absent` is an answer
 * @throws the signal's reason; NARU_DENIED
 */
export async function lockFolder(
  site: Site,
  create: boolean,
  signal: AbortSignal | undefined,
  edges: Pick<RingEdges, 'native'>,
): Promise<HeldLock | 'absent'> {
  for (let attemptNumber = 0; ; attemptNumber += 1) {
    signal?.throwIfAborted();
    let lock: HeldLock | 'busy' | 'absent' = 'busy';
    try {
      if (create) ensureMailboxFolder(site);
      else if (site.gid !== undefined) checkedFolder(site, site.folder, site.gid);
      lock = tryLockFolder(site, create, edges);
    } catch (error) {
      const mayPass =
        site.gid !== undefined && attemptNumber < REFUSALS_MAX && isNaruError(error, 'NARU_DENIED');
      if (!mayPass) throw error;
    }
    // With `create`, absent means that somebody removed the folder this very moment.
    if (typeof lock === 'object' || (lock === 'absent' && !create)) return lock;
    await sleep(LOCK_PAUSES_MS[Math.min(attemptNumber, LOCK_PAUSES_MS.length - 1)]);
  }
}

/** Removes a mailbox's object, then everything of ours in its folder; under its lock. What others put there stays. */
export function removeMailboxFiles(site: Site, failpoint: (name: string) => void): void {
  removeFile(site, site.ring);
  failpoint('remove:ring-gone');
  removeBeside(site, failpoint);
}

/** Removes everything of ours in a mailbox's folder; under its lock, when nobody takes part any more. */
export function removeBeside(site: Site, failpoint: (name: string) => void): void {
  removeFifos(site);
  removeSpares(site);
  removeFile(site, join(site.folder, LOCK_FILE));
  failpoint('remove:lock-gone');
  // When somebody has just made a new lock file in it, the folder is theirs now.
  removeIfEmpty(site.folder);
}

/** Removes the FIFOs of dead participants; under the lock, when no ring refers to them. */
export function removeFifos(site: Site): void {
  for (const name of fs.readdirSync(site.folder))
    if (FIFO_NAME.test(name)) removeFile(site, join(site.folder, name));
}

function removeSpares(site: Site): void {
  for (const name of fs.readdirSync(site.folder))
    if (SPARE_LOCK.test(name)) removeFile(site, join(site.folder, name));
}

/** Removes a file if it is there. */
export function removeFile(where: Where, path: string): void {
  try {
    fs.unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw ioError(where, error, 'removing', path);
  }
}
