// The errors of the log: damage, always with file and offset, and a disk that failed.

import { NaruError } from '../errors/index.ts';
import { errnoOf } from './disk.ts';

/** Where damage was found. */
export interface Damage {
  readonly file: string;
  /** Byte offset in the file. */
  readonly offset: number;
  /** What is wrong there. */
  readonly what: string;
  /** The record, and who has a part in it, where its head can still be read. */
  readonly sequence?: number;
  readonly streams?: readonly number[];
}

/** An error NARU_CORRUPT that names file and offset. */
export function corrupt(folder: string, damage: Damage): NaruError {
  const { file, offset, what } = damage;
  return new NaruError(
    'NARU_CORRUPT',
    `the log in ${folder} is damaged: ${file} at byte ${offset}: ${what}. Nothing was changed. Restore the folder from a backup, ` +
      'or move it away to begin an empty log',
  );
}

/** An error NARU_STORAGE: what was done, on which file, what the system said. */
export function storageError(folder: string, doing: string, cause: unknown): NaruError {
  const code = errnoOf(cause) ?? (cause instanceof Error ? cause.message : String(cause));
  return new NaruError(
    'NARU_STORAGE',
    `the log in ${folder} has stopped: ${doing} failed with ${code}. What was not confirmed may be lost. Check the disk, then ` +
      'start again: a sync that failed cannot be repeated',
    { cause },
  );
}
