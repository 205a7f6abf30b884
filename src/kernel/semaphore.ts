// Semaphores: POSIX's by name, and System V sets with undo. Waiting takes no thread of libuv's pool: native/semaphore.c.

import { chmodSync } from 'node:fs';
import { type NativeAddon, type NativeSemaphore, native } from '../native/index.ts';
import { keyNumber, keyText, type SystemVKey } from './key.ts';
import {
  type Create,
  closedError,
  invalid,
  kernelCall,
  type Meanings,
  openOrCreate,
  Tasks,
} from './object-errors.ts';
import { checkWhole, limitText, queueError } from './queue-errors.ts';
import {
  checkWaitOptions,
  type QueueSyncOptions,
  type QueueWaitOptions,
  timeoutError,
} from './queue-wait.ts';
import { listPosix, listSets, POSIX_FOLDER, POSIX_PREFIX, type SemaphoreEntry } from './semaphore-list.ts';

/** How a POSIX semaphore is opened or made. */
export interface PosixSemaphoreOptions {
  /** Default: `'if-missing'`. */
  readonly create?: Create | undefined;
  /** How many may hold it at once, when it is made here. From 0 to 2,147,483,647. Default: 1. */
  readonly value?: number | undefined;
  /** Permission bits when it is made here, whatever the umask. Default: 0o600. */
  readonly mode?: number | undefined;
}

/** How one semaphore of a System V set is opened, or the set made. */
export interface SystemVSemaphoreOptions {
  /** Default: `'if-missing'`. */
  readonly create?: Create | undefined;
  /** Semaphores in the set when it is made here. Default: 1. */
  readonly count?: number | undefined;
  /** Which of the set. Default: 0. */
  readonly index?: number | undefined;
  /** What each begins with when the set is made here. From 0 to 32,767. Default: 1. */
  readonly value?: number | undefined;
  /** Permission bits when the set is made here; the kernel ignores the umask. Default: 0o600. */
  readonly mode?: number | undefined;
  /** The kernel takes back at this process's death what it acquired and did not release (SEM_UNDO). Default: true. */
  readonly undo?: boolean | undefined;
}

const MEANINGS: Meanings = {
  EAGAIN: ['NARU_LIMIT', 'no thread could be started (ulimit -u)'],
  EOVERFLOW: ['NARU_LIMIT', 'its value is at the most that it can be'],
  ERANGE: ['NARU_LIMIT', 'its value is at the most that it can be (32,767)'],
};

/** An id that is none. */
const GONE: Meanings = {
  EINVAL: ['NARU_NOT_FOUND', 'there is no such set'],
  EIDRM: ['NARU_NOT_FOUND', 'it was removed'],
};

/**
 * A counter that processes share: acquire takes one and waits while there is none, release gives one back.
 *
 * A POSIX semaphore knows no holder: whoever dies with it takes it along for good. A System V semaphore with `undo` (the default)
 * is given back by the kernel when its holder dies, SIGKILL included; release it in the process that acquired it.
 * `close()` gives nothing back.
 *
 * @see sem_overview(7), semget(2), semop(2)
 */
export class Semaphore {
  readonly kind: 'posix' | 'system-v';
  /** How errors name it. */
  readonly name: string;
  /** The id of the System V set; undefined for POSIX. */
  readonly id: number | undefined;
  readonly #addon: NativeAddon;
  readonly #handle: NativeSemaphore;
  readonly #tasks: Tasks;
  readonly #remove: () => void;
  #isClosed = false;

  private constructor(name: string, id: number | undefined, handle: NativeSemaphore, remove: () => void) {
    this.kind = id === undefined ? 'posix' : 'system-v';
    this.name = name;
    this.id = id;
    this.#addon = native(name);
    this.#handle = handle;
    this.#tasks = new Tasks(name);
    this.#remove = remove;
  }

