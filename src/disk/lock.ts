// One writer for a folder. The proof is a flock(2) that the kernel frees when its holder dies; where the addon is missing, the
// holder's pid and start time.

import { type FileHandle, link, open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { NaruError } from '../errors/index.ts';
import { formatIdentity, ownIdentity, parseIdentity, processStart } from '../native/identity.ts';
import { type NativeAddon, tryNative } from '../native/index.ts';

// The newest of `lock.1`, `lock.2`, … is the lock. Whoever takes it over from a dead holder makes the next number, which only one
// can; numbers only go up, so one that looked long ago cannot take over from a holder that came since.
const NAME = /^lock\.([1-9]\d{0,14})$/;
const FREE = 'free';

/** Of this thread: two at a time must not write one draft, or the lock would be the file of the one that gives up. */
let attempts = 0;

/**
 * Takes the lock of a folder. @returns the function that lets go of it
 * @throws NARU_EXISTS  another process has it, or this one
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  for (;;) {
    const newest = await newestLock(folder);
    const holder = newest === 0 ? undefined : await holderOf(join(folder, `lock.${newest}`));
    if (holder !== undefined) {
      throw new NaruError(
        'NARU_EXISTS',
        `another process writes in ${folder} (process ${holder}): only one can. Stop it, or use another folder`,
      );
    }
    const letGo = await takeOver(folder, newest + 1);
    if (letGo !== undefined) return letGo;
  }
}

/** Who has the lock of a folder, as formatIdentity() writes it; undefined when nobody does. Changes nothing. */
export async function lockHolder(folder: string): Promise<string | undefined> {
  const newest = await newestLock(folder);
  return newest === 0 ? undefined : holderOf(join(folder, `lock.${newest}`));
}

async function locksOf(folder: string): Promise<number[]> {
  return (await readdir(folder)).flatMap((name) => {
    const match = NAME.exec(name);
    return match === null ? [] : [Number(match[1])];
  });
}

async function newestLock(folder: string): Promise<number> {
  return Math.max(0, ...(await locksOf(folder)));
}

/** @returns who holds a lock file, as text; undefined when nobody does */
async function holderOf(path: string): Promise<string | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const text = (await handle.readFile('latin1')).slice(0, 100);
    const [identity = '', proof = ''] = text.split(' ');
    const addon = tryNative();
    // Shared: two that look at the same time do not take each other for the holder.
    if (addon !== undefined && !addon.tryLock(handle.fd, 'shared')) return identity;
    const parsed = parseIdentity(identity);
    if (parsed === undefined || text === FREE || (proof === 'flock' && addon !== undefined)) return undefined;
    const start = processStart(parsed.pid);
    if (process.platform !== 'linux') return isAlive(parsed.pid) ? identity : undefined;
    return start === parsed.start ? identity : undefined;
  } finally {
    await handle.close();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** @returns undefined when another was faster */
async function takeOver(folder: string, number: number): Promise<(() => Promise<void>) | undefined> {
  const identity = formatIdentity(ownIdentity());
  const addon = tryNative();
  attempts += 1;
  const draft = join(folder, `lock.${identity}.${number}.${attempts}`);
  const mine = join(folder, `lock.${number}`);
  await unlink(draft).catch(() => undefined);
  const handle = await open(draft, 'wx+', 0o600);
  try {
    await handle.write(`${identity} ${addon === undefined ? 'pid' : 'flock'}`);
    // Before it has its name: nobody may see it free.
    addon?.tryLock(handle.fd, 'exclusive');
    const isMine = (await tryLink(draft, mine)) && (await newestLock(folder)) === number;
    await unlink(draft);
    if (isMine) {
      await removeOlder(folder, number);
      return () => release(handle, addon);
    }
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  return undefined;
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function removeOlder(folder: string, number: number): Promise<void> {
  for (const older of await locksOf(folder)) {
    if (older < number) await unlink(join(folder, `lock.${older}`)).catch(() => undefined);
  }
}

/** The file stays: its number must not come again. */
async function release(handle: FileHandle, addon: NativeAddon | undefined): Promise<void> {
  if (addon === undefined) {
    await handle.truncate(0);
    await handle.write(FREE, 0);
  }
  await handle.close();
}
