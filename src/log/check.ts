// Checking a log that nobody has open: every byte of every file is read, and nothing is changed.

import { NaruError } from '../errors/index.ts';
import type { Disk, LogClock } from './disk.ts';
import { type Damage, storageError } from './failures.ts';
import { readWhole } from './file-header.ts';
import { FILE_KIND, parseFileName, SEGMENT_BYTES_MAX } from './format.ts';
import { type CheckReport, Folder, Recovery } from './recovery.ts';
import { SNAPSHOT_BYTES_MAX, SNAPSHOT_ENDING } from './snapshot.ts';
import { LogState } from './state.ts';

/** Nothing here waits. */
const NO_CLOCK: LogClock = { now: () => 0, after: () => () => undefined };
const NO_SETTINGS = { segmentBytes: 0, lazyMs: 0, idleMarkMs: 0, fullRetryMs: 0 };

/**
 * Reads a log in full and tells all that is wrong with it.
 *
 * @throws NARU_CORRUPT  damage that hides what follows it: file and offset of the first; NARU_EXISTS  a process has the log open;
 *   NARU_NOT_FOUND  there is no log; NARU_STORAGE  it cannot be read; NARU_DENIED
 */
export async function checkLog(disk: Disk): Promise<CheckReport> {
  const unlock = await disk.lock();
  const folder = new Folder(disk);
  try {
    await folder.read();
    if (folder.logId === undefined) {
      throw new NaruError(
        'NARU_NOT_FOUND',
        `there is no log in ${disk.folder}: name the folder that holds its .seg files`,
      );
    }
    const state = new LogState(disk, NO_CLOCK, {}, NO_SETTINGS, folder.logId);
    const report = await new Recovery(state, folder, true).check();
    const others = [
      ...(await damagedFiles(
        disk,
        (name) => name.endsWith(SNAPSHOT_ENDING),
        FILE_KIND.snapshot,
        SNAPSHOT_BYTES_MAX,
      )),
      ...(await damagedFiles(
        disk,
        (name) => parseFileName(name, 'idx') !== undefined,
        FILE_KIND.index,
        SEGMENT_BYTES_MAX,
      )),
    ];
    return { ...report, damaged: [...report.damaged, ...others] };
  } catch (error) {
    if (error instanceof NaruError) throw error;
    throw storageError(disk.folder, 'checking it', error);
  } finally {
    await folder.close();
    await unlock();
  }
}

async function damagedFiles(
  disk: Disk,
  isOne: (name: string) => boolean,
  kind: (typeof FILE_KIND)[keyof typeof FILE_KIND],
  bytesMax: number,
): Promise<Damage[]> {
  const damaged: Damage[] = [];
  for (const name of (await disk.list()).filter(isOne)) {
    const file = await disk.open(name);
    try {
      const whole = await readWhole(file, kind, bytesMax);
      if ('problem' in whole) damaged.push({ file: name, offset: whole.offset, what: whole.problem });
    } finally {
      await file.close();
    }
  }
  return damaged;
}
