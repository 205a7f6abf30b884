// The runtime folder, the folder of each mailbox in it, and the lock under which anything in them is made, changed or
// removed. What lies in a mailbox's folder is object.ts's and fifo.ts's business.

import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { NaruError } from '../../errors/index.ts';
import type { ShmEdges } from './edges.ts';
import { attempt, errnoOf, ioError } from './io-error.ts';

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = fs.constants;
/** Pauses between attempts to get the lock, in milliseconds. It is only ever held for a few system calls. */
const LOCK_PAUSES_MS = [0, 1, 1, 2, 5, 10, 20];

/** Names of the files in a mailbox's folder. */
export const RING_FILE = 'ring';
export const LOCK_FILE = 'lock';
export const FIFO_NAME: RegExp = /^p\d{1,3}$/;

/** Where this user's mailboxes are: `$NARU_RUNTIME_DIR` or `/dev/shm/naru-<uid>`. */
export function runtimeFolder(): string {
  const chosen = process.env['NARU_RUNTIME_DIR'];
  if (chosen !== undefined && chosen !== '') return resolve(chosen);
  return `/dev/shm/naru-${ownUid()}`;
}

export function ownUid(): number {
  return process.getuid?.() ?? 0;
}

/**
 * Makes the runtime folder, or checks the one that is there.
 * @throws NARU_DENIED  it is a link, somebody else's, or open to others
 */
export function ensureRuntimeFolder(): string {
  const folder = runtimeFolder();
  try {
    fs.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw ioError(error, 'making the runtime folder', folder);
  }
  checkPrivate(folder);
  return folder;
}

/** Nothing to object to in a folder that is not there (any more). */
function checkPrivate(folder: string): void {
  const stat = attempt('reading', folder, () => fs.lstatSync(folder, { throwIfNoEntry: false }));
  if (stat === undefined) return;
  const problem = !stat.isDirectory()
    ? 'it is not a folder'
    : stat.uid !== ownUid()
      ? `it belongs to uid ${stat.uid}, not ${ownUid()}`
      : (stat.mode & 0o077) !== 0
        ? `its mode is ${(stat.mode & 0o777).toString(8)}, it must be 700`
        : undefined;
  if (problem === undefined) return;
  throw new NaruError('NARU_DENIED', `${folder} cannot hold shm mailboxes: ${problem}`, { place: 'shm' });
}

/**
 * Makes a mailbox's own folder when it is missing, and checks it. It may be gone again right after: whoever opens a file in
 * it finds out.
 */
function ensureMailboxFolder(path: string): void {
  try {
    fs.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw ioError(error, 'making the mailbox folder', path);
  }
  checkPrivate(path);
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
  path: string,
  create: boolean,
  edges: Pick<ShmEdges, 'native'>,
): HeldLock | 'busy' | 'absent' {
  const file = join(path, LOCK_FILE);
  let fd: number;
  try {
    fd = fs.openSync(file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | (create ? O_CREAT : 0), 0o600);
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

/**
 * Takes the lock, waiting until it is free.
 *
 * @param create  make folder and lock file when they are missing; otherwise `absent` is an answer
 * @throws the signal's reason
 */
export async function lockFolder(
  path: string,
  create: boolean,
  signal: AbortSignal | undefined,
  edges: Pick<ShmEdges, 'native'>,
): Promise<HeldLock | 'absent'> {
  for (let attemptNumber = 0; ; attemptNumber += 1) {
    signal?.throwIfAborted();
    if (create) ensureMailboxFolder(path);
    const lock = tryLockFolder(path, create, edges);
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
  removeFile(join(path, LOCK_FILE));
  failpoint('remove:lock-gone');
  try {
    fs.rmdirSync(path);
  } catch {
    // Somebody has just made a new lock file in it: the folder is theirs now.
  }
}

/** Removes the FIFOs of dead participants; under the lock, when no ring refers to them. */
export function removeFifos(path: string): void {
  for (const name of fs.readdirSync(path)) if (FIFO_NAME.test(name)) removeFile(join(path, name));
}

/** Removes a file if it is there. */
export function removeFile(path: string): void {
  try {
    fs.unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw ioError(error, 'removing', path);
  }
}
