// Shared memory by name (POSIX: files under /dev/shm) and by key (System V segments), as bytes that JavaScript reads and writes.

import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { type NativeAddon, native } from '../native/index.ts';
import { keyNumber, keyText, type SystemVKey } from './key.ts';
import {
  type Create,
  closedError,
  invalid,
  kernelCall,
  type Meanings,
  openOrCreate,
} from './object-errors.ts';
import { checkWhole, limitText, queueError } from './queue-errors.ts';

/** How shared memory is opened or made. */
export interface SharedMemoryOptions {
  /** Default: `'if-missing'`; then, and for `'new'`, `sizeBytes` is needed. */
  readonly create?: Create | undefined;
  /** Its size when it is made here. Of what exists it must be no more than that; default: all of it. */
  readonly sizeBytes?: number | undefined;
  /** Permission bits when it is made here, whatever the umask. Default: 0o600. */
  readonly mode?: number | undefined;
  /** Writing to `bytes` then kills the process (SIGSEGV). Default: false. */
  readonly readOnly?: boolean | undefined;
}

/** What the kernel tells about shared memory. */
export interface SharedMemoryStatus {
  readonly kind: 'posix' | 'system-v';
  /** Of a POSIX object, with its slash. */
  readonly name?: string;
  /** Of a System V segment; 0 = private. */
  readonly key?: number;
  readonly id?: number;
  readonly sizeBytes: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Processes that have the segment attached; the kernel does not tell it of POSIX objects. */
  readonly attached?: number;
  readonly creatorPid?: number;
  /** Removed, but still attached somewhere. */
  readonly isRemoved?: boolean;
}

const FOLDER = '/dev/shm';
const { O_DIRECTORY, O_RDONLY, O_RDWR, O_NOFOLLOW } = constants;
/** open(2); node:fs has no name for it. */
const O_TMPFILE = 0o20000000 | O_DIRECTORY;

interface Source {
  readonly name: string;
  readonly made: boolean;
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  readonly status: () => SharedMemoryStatus;
  readonly remove: () => void;
  readonly close: () => void;
}

/**
 * Memory that processes share, whatever language they are written in.
 *
 * `bytes` lies over a SharedArrayBuffer on Node 22.23+, 24.16+ and 26.1+, else over an ArrayBuffer: do not post it to a worker (it
 * would get a copy, or share what closes); a worker opens the memory by its name. `Atomics` on it are atomic between processes,
 * but `Atomics.wait` and `notify` do not cross them: use a `Semaphore`.
 *
 * @see shm_overview(7), shmget(2)
 */
export class SharedMemory {
  readonly kind: 'posix' | 'system-v';
  /** How errors name it. */
  readonly name: string;
  /** True when this call made it; it is all zeros then. */
  readonly made: boolean;
  readonly #source: Source;
  #bytes: Uint8Array | undefined;

  private constructor(kind: 'posix' | 'system-v', source: Source) {
    this.kind = kind;
    this.name = source.name;
    this.made = source.made;
    this.#source = source;
    this.#bytes = new Uint8Array(source.buffer);
  }

  /**
   * Opens or makes a POSIX object. All its memory is allocated when it is made, so a full /dev/shm is an error here and not
   * the death of the process (SIGBUS) later. shm_open(3)
   *
   * @param name  "/name" as in C; the slash may be left out
   * @throws NARU_NOT_FOUND; NARU_EXISTS; NARU_DENIED; NARU_LIMIT  no space; NARU_CORRUPT  it is smaller than `sizeBytes`;
   *   NARU_INVALID_ARGUMENT; NARU_NATIVE_MISSING
   */
  static posix(name: string, options: SharedMemoryOptions = {}): SharedMemory {
    return new SharedMemory('posix', openPosix(name, options));
  }

  /**
   * Opens or makes a System V segment, and attaches it. Its memory is taken page by page when it is first touched: there is no
   * call to allocate it before, as there is for POSIX objects. shmget(2), shmat(2)
   *
   * @throws NARU_NOT_FOUND; NARU_EXISTS; NARU_DENIED; NARU_LIMIT  kernel.shmmax, shmall, shmmni; NARU_CORRUPT  it is smaller
   *   than `sizeBytes`; NARU_INVALID_ARGUMENT; NARU_NATIVE_MISSING
   */
  static systemV(key: SystemVKey, options: SharedMemoryOptions = {}): SharedMemory {
    return new SharedMemory('system-v', openSystemV(key, options));
  }