  /**
   * Opens or makes a POSIX semaphore. sem_open(3)
   *
   * @param name  "/name" as in C; the slash may be left out
   * @throws NARU_NOT_FOUND, NARU_EXISTS, NARU_DENIED, NARU_LIMIT, NARU_INVALID_ARGUMENT, NARU_NATIVE_MISSING
   */
  static posix(name: string, options: PosixSemaphoreOptions = {}): Semaphore {
    const path = posixName(name);
    const object = `semaphore ${path}`;
    const { create = 'if-missing', value = 1, mode = 0o600 } = options;
    checkWhole(object, 'value', value, 0, 2 ** 31 - 1);
    checkWhole(object, 'mode', mode, 0, 0o777);
    const addon = native(object);
    const { opened, made } = openOrCreate(
      object,
      create,
      () => addon.semOpen(path, false, 0, 0),
      () => addon.semOpen(path, true, mode, value),
      MEANINGS,
    );
    if (made) kernelCall(object, () => chmodSync(`${POSIX_FOLDER}/${POSIX_PREFIX}${path.slice(1)}`, mode));
    return new Semaphore(object, undefined, opened, () => addon.semUnlink(path));
  }

  /**
   * Opens one semaphore of a System V set, or makes the set. semget(2)
   *
   * @throws NARU_NOT_FOUND  no set, or no such path; NARU_EXISTS; NARU_DENIED; NARU_LIMIT  kernel.sem; NARU_INVALID_ARGUMENT;
   *   NARU_NATIVE_MISSING
   */
  static systemV(key: SystemVKey, options: SystemVSemaphoreOptions = {}): Semaphore {
    const number = keyNumber(key, 'semaphore set');
    const object = `semaphore set ${keyText(number)}`;
    const { count = 1, index = 0, value = 1, mode = 0o600, undo = true } = options;
    const create = number === 0 ? 'new' : (options.create ?? 'if-missing');
    checkWhole(object, 'count', count, 1, 500);
    checkWhole(object, 'value', value, 0, 32_767);
    checkWhole(object, 'mode', mode, 0, 0o777);
    const addon = native(object);
    const limit = `${limitText('kernel.sem')}; remove sets (ipcrm -s) or raise the sysctl`;
    const { opened: id } = openOrCreate(
      object,
      create,
      () => addon.systemVSemGet(number, 0, false, 0),
      () => makeSet(addon, number, count, mode, value),
      { ENOSPC: ['NARU_LIMIT', limit] },
    );
    const [, actual] = kernelCall(object, () => addon.systemVSemStat(id));
    if (!Number.isInteger(index) || index < 0 || index >= actual) {
      throw invalid(object, `index must be from 0 to ${actual - 1}, got ${index}`);
    }
    return new Semaphore(object, id, addon.systemVSemOpen(id, index, undo), () => addon.systemVSemRemove(id));
  }

  /**
   * Takes one without waiting.
   * @returns false when there is none
   * @throws NARU_CLOSED  it is closed, or the set was removed; NARU_DENIED
   */
  tryAcquire(): boolean {
    return this.#call(() => this.#addon.semTryAcquire(this.#handle));
  }

