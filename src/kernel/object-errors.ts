// What the kernel says about its other objects, and waiting for a blocking call that runs in a thread of its own.

import { setMaxListeners } from 'node:events';
import type { NaruError, NaruErrorCode } from '../errors/index.ts';
import { type NativeAddon, type NativeTask, native } from '../native/index.ts';
import { type Failure, generalError, queueError } from './queue-errors.ts';
import { checkWaitOptions, type QueueWaitOptions, timeoutError } from './queue-wait.ts';

/** What an errno means for one object where it means something special: a code and a text. */
export type Meanings = Readonly<Record<string, readonly [NaruErrorCode, string]>>;

const COMMON: Meanings = {
  EBADF: ['NARU_CLOSED', 'it is closed'],
  ENOSPC: ['NARU_LIMIT', 'no space is left for it'],
  EFBIG: ['NARU_LIMIT', 'it would be larger than a file may be'],
  EIO: ['NARU_CORRUPT', 'the device failed to read or write'],
  ELOOP: ['NARU_DENIED', 'it is a symbolic link, which is not followed'],
  EISDIR: ['NARU_INVALID_ARGUMENT', 'it is a directory'],
};

/** The error of a failed system call, of the addon or of node:fs; everything else is returned as it is. */
export function objectError(error: unknown, object: string, meanings: Meanings = {}): unknown {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error;
  const syscall = 'syscall' in error && typeof error.syscall === 'string' ? error.syscall : undefined;
  const failure: Failure = { code: error.code, syscall, cause: error };
  if (!('errno' in error)) return error;
  const [code, text] = meanings[failure.code] ?? COMMON[failure.code] ?? [];
  if (code === undefined) return generalError(failure, object);
  return queueError(code, object, `${text} (${syscall ?? 'errno'}: ${failure.code})`, error);
}

/** Calls the kernel; a failure is thrown in the words of NaruError. */
export function kernelCall<T>(object: string, act: () => T, meanings?: Meanings): T {
  try {
    return act();
  } catch (error) {
    throw objectError(error, object, meanings);
  }
}

/** The code of a failed system call, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'errno' in error && 'code' in error ? String(error.code) : undefined;
}

export type Create = 'if-missing' | 'new' | 'never';

/**
 * Opens, makes, or opens again: between "is not there" and "make it" another process may have made it, and removed it.
 *
 * @returns what was opened, and whether it was made here
 */
export function openOrCreate<T>(
  object: string,
  create: Create,
  open: () => T,
  make: () => T,
  meanings?: Meanings,
): { readonly opened: T; readonly made: boolean } {
  if (!['if-missing', 'new', 'never'].includes(create)) {
    throw invalid(object, `create must be if-missing, new or never, got ${create}`);
  }
  if (create === 'new') return { opened: kernelCall(object, make, meanings), made: true };
  if (create === 'never') return { opened: kernelCall(object, open, meanings), made: false };
  for (let attempt = 0; ; attempt += 1) {
    try {
      return { opened: open(), made: false };
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw objectError(error, object, meanings);
    }
    try {
      return { opened: make(), made: true };
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST' || attempt === 100) throw objectError(error, object, meanings);
    }
  }
}

export function invalid(object: string, text: string): NaruError {
  return queueError('NARU_INVALID_ARGUMENT', object, text);
}

/** The error of a call on an object that was closed. */
export function closedError(object: string): NaruError {
  return queueError('NARU_CLOSED', object, 'it is closed');
}

/** Blocking calls of one object that run in threads. `close()` ends them all with NARU_CLOSED. */
export class Tasks {
  readonly #object: string;
  readonly #addon: NativeAddon;
  readonly #running = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();

  constructor(object: string) {
    this.#object = object;
    this.#addon = native(object);
    setMaxListeners(0, this.#closing.signal);
  }

  /**
   * @param late  called when the call did succeed, but after its wait had been aborted: gives back what it took
   * @param what  completes "… within n ms"
   * @throws NARU_TIMEOUT, NARU_CLOSED, the signal's reason, or what the call failed with
   */
  async wait(
    start: (timeoutMs: number) => NativeTask,
    options: QueueWaitOptions,
    what: string,
    late: () => void = () => {},
    meanings?: Meanings,
  ): Promise<void> {
    checkWaitOptions(this.#object, options);
    if (this.#closing.signal.aborted) throw closedError(this.#object);
    const task = kernelCall(this.#object, () => start(options.timeoutMs ?? -1), meanings);
    const outcome = this.#watch(task, options.signal, late);
    try {
      const result = await outcome;
      if (result !== 'woken') throw timeoutError(this.#object, what, options.timeoutMs ?? 0);
    } catch (error) {
      throw objectError(error, this.#object, meanings);
    }
  }

  #watch(task: NativeTask, signal: AbortSignal | undefined, late: () => void): Promise<string> {
    return new Promise((resolve, reject) => {
      let isOver = false;
      const end = (reason: unknown): void => {
        isOver = true;
        this.#addon.cancelTask(task.id);
        reject(reason);
      };
      const onAbort = (): void => end(signal?.reason);
      const onClose = (): void => end(closedError(this.#object));
      if (signal !== undefined) setMaxListeners(0, signal);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#closing.signal.addEventListener('abort', onClose, { once: true });
      const done = (): void => {
        signal?.removeEventListener('abort', onAbort);
        this.#closing.signal.removeEventListener('abort', onClose);
        this.#running.delete(settled);
      };
      const settle = (result: string): void => {
        if (!isOver) resolve(result);
        else if (result === 'woken') late();
      };
      const settled = task.promise.then(settle, reject).finally(done);
      this.#running.add(settled);
    });
  }

  /** Ends all waits; resolves when their threads have ended, and what they took late is given back. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#running);
  }
}
