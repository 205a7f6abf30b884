// One call that waits for a queue: its promise, its deadline and its abort signal. And giving the event loop its turn.

import { setMaxListeners } from 'node:events';
import { queueError } from './queue-errors.ts';

/** How a wait may be limited. */
export interface QueueWaitOptions {
  /** Aborts the wait; the call rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
  /** Longest wait in milliseconds; 0 = do not wait. Default: for ever. */
  readonly timeoutMs?: number | undefined;
}

/** How a wait that blocks its thread may be limited. */
export interface QueueSyncOptions {
  /** Longest wait in milliseconds; 0 = do not wait. Default: for ever. */
  readonly timeoutMs?: number | undefined;
}

const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** @throws NARU_INVALID_ARGUMENT; the reason of a signal that has fired already */
export function checkWaitOptions(queue: string, options: QueueWaitOptions): void {
  options.signal?.throwIfAborted();
  const { timeoutMs } = options;
  if (timeoutMs === undefined || (timeoutMs >= 0 && timeoutMs <= LONGEST_TIMEOUT_MS)) return;
  throw queueError(
    'NARU_INVALID_ARGUMENT',
    queue,
    `timeoutMs must be from 0 to ${LONGEST_TIMEOUT_MS}, got ${timeoutMs}`,
  );
}

/** A call that waits. It ends once: with a value, with an error, or with its limits. */
export class Wait<T> {
  readonly promise: Promise<T>;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** @param onLimit  called when a limit is over, with the error; it must end the wait with `resolve` or `reject` */
  constructor(queue: string, what: string, options: QueueWaitOptions, onLimit: (error: unknown) => void) {
    let resolve: (value: T) => void = () => {};
    let reject: (error: unknown) => void = () => {};
    this.promise = new Promise<T>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    this.#resolve = resolve;
    this.#reject = reject;
    const { signal, timeoutMs } = options;
    this.#signal = signal;
    this.#onAbort = () => onLimit(signal?.reason);
    if (signal !== undefined) {
      // One signal for all waits of a program is normal use: Node would warn of a leak at the eleventh.
      setMaxListeners(0, signal);
      signal.addEventListener('abort', this.#onAbort, { once: true });
    }
    if (timeoutMs === undefined) return;
    this.#timer = setTimeout(() => onLimit(timeoutError(queue, what, timeoutMs)), timeoutMs);
  }

  resolve(value: T): void {
    this.#stop();
    this.#resolve(value);
  }

  reject(error: unknown): void {
    this.#stop();
    this.#reject(error);
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}

/** @param what  completes "… within n ms" */
export function timeoutError(queue: string, what: string, timeoutMs: number): Error {
  return queueError('NARU_TIMEOUT', queue, `${what} within ${timeoutMs} ms`);
}

/** Messages that calls found without waiting, one after the other, before the event loop gets its turn. */
const MESSAGES_A_TURN = 256;

/** Keeps a loop of calls that find what they want from starving timers, sockets and signal handlers. */
export class Turns {
  #messages = 0;

  /** True when the caller must await `nextTurn()` before it goes on. */
  isOver(messages = 1): boolean {
    this.#messages += messages;
    if (this.#messages < MESSAGES_A_TURN) return false;
    this.#messages = 0;
    return true;
  }
}

/** Resolves after the event loop has run timers, I/O and signal handlers. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
