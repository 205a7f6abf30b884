// The folder of a mailbox in the runtime folder, and the lock under which anything in it is made, changed or removed. What
// lies in it is object.ts's and fifo.ts's business.

import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isNaruError, NaruError } from '../../errors/index.ts';
import { fileMode, fileObjection, folderObjection, type Gid, ownUid } from './access.ts';
import type { ShmEdges } from './edges.ts';
import { attempt, errnoOf, ioError } from './io-error.ts';
import { checkedFolder, giveToGroup, makeFolder, removeIfEmpty } from './runtime-folder.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = fs.constants;
/** Pauses between attempts to get the lock, in milliseconds. It is only ever held for a few system calls. */
const LOCK_PAUSES_MS = [0, 1, 1, 2, 5, 10, 20];
/** How often a group's mailbox may be refused, a quarter of a second in all: somebody else may be making it this moment. */
const REFUSALS_MAX = 16;

/** Names of the files in a mailbox's folder. */
export const RING_FILE = 'ring';
export const LOCK_FILE = 'lock';
export const FIFO_NAME: RegExp = /^p\d{1,3}$/;
/** A lock file before it has its name; a living maker whose spare is removed makes another. */
const SPARE_LOCK = /^lock\.[0-9a-f-]{36}$/;

/**
 * Makes a mailbox's own folder when it is missing, and checks it. It may be gone again right after: whoever opens a file in
 * it finds out.
 */
function ensureMailboxFolder(path: string, gid: Gid): void {
  makeFolder(path, 'making the mailbox folder');
  if (gid !== undefined) finishMailboxFolder(path, gid);
  checkedFolder(path, gid);
}

/** A folder in a group's is made with the right group, but with less than the right mode when the umask says so. */
function finishMailboxFolder(path: string, gid: number): void {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isDirectory() || stat.gid !== gid) return;
  if (folderObjection(stat, gid) === undefined) return;
  if (stat.uid === ownUid()) attempt('setting the mode of', path, () => giveToGroup(path, gid));
  // Its maker died, or is at work and makes it again. Nothing but an empty folder can be removed.
  else removeEmptyFolder(path);
}

/** @returns whether there was a folder with nothing in it; it is gone now, and whoever was making it makes it again */
export function removeEmptyFolder(path: string): boolean {
  try {
    removeSpares(path);
  } catch {
    // Not to be looked into yet: nothing is in it.
  }
  return removeIfEmpty(path);
}

/** A held lock; `release()` is idempotent. */
export interface HeldLock {
  release(): void;
}

/**
 * Takes the lock of a mailbox's folder, once. The lock goes with its holder: a dead one never keeps it.
 *
 * @param create  make the lock file when it is missing
 * @param gid     the group whose mailbox it is
 * @returns the lock; `busy` when another holds it; `absent` when there is no such folder or file
 */
export function tryLockFolder(
  path: string,
  create: boolean,
  edges: Pick<ShmEdges, 'native'>,
  gid: Gid,
): HeldLock | 'busy' | 'absent' {
  const file = join(path, LOCK_FILE);
  let fd: number;
  try {
    fd = openLock(file, create, gid);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return 'absent';
    throw ioError(error, 'opening', file);
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
    const problem = gid === undefined ? undefined : fileObjection(mine, gid);
    if (problem !== undefined)
      throw new NaruError('NARU_DENIED', `${file} is not used: ${problem}`, { place: 'shm' });
  } catch (error) {
    fs.closeSync(fd);
    throw ioError(error, 'locking', file);
  }
  let isHeld = true;
  return {
    release: () => {
      if (isHeld) fs.closeSync(fd);
      isHeld = false;
    },
  };
}

function openLock(file: string, create: boolean, gid: Gid): number {
  const flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK;
  if (gid === undefined) return fs.openSync(file, flags | (create ? O_CREAT : 0), 0o600);
  try {
    return fs.openSync(file, flags);
  } catch (error) {
    if (!create || errnoOf(error) !== 'ENOENT') throw error;
  }
  makeGroupLock(file, gid);
  return fs.openSync(file, flags);
}

/**
 * A group's lock file has its mode before it has its name. One that its dead maker left unreadable to the others could never
 * be replaced safely: it might be locked by then.
 */
function makeGroupLock(file: string, gid: number): void {
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
    removeFile(spare);
  }
}

/**
 * Takes the lock, waiting until it is free.
 *
 * @param create  make folder and lock file when they are missing; otherwise `absent` is an answer
 * @param gid     the group whose mailbox it is
 * @throws the signal's reason; NARU_DENIED
 */
export async function lockFolder(
  path: string,
  create: boolean,
  signal: AbortSignal | undefined,
  edges: Pick<ShmEdges, 'native'>,
  gid: Gid,
): Promise<HeldLock | 'absent'> {
  for (let attemptNumber = 0; ; attemptNumber += 1) {
    signal?.throwIfAborted();
    let lock: HeldLock | 'busy' | 'absent' = 'busy';
    try {
      if (create) ensureMailboxFolder(path, gid);
      else if (gid !== undefined) checkedFolder(path, gid);
      lock = tryLockFolder(path, create, edges, gid);
    } catch (error) {
      const mayPass = gid !== undefined && attemptNumber < REFUSALS_MAX && isNaruError(error, 'NARU_DENIED');
      if (!mayPass) throw error;
    }
    // With `create`, absent means that somebody removed the folder this very moment.
    if (typeof lock === 'object' || (lock === 'absent' && !create)) return lock;
    await sleep(LOCK_PAUSES_MS[Math.min(attemptNumber, LOCK_PAUSES_MS.length - 1)]);
  }
}

/** Removes everything of ours in a mailbox's folder, the ring first; under its lock. What others put there stays. */
export function removeFolder(path: string, failpoint: (name: string) => void): void {
  removeFile(join(path, RING_FILE));
  failpoint('remove:ring-gone');
  removeFifos(path);
  removeSpares(path);
  removeFile(join(path, LOCK_FILE));
  failpoint('remove:lock-gone');
  // When somebody has just made a new lock file in it, the folder is theirs now.
  removeIfEmpty(path);
}

/** Removes the FIFOs of dead participants; under the lock, when no ring refers to them. */
export function removeFifos(path: string): void {
  for (const name of fs.readdirSync(path)) if (FIFO_NAME.test(name)) removeFile(join(path, name));
}

function removeSpares(path: string): void {
  for (const name of fs.readdirSync(path)) if (SPARE_LOCK.test(name)) removeFile(join(path, name));
}

/** Removes a file if it is there. */
export function removeFile(path: string): void {
  try {
    fs.unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw ioError(error, 'removing', path);
  }
}
