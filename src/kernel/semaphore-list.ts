// The semaphores that exist: POSIX's as files of /dev/shm, System V sets as /proc/sysvipc/sem lists them.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { kernelCall } from './object-errors.ts';

/** One semaphore or set that exists. */
export interface SemaphoreEntry {
  readonly kind: 'posix' | 'system-v';
  /** Of a POSIX semaphore, with its slash. */
  readonly name?: string;
  /** Of a System V set; 0 = private. */
  readonly key?: number;
  readonly id?: number;
  /** Semaphores in the set. */
  readonly count?: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** sem_open(3): glibc and musl keep each as a file. */
export const POSIX_FOLDER = '/dev/shm';
export const POSIX_PREFIX = 'sem.';

export function listPosix(): SemaphoreEntry[] {
  const files = readdirSync(POSIX_FOLDER).filter((file) => file.startsWith(POSIX_PREFIX));
  return files.flatMap((file) => {
    const stat = statSync(`${POSIX_FOLDER}/${file}`, { throwIfNoEntry: false });
    // Removed between the listing and the look.
    if (stat === undefined) return [];
    const { mode, uid, gid } = stat;
    return [{ kind: 'posix', name: `/${file.slice(POSIX_PREFIX.length)}`, mode: mode & 0o777, uid, gid }];
  });
}

export function listSets(): SemaphoreEntry[] {
  const read = (): string => readFileSync('/proc/sysvipc/sem', 'utf8');
  const [, ...lines] = kernelCall('the list of semaphore sets', read).trimEnd().split('\n');
  return lines.map((line) => {
    const [key = '0', id = '0', permissions = '0', count = '0', uid = '0', gid = '0'] = line
      .trim()
      .split(/\s+/);
    return {
      kind: 'system-v',
      key: Number(key) | 0,
      id: Number(id),
      count: Number(count),
      mode: Number.parseInt(permissions, 8) & 0o777,
      uid: Number(uid),
      gid: Number(gid),
    };
  });
}
