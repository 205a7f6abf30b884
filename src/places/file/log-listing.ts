// The logs in a folder, as naru ls shows them: looks at names, sizes and who holds the lock, and opens none.

import type { Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { lockHolder } from '../../disk/index.ts';
import { isMailbox } from '../../journal/folder.ts';
import { logAddressOf } from './log-options.ts';

/** A log that is a mailbox. */
export interface ListedLog {
  /** Its URL. */
  readonly address: string;
  readonly uid: number;
  /** Permission bits of the folder. */
  readonly mode: number;
  /** What its files take on the disk. */
  readonly bytes: number;
  /** The process that has it open, if one has. */
  readonly holder: string | undefined;
}

/** Folders that are looked at in one folder. */
const FOLDERS_MAX = 10_000;

/** The mailbox in a folder, and those in the folders directly in it. What cannot be read is left out. */
export async function listLogs(folder: string): Promise<ListedLog[]> {
  const path = resolve(folder);
  const within = await readdir(path, { withFileTypes: true }).catch(() => []);
  const folders = within.filter((entry) => entry.isDirectory()).slice(0, FOLDERS_MAX);
  const found: ListedLog[] = [];
  for (const each of [path, ...folders.map(({ name }) => join(path, name)).sort()]) {
    const listed = await logIn(each).catch(() => undefined);
    if (listed !== undefined) found.push(listed);
  }
  return found;
}

async function logIn(folder: string): Promise<ListedLog | undefined> {
  if (!(await isMailbox(folder))) return undefined;
  const { uid, mode } = await lstat(folder);
  const files = await readdir(folder);
  const stats = await Promise.all(files.map((name) => lstat(join(folder, name)).catch(() => undefined)));
  const bytes = stats.reduce((sum, stat) => sum + bytesOf(stat), 0);
  return {
    address: logAddressOf(folder),
    uid,
    mode: mode & 0o777,
    bytes,
    holder: await lockHolder(folder),
  };
}

function bytesOf(stat: Stats | undefined): number {
  // Room that is taken ahead counts: it is gone from the disk.
  return (stat?.blocks ?? 0) * 512;
}
