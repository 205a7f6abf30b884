// A journal's folder on a real disk: whether there is a mailbox in it, what the journal asks of the outside there, and removing the rest
// of one that is gone.

import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { lstat, readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { logClock, RealDisk } from '../disk/index.ts';
import { turnTime } from '../mailbox/waiting.ts';
import { SNAPSHOT_FILE } from './description.ts';
import type { Outside } from './outside.ts';

/** Whether there is a mailbox in a folder. @throws what node:fs throws, but for a folder that is not there */
export async function isMailbox(folder: string): Promise<boolean> {
  try {
    return (await lstat(join(folder, SNAPSHOT_FILE))).isFile();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw error;
  }
}

/** @throws as RealDisk.open() */
export async function outsideOf(folder: string): Promise<Outside> {
  return {
    disk: await RealDisk.open(folder),
    clock: { ...logClock, recent: turnTime },
    time: Date.now,
    random: (bytes) => void randomFillSync(bytes),
    boot: bootId(),
  };
}

/** Removes what a log leaves when it is closed after destroy(), and the folder if nothing else is in it. */
export async function removeRest(folder: string): Promise<void> {
  let unlock: () => Promise<void>;
  try {
    unlock = await (await RealDisk.open(folder)).lock();
  } catch {
    // Somebody makes it anew.
    return;
  }
  await removeFiles(folder, /^(?!lock\.)/);
  await unlock();
  await removeFiles(folder, /^lock\./);
  await rmdir(folder).catch(() => undefined);
}

async function removeFiles(folder: string, which: RegExp): Promise<void> {
  // Somebody may have removed the whole folder meanwhile.
  for (const name of await readdir(folder).catch(() => [])) {
    const isOurs = /\.(seg|idx|snap|tmp)$|^lock\.|^host\.sock$/.test(name);
    if (isOurs && which.test(name)) await unlink(join(folder, name)).catch(() => undefined);
  }
}

/** A text that is another one after each start of the machine; where the system has none, one for each call: the safe side. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return `${process.pid}.${Date.now()}`;
  }
}
