// The lock beside a socket, `<path>.lock`: whoever holds it is the host. With the addon it is an flock(2), which the kernel
// gives back when the holder dies; without, a file that names its maker, void when that process is gone.

import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
  ftruncateSync,
} from 'node:fs';
import { formatIdentity, ownIdentity, parseIdentity, processStart } from '../native/identity.ts';
import { tryNative } from '../native/index.ts';

/** A lock that is held. */
export interface HostLock {
  /** Gives it up and removes its file. */
  release(): void;
}

/**
 * Takes the lock if nobody has it. Never waits.
 * @throws an Error of node:fs  the file cannot be made or read
 */
export function tryHostLock(path: string): HostLock | undefined {
  const addon = tryNative();
  return addon === undefined
    ? tryExclusiveFile(path)
    : tryFlock(path, (fd) => addon.tryLock(fd, 'exclusive'));
}

function tryFlock(path: string, lock: (fd: number) => boolean): HostLock | undefined {
  for (;;) {
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    try {
      if (!lock(fd) || isHeldByFile(path, fd)) {
        closeSync(fd);
        return undefined;
      }
      if (isSameFile(path, fd)) {
        ftruncateSync(fd);
        writeSync(fd, formatIdentity(ownIdentity()), 0);
        return held(path, fd);
      }
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    // Its last holder removed the file between our open and our lock: the lock that counts is on a new file.
    closeSync(fd);
  }
}

/** A holder that had no addon does not lock, but it lives. Whoever locks clears the name first, so a name is only that. */
function isHeldByFile(path: string, fd: number): boolean {
  return isSameFile(path, fd) && isAlive(readFileSync(path, 'utf8')) && !isOwn(readFileSync(path, 'utf8'));
}

function tryExclusiveFile(path: string): HostLock | undefined {
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
      writeSync(fd, formatIdentity(ownIdentity()));
      return held(path, fd);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    let holder = '';
    try {
      holder = readFileSync(path, 'utf8');
    } catch {
      continue;
    }
    // An empty file was made this moment, or by a holder that locks it: not ours to judge.
    if (holder === '' || isAlive(holder)) return undefined;
    remove(path);
  }
  return undefined;
}

function held(path: string, fd: number): HostLock {
  let isHeld = true;
  return {
    release() {
      if (!isHeld) return;
      isHeld = false;
      if (isSameFile(path, fd)) remove(path);
      closeSync(fd);
    },
  };
}

function isAlive(holder: string): boolean {
  const identity = parseIdentity(holder.trim());
  if (identity === undefined) return false;
  const start = processStart(identity.pid);
  if (start !== undefined) return start === identity.start;
  if (process.platform === 'linux') return false;
  try {
    process.kill(identity.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function isOwn(holder: string): boolean {
  return parseIdentity(holder.trim())?.pid === process.pid;
}

function isSameFile(path: string, fd: number): boolean {
  try {
    const a = statSync(path);
    const b = fstatSync(fd);
    return a.ino === b.ino && a.dev === b.dev;
  } catch {
    return false;
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody else was faster.
  }
}
