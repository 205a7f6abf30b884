// The public face of disk/: the log on a real file system.

import { randomFillSync } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { NaruError } from '../errors/index.ts';
import { type CheckReport, checkLog, Log, type LogOptions } from '../log/index.ts';
import { logClock } from './clock.ts';
import { RealDisk } from './folder.ts';

export { logClock } from './clock.ts';
export { RealDisk } from './folder.ts';
export { lockHolder } from './lock.ts';

/** The log in a folder of this machine; the folder is made when it is not there. Otherwise see `Log.open()`. */
export async function openLog(
  path: string,
  options: Omit<LogOptions, 'clock' | 'random'> = {},
): Promise<Log> {
  const random = (bytes: Uint8Array): void => void randomFillSync(bytes);
  return Log.open(await RealDisk.open(path), { ...options, clock: logClock, random });
}

/**
 * Checks the log in a folder of this machine, every byte of it, and changes nothing but the lock.
 * @throws NARU_NOT_FOUND  no folder, or no log in it; otherwise see `checkLog()`
 */
export async function checkLogIn(path: string): Promise<CheckReport> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  if (!isThere) throw new NaruError('NARU_NOT_FOUND', `there is no folder ${path}`);
  return checkLog(await RealDisk.open(path));
}
