// The temporary file that a value is written into before it takes the place of the one before it, and what dead writers left of theirs.

import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readdir, rename, unlink } from 'node:fs/promises';
import { constants } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { formatIdentity, ownIdentity, parseIdentity, processStart } from '../../native/identity.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;
const SUFFIX = '.naru-new';

/** `.<name>.<pid>.<start>.<thread>.<random>.naru-new`: hidden, and says whose it is. */
function temporaryPath(path: string): string {
  const tag = `${formatIdentity(ownIdentity())}.${randomBytes(4).toString('hex')}`;
  return join(dirname(path), `.${basename(path)}.${tag}${SUFFIX}`);
}

/**
 * Puts a value in the place of what is there, in one step: whoever opens the path finds the old value or the new one, whole.
 *
 * @param mode     permission bits of the new file
 * @param durable  when it returns, the value survives a power cut: its bytes are synced before it gets its name, its name after
 * @throws what node:fs throws; nothing is left of it then, and the old value stays. After the step itself: only the sync failed.
 */
export async function replaceFile(
  path: string,
  body: Uint8Array,
  mode: number,
  durable: boolean,
): Promise<void> {
  const spare = temporaryPath(path);
  const file = await open(spare, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  try {
    try {
      await file.chmod(mode);
      await writeAll(file, body);
      if (durable) await file.sync();
    } finally {
      await file.close();
    }
    await rename(spare, path);
  } catch (error) {
    await unlink(spare).catch(() => undefined);
    throw error;
  }
  if (durable) await syncFolder(dirname(path));
}

async function writeAll(file: FileHandle, body: Uint8Array): Promise<void> {
  for (let at = 0; at < body.length; ) at += (await file.write(body, at)).bytesWritten;
}

/** A rename is in the folder: fsync(2) of the file alone does not keep it. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes what writers that were killed left beside a file. */
export async function removeLeftovers(path: string): Promise<void> {
  const folder = dirname(path);
  const prefix = `.${basename(path)}.`;
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix) || !name.endsWith(SUFFIX)) continue;
    const owner = parseIdentity(name.slice(prefix.length, -SUFFIX.length).replace(/\.[0-9a-f]{8}$/, ''));
    if (owner === undefined || !isGone(owner.pid, owner.start)) continue;
    // Somebody else may have been quicker.
    await unlink(join(folder, name)).catch(() => undefined);
  }
}

function isGone(pid: number, start: number): boolean {
  const now = processStart(pid);
  if (now !== undefined) return now !== start;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
