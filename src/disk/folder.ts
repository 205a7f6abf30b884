// A folder of a real file system, as the log wants it. Errors of calls keep their errno; what opening meets is explained here.

import { mkdir, open, readdir, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import { open as openCallback, type PathLike } from 'node:fs';
import { join, resolve } from 'node:path';
import { NaruError } from '../errors/index.ts';
import type { Disk, DiskFile } from '../log/index.ts';
import { RealFile } from './file.ts';
import { lockFolder } from './lock.ts';

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

export class RealDisk implements Disk {
  /** Its absolute path. */
  readonly folder: string;
  /** While it is locked: what is done in it can be synced when no descriptor is left. */
  #handle: FileHandle | undefined;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /**
   * A folder, made when it is not there (mode 0700; files 0600, the umask takes from both).
   *
   * @throws NARU_DENIED  no right to it; NARU_INVALID_ARGUMENT  not a folder; NARU_STORAGE  the system refused otherwise
   */
  static async open(path: string): Promise<RealDisk> {
    const folder = resolve(path);
    try {
      await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
      const stats = await stat(folder);
      if (!stats.isDirectory()) throw Object.assign(new Error('ENOTDIR'), { code: 'ENOTDIR' });
    } catch (cause) {
      throw folderError(folder, cause);
    }
    return new RealDisk(folder);
  }

  list(): Promise<readonly string[]> {
    return readdir(this.folder);
  }

  create(name: string): Promise<DiskFile> {
    return openFile(join(this.folder, name), 'wx+');
  }

  open(name: string): Promise<DiskFile> {
    return openFile(join(this.folder, name), 'r+');
  }

  rename(from: string, to: string): Promise<void> {
    return rename(join(this.folder, from), join(this.folder, to));
  }

  unlink(name: string): Promise<void> {
    return unlink(join(this.folder, name));
  }

  async syncFolder(): Promise<void> {
    if (this.#handle !== undefined) return this.#handle.sync();
    const handle = await open(this.folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async lock(): Promise<() => Promise<void>> {
    try {
      const handle = await open(this.folder, 'r');
      const unlock = await lockFolder(this.folder).catch(async (error: unknown) => {
        await handle.close();
        throw error;
      });
      this.#handle = handle;
      return async () => {
        this.#handle = undefined;
        await handle.close();
        await unlock();
      };
    } catch (error) {
      throw folderError(this.folder, error);
    }
  }
}

/** A plain descriptor: a FileHandle would make an object and a promise more for each call. */
function openFile(path: PathLike, flags: string): Promise<DiskFile> {
  return new Promise((resolvePromise, reject) => {
    openCallback(path, flags, FILE_MODE, (error, fd) => {
      if (error === null) resolvePromise(new RealFile(fd));
      else reject(error);
    });
  });
}

function folderError(folder: string, cause: unknown): NaruError {
  if (cause instanceof NaruError) return cause;
  const code = cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    const text = `no right to write in ${folder} (${code}): check its owner and mode`;
    return new NaruError('NARU_DENIED', text, { cause });
  }
  if (code === 'ENOTDIR' || code === 'EEXIST') {
    return new NaruError('NARU_INVALID_ARGUMENT', `${folder} is not a folder: name another path`, { cause });
  }
  return new NaruError('NARU_STORAGE', `the folder ${folder} cannot be opened (${code ?? String(cause)})`, {
    cause,
  });
}