  /** The memory. @throws NARU_CLOSED */
  get bytes(): Uint8Array {
    if (this.#bytes === undefined) throw closedError(this.name);
    return this.#bytes;
  }

  /** The memory as the buffer that views of other types are made of. @throws NARU_CLOSED */
  get buffer(): ArrayBufferLike {
    return this.bytes.buffer;
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  /** Size, owner and mode at this moment. @throws NARU_CLOSED, NARU_DENIED */
  status(): SharedMemoryStatus {
    if (this.#bytes === undefined) throw closedError(this.name);
    return kernelCall(this.name, this.#source.status, { EINVAL: ['NARU_CLOSED', 'it was removed'] });
  }

  /**
   * Looks whether all of it is still there: another process may have made it smaller, and touching what is gone is SIGBUS, the death
   * of the process. A System V segment cannot shrink.
   * @throws NARU_CORRUPT  it is smaller than what is mapped; NARU_CLOSED
   */
  check(): void {
    const { sizeBytes } = this.status();
    if (sizeBytes >= this.sizeBytes) return;
    const text = `it has ${sizeBytes} bytes, ${this.sizeBytes} are mapped: another process made it smaller`;
    throw queueError('NARU_CORRUPT', this.name, text);
  }

  /**
   * Removes it: shm_unlink(3), shmctl(2) IPC_RMID. Who has it keeps it until they close it.
   * @throws NARU_NOT_FOUND, NARU_DENIED, NARU_CLOSED  it was removed already
   */
  remove(): void {
    kernelCall(this.name, this.#source.remove, { EINVAL: ['NARU_CLOSED', 'it was removed'] });
  }

  /** Removes a POSIX object by its name. shm_unlink(3) @throws NARU_NOT_FOUND, NARU_DENIED, NARU_INVALID_ARGUMENT */
  static unlink(name: string): void {
    const path = posixPath(name);
    kernelCall(objectName(path), () => unlinkSync(path));
  }

  /** Removes a System V segment by its id; who has it attached keeps it. shmctl(2) IPC_RMID @throws NARU_NOT_FOUND, NARU_DENIED */
  static removeSegment(id: number): void {
    const object = `shared memory segment with id ${id}`;
    const gone: Meanings = {
      EINVAL: ['NARU_NOT_FOUND', 'there is no such segment'],
      EIDRM: ['NARU_NOT_FOUND', 'it was removed'],
    };
    kernelCall(object, () => native(object).systemVShmRemove(id), gone);
  }

  /** All POSIX objects (no semaphores) and all System V segments that this user may see. */
  static list(): SharedMemoryStatus[] {
    return [...listPosix(), ...listSystemV()];
  }

  /** Lets go of it; `bytes` must not be used any more. Removes nothing. A SharedArrayBuffer's memory goes with the collector. */
  close(): void {
    if (this.#bytes === undefined) return;
    this.#bytes = undefined;
    native(this.name).unmap(this.#source.buffer);
    this.#source.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

function objectName(path: string): string {
  return `shared memory ${path.slice(FOLDER.length)}`;
}

function posixPath(name: string): string {
  const bare = name.startsWith('/') ? name.slice(1) : name;
  if (/^[^/\0]{1,255}$/.test(bare) && bare !== '.' && bare !== '..') return `${FOLDER}/${bare}`;
  throw invalid('shared memory', `a name has 1 to 255 characters and no slash but the first, got "${name}"`);
}

function sizeToMake(object: string, sizeBytes: number | undefined): number {
  checkWhole(object, 'sizeBytes', sizeBytes, 1, 2 ** 52);
  return sizeBytes ?? 0;
}

/** @throws NARU_CORRUPT */
function sizeToMap(object: string, is: number, asked: number | undefined): number {
  if (asked !== undefined) checkWhole(object, 'sizeBytes', asked, 1, 2 ** 52);
  if (is >= (asked ?? 1)) return is;
  throw queueError('NARU_CORRUPT', object, `it has ${is} bytes, at least ${asked ?? 1} were expected`);
}

function openPosix(name: string, options: SharedMemoryOptions): Source {
  const path = posixPath(name);
  const object = objectName(path);
  const { create = 'if-missing', sizeBytes, mode = 0o600, readOnly = false } = options;
  checkWhole(object, 'mode', mode, 0, 0o777);
  const addon = native(object);
  const { opened: fd, made } = openOrCreate(
    object,
    create,
    () => openSync(path, (readOnly ? O_RDONLY : O_RDWR) | O_NOFOLLOW),
    () => makePosix(addon, path, sizeToMake(object, sizeBytes), mode),
    spaceLimits(sizeBytes),
  );
  try {
    const size = sizeToMap(object, kernelCall(object, () => fstatSync(fd)).size, sizeBytes);
    const buffer = kernelCall(object, () => addon.map(fd, size, readOnly));
    return {
      name: object,
      made,
      buffer,
      status: () => statusOfFile(path, fd),
      remove: () => unlinkSync(path),
      close: () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** It has its name only when it is complete: nobody finds it too small, and whoever dies in between leaves nothing. */
function makePosix(addon: NativeAddon, path: string, size: number, mode: number): number {
  const fd = openSync(FOLDER, O_RDWR | O_TMPFILE, mode);
  try {
    fchmodSync(fd, mode);
    addon.allocate(fd, 0, size);
    addon.linkFile(fd, path);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function spaceLimits(asked: number | undefined): Meanings {
  return {
    ENOSPC: [
      'NARU_LIMIT',
      `${FOLDER} has no room for ${asked ?? 0} bytes (df ${FOLDER}; Docker: --shm-size)`,
    ],
    ENOMEM: ['NARU_LIMIT', `there is no memory for ${asked ?? 0} bytes`],
  };
}

function statusOfFile(path: string, fd?: number): SharedMemoryStatus {
  const { size, mode, uid, gid } = fd === undefined ? statSync(path) : fstatSync(fd);
  return {
    kind: 'posix',
    name: path.slice(FOLDER.length),
    sizeBytes: size,
    mode: mode & 0o777,
    uid,
    gid,
  };
}

function openSystemV(key: SystemVKey, options: SharedMemoryOptions): Source {
  const number = keyNumber(key, 'shared memory segment');
  const object = `shared memory segment ${keyText(number)}`;
  const { sizeBytes, mode = 0o600, readOnly = false } = options;
  const create = number === 0 ? 'new' : (options.create ?? 'if-missing');
  checkWhole(object, 'mode', mode, 0, 0o777);
  const addon = native(object);
  const { opened: id, made } = openOrCreate(
    object,
    create,
    () => addon.systemVShmGet(number, 0, false, 0),
    () => addon.systemVShmGet(number, sizeToMake(object, sizeBytes), true, mode),
    segmentLimits(sizeBytes),
  );
  const [, is] = kernelCall(object, () => addon.systemVShmStat(id));
  sizeToMap(object, is, sizeBytes);
  const buffer = kernelCall(object, () => addon.systemVShmAttach(id, readOnly));
  return {
    name: object,
    made,
    buffer,
    status: () => statusOfSegment(addon, id),
    remove: () => addon.systemVShmRemove(id),
    close: () => {},
  };
}

function segmentLimits(asked: number | undefined): Meanings {
  const sizes = `${asked ?? 0} bytes were asked, ${limitText('kernel.shmmax')}`;
  return {
    EINVAL: ['NARU_LIMIT', sizes],
    ENOSPC: [
      'NARU_LIMIT',
      `${sizes}, ${limitText('kernel.shmmni')} segments, ${limitText('kernel.shmall')} pages`,
    ],
    ENOMEM: ['NARU_LIMIT', sizes],
  };
}

function statusOfSegment(addon: NativeAddon, id: number): SharedMemoryStatus {
  const [key, sizeBytes, mode, uid, gid, creatorPid, , attached, isRemoved] = addon.systemVShmStat(id);
  return {
    kind: 'system-v',
    key,
    id,
    sizeBytes,
    mode,
    uid,
    gid,
    creatorPid,
    attached,
    isRemoved: isRemoved !== 0,
  };
}

function listPosix(): SharedMemoryStatus[] {
  const found: SharedMemoryStatus[] = [];
  for (const entry of readdirSync(FOLDER, { withFileTypes: true })) {
    if (!entry.isFile() || entry.name.startsWith('sem.')) continue;
    try {
      found.push(statusOfFile(`${FOLDER}/${entry.name}`));
    } catch {
      // Removed between the listing and the look.
    }
  }
  return found;
}

function listSystemV(): SharedMemoryStatus[] {
  const read = (): string => readFileSync('/proc/sysvipc/shm', 'utf8');
  const [head = '', ...lines] = kernelCall('the list of shared memory', read).trimEnd().split('\n');
  const names = head.trim().split(/\s+/);
  return lines.map((line) => {
    const words = line.trim().split(/\s+/);
    const field = (name: string): number => Number(words[names.indexOf(name)]);
    const permissions = Number.parseInt(words[names.indexOf('perms')] ?? '0', 8);
    return {
      kind: 'system-v',
      key: field('key'),
      id: field('shmid'),
      sizeBytes: field('size'),
      mode: permissions & 0o777,
      uid: field('uid'),
      gid: field('gid'),
      attached: field('nattch'),
      creatorPid: field('cpid'),
      isRemoved: (permissions & 0o1000) !== 0,
    };
  });
}