  /**
   * Takes one; waits while there is none, in a thread of its own. Keeps the process alive meanwhile. A wait that is aborted in the
   * moment in which it succeeds gives back what it took.
   * @throws NARU_TIMEOUT; NARU_CLOSED  it is closed, or the set was removed; NARU_DENIED; NARU_LIMIT; the signal's reason
   */
  async acquire(options: QueueWaitOptions = {}): Promise<void> {
    checkWaitOptions(this.name, options);
    if (this.tryAcquire()) return;
    if (options.timeoutMs === 0) throw timeoutError(this.name, 'not acquired', 0);
    await this.#tasks.wait(
      (timeoutMs) => this.#addon.semAcquireAsync(this.#handle, timeoutMs),
      options,
      'not acquired',
      () => this.#addon.semRelease(this.#handle),
      MEANINGS,
    );
  }

  /**
   * Takes one; blocks the thread while there is none.
   * @throws NARU_TIMEOUT; NARU_INTERRUPTED  a signal that has a handler came; NARU_CLOSED; NARU_DENIED
   */
  acquireSync(options: QueueSyncOptions = {}): void {
    checkWaitOptions(this.name, options);
    if (this.tryAcquire()) return;
    const { timeoutMs = -1 } = options;
    const result = this.#call(() => this.#addon.semAcquire(this.#handle, timeoutMs));
    if (result === 'timeout') throw timeoutError(this.name, 'not acquired', timeoutMs);
    if (result === 'interrupted') {
      throw queueError('NARU_INTERRUPTED', this.name, 'a signal came; nothing was acquired');
    }
  }

  /**
   * Gives one back, or adds one: anybody may.
   * @throws NARU_LIMIT  it is at its most; NARU_CLOSED; NARU_DENIED
   */
  release(): void {
    this.#call(() => this.#addon.semRelease(this.#handle));
  }

  /** Acquires, runs, and releases, also when `work` throws. @throws what acquire() and `work` throw */
  async with<T>(work: () => T | Promise<T>, options: QueueWaitOptions = {}): Promise<T> {
    await this.acquire(options);
    try {
      return await work();
    } finally {
      this.release();
    }
  }

  /** How many may be acquired at this moment. @throws NARU_CLOSED, NARU_DENIED */
  get value(): number {
    return this.#call(() => this.#addon.semValue(this.#handle));
  }

  /**
   * Removes it from the system: sem_unlink(3), semctl(2) IPC_RMID. Who has a POSIX semaphore open keeps it; who waits for a System V
   * one gets NARU_CLOSED. The object stays open until `close()`.
   * @throws NARU_NOT_FOUND, NARU_DENIED, NARU_CLOSED  it was removed already
   */
  remove(): void {
    kernelCall(this.name, this.#remove, { EINVAL: ['NARU_CLOSED', 'it was removed'] });
  }

  /** Removes a POSIX semaphore by its name. sem_unlink(3) @throws NARU_NOT_FOUND, NARU_DENIED */
  static unlink(name: string): void {
    const path = posixName(name);
    kernelCall(`semaphore ${path}`, () => native(path).semUnlink(path));
  }

  /** All POSIX semaphores of this machine's /dev/shm, and all System V sets of this IPC namespace. */
  static list(): SemaphoreEntry[] {
    return [...listPosix(), ...listSets()];
  }

  /**
   * How many may be acquired at this moment, of each semaphore of a set. Changes nothing.
   * @throws NARU_NOT_FOUND, NARU_DENIED
   */
  static read({ kind, name = '', id = 0, count = 1 }: SemaphoreEntry): number[] {
    const object = kind === 'posix' ? `semaphore ${name}` : `semaphore set with id ${id}`;
    const addon = native(object);
    return Array.from({ length: kind === 'posix' ? 1 : count }, (_, index) =>
      kernelCall(
        object,
        () => {
          const handle =
            kind === 'posix'
              ? addon.semOpen(posixName(name), false, 0, 0)
              : addon.systemVSemOpen(id, index, false);
          try {
            return addon.semValue(handle);
          } finally {
            addon.semClose(handle);
          }
        },
        GONE,
      ),
    );
  }

  /** Removes a System V set by its id. semctl(2) IPC_RMID @throws NARU_NOT_FOUND, NARU_DENIED */
  static removeSet(id: number): void {
    const object = `semaphore set with id ${id}`;
    kernelCall(object, () => native(object).systemVSemRemove(id), GONE);
  }

  /** Ends the waits of this object with NARU_CLOSED. Releases nothing and removes nothing. May be called again. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#tasks.close();
    this.#addon.semClose(this.#handle);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #call<T>(act: () => T): T {
    if (this.#isClosed) throw closedError(this.name);
    // A set that was removed before the call is EINVAL, during it EIDRM.
    const removed: Meanings = this.kind === 'posix' ? {} : { EINVAL: ['NARU_CLOSED', 'it was removed'] };
    return kernelCall(this.name, act, { ...MEANINGS, ...removed });
  }
}

function makeSet(addon: NativeAddon, key: number, count: number, mode: number, value: number): number {
  const id = addon.systemVSemGet(key, count, true, mode);
  if (value > 0) addon.systemVSemAdd(id, count, value);
  return id;
}

function posixName(name: string): string {
  const bare = name.startsWith('/') ? name.slice(1) : name;
  if (/^[^/\0]{1,251}$/.test(bare)) return `/${bare}`;
  throw invalid('semaphore', `a name has 1 to 251 characters and no slash but the first, got "${name}"`);
}
