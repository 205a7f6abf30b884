// A lock on a file that processes share, and that the kernel frees when its holder dies: flock(2).

import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { type NativeAddon, type NativeTask, native } from '../native/index.ts';
import { closedError, invalid, kernelCall, Tasks } from './object-errors.ts';
import { checkWhole, queueError } from './queue-errors.ts';
import {
  checkWaitOptions,
  type QueueSyncOptions,
  type QueueWaitOptions,
  timeoutError,
} from './queue-wait.ts';

/** One holder, or any number of holders that are all shared. */
export type FileLockMode = 'exclusive' | 'shared';

export interface FileLockOptions {
  /** Make the file when it is not there. Default: true. */
  readonly create?: boolean | undefined;
  /** Permission bits when it is made here; the umask takes from them. Default: 0o600. */
  readonly mode?: number | undefined;
}

/**
 * A lock on a file, advisory: it stops only those who ask for it too (`flock` in a shell, `fcntl.flock` in Python, flock(2) in C; not
 * fcntl(2) or lockf(3), which are other locks). Each object of this class is a holder of its own, also within one process.
 * The kernel frees it when the object is closed or its process dies, SIGKILL included. A child process that inherits the
 * descriptor would keep it; ours is not inherited.
 *
 * No event tells that such a lock is free: a waiting call looks again after 0.25 ms, and then less and less often, at last every
 * 16 ms; in no particular order among those who wait.
 *
 * @see flock(2)
 */
export class FileLock {
  /** How errors name it. */
  readonly name: string;
  readonly #addon: NativeAddon;
  readonly #fd: number;
  readonly #tasks: Tasks;
  readonly #path: string;
  #held: FileLockMode | undefined;
  #isWaiting = false;
  #isClosed = false;

  /**
   * Opens the file, and makes it when it is not there. Locks nothing yet.
   * @throws NARU_NOT_FOUND  no such file or folder; NARU_DENIED; NARU_LIMIT; NARU_INVALID_ARGUMENT; NARU_NATIVE_MISSING
   */
  constructor(path: string, options: FileLockOptions = {}) {
    this.name = `lock of ${path}`;
    const { create = true, mode = 0o600 } = options;
    this.#path = resolve(path);
    checkWhole(this.name, 'mode', mode, 0, 0o777);
    this.#addon = native(this.name);
    const flags = constants.O_RDWR | (create ? constants.O_CREAT : 0);
    this.#fd = kernelCall(this.name, () => openSync(path, flags, mode));
    this.#tasks = new Tasks(this.name);
  }

  /** What this object holds. */
  get held(): FileLockMode | undefined {
    return this.#held;
  }

  /**
   * Takes the lock without waiting.
   * @returns false when another holds it
   * @throws NARU_INVALID_ARGUMENT  this object has it, or waits for it; NARU_CLOSED  closed here, or the file was removed or replaced;
   *   NARU_LIMIT
   */
  tryAcquire(mode: FileLockMode = 'exclusive'): boolean {
    this.#check(mode);
    const locked = kernelCall(this.name, () => this.#addon.tryLock(this.#fd, mode));
    if (!locked) return false;
    this.#refuseReplaced();
    this.#held = mode;
    return true;
  }

  /**
   * Takes the lock; waits while another holds it, in a thread of its own. Keeps the process alive meanwhile.
   * @throws NARU_TIMEOUT; NARU_CLOSED; NARU_INVALID_ARGUMENT  this object has it, or waits for it; NARU_LIMIT; the signal's reason
   */
  async acquire(mode: FileLockMode = 'exclusive', options: QueueWaitOptions = {}): Promise<void> {
    checkWaitOptions(this.name, options);
    if (this.tryAcquire(mode)) return;
    if (options.timeoutMs === 0) throw timeoutError(this.name, 'not acquired', 0);
    this.#isWaiting = true;
    let isLate = false;
    // Also after an abort the thread may still take it: this object waits until the thread has ended and that is undone.
    const end = (result: string): void => {
      this.#isWaiting = false;
      if (result === 'woken' && !isLate) this.#held = mode;
    };
    await this.#tasks.wait(
      (timeoutMs) => this.#startWait(mode, timeoutMs, end),
      options,
      'not acquired',
      () => {
        isLate = true;
        this.#addon.unlock(this.#fd);
      },
    );
    try {
      this.#refuseReplaced();
    } catch (error) {
      isLate = true;
      this.#held = undefined;
      throw error;
    }
  }

  #startWait(mode: FileLockMode, timeoutMs: number, end: (result: string) => void): NativeTask {
    try {
      const task = this.#addon.waitLockAsync(this.#fd, mode === 'exclusive', timeoutMs);
      // One step later than the wait itself learns of it.
      void task.promise.catch(() => 'failed').then(end);
      return task;
    } catch (error) {
      end('failed');
      throw error;
    }
  }

  /**
   * Takes the lock; blocks the thread while another holds it.
   * @throws NARU_TIMEOUT; NARU_INTERRUPTED  a signal that has a handler came; NARU_CLOSED; NARU_INVALID_ARGUMENT
   */
  acquireSync(mode: FileLockMode = 'exclusive', options: QueueSyncOptions = {}): void {
    checkWaitOptions(this.name, options);
    if (this.tryAcquire(mode)) return;
    const { timeoutMs = -1 } = options;
    const wait = (): string => this.#addon.waitLock(this.#fd, mode === 'exclusive', timeoutMs);
    const result = kernelCall(this.name, wait);
    if (result === 'timeout') throw timeoutError(this.name, 'not acquired', timeoutMs);
    if (result === 'interrupted') {
      throw queueError('NARU_INTERRUPTED', this.name, 'a signal came; it is not acquired');
    }
    this.#refuseReplaced();
    this.#held = mode;
  }

  /** Lets go of the lock; does nothing when it is not held. @throws NARU_CLOSED */
  release(): void {
    if (this.#isClosed) throw closedError(this.name);
    if (this.#held === undefined) return;
    kernelCall(this.name, () => this.#addon.unlock(this.#fd));
    this.#held = undefined;
  }

  /** Lets go of the lock and of the file, which stays. Ends a wait with NARU_CLOSED. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#tasks.close();
    this.#held = undefined;
    closeSync(this.#fd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Just locked. A lock on a file that nobody can open any more excludes nobody. */
  #refuseReplaced(): void {
    const own = fstatSync(this.#fd);
    const now = statSync(this.#path, { throwIfNoEntry: false });
    if (now !== undefined && now.ino === own.ino && now.dev === own.dev) return;
    this.#addon.unlock(this.#fd);
    const how = now === undefined ? 'removed' : 'replaced by another';
    const text = `the file was ${how} since it was opened: who opens it now locks something else; open it anew`;
    throw queueError('NARU_CLOSED', this.name, text);
  }

  #check(mode: FileLockMode): void {
    if (this.#isClosed) throw closedError(this.name);
    if (mode !== 'exclusive' && mode !== 'shared') {
      throw invalid(this.name, `mode must be exclusive or shared, got ${String(mode)}`);
    }
    if (this.#held !== undefined)
      throw invalid(this.name, `it is held already (${this.#held}): release it first`);
    if (this.#isWaiting) throw invalid(this.name, 'another call waits for it: open the file a second time');
  }
}
