// Waiting that everything in this folder shares: deadline and abort of one call, and giving the event loop its turn.

import { setMaxListeners } from 'node:events';
import { NaruError } from '../errors/index.ts';
import { DEFAULTS } from './defaults.ts';

/** How a call may be limited. */
export interface WaitLimits {
  /** Aborts the wait; the call rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
  /** Longest wait in milliseconds; 0 = do not wait. Default: for ever. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Watches deadline and abort of one waiting call. A signal that fired on the way here (while a seat was being taken) ends
 * the wait like one that fires later: its `abort` event has passed already.
 *
 * @param onEnd  called once with the error when the wait must end; never from inside this call
 * @returns a function that stops watching
 */
export function watchLimits(
  limits: WaitLimits,
  what: string,
  mailbox: string,
  onEnd: (error: unknown) => void,
): () => void {
  const { signal, timeoutMs } = limits;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const abort = (): void => {
    if (stopped) return;
    stop();
    onEnd(signal?.reason);
  };
  const stop = (): void => {
    stopped = true;
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  };
  if (timeoutMs !== undefined) {
    timer = setTimeout(() => {
      stop();
      onEnd(timeoutError(what, timeoutMs, mailbox));
    }, timeoutMs);
  }
  if (signal?.aborted === true) queueMicrotask(abort);
  else if (signal !== undefined) {
    allowManyListeners(signal);
    signal.addEventListener('abort', abort, { once: true });
  }
  return stop;
}

const manyAllowed = new WeakSet<AbortSignal>();

/** One signal for all waits of a program is normal use: Node would warn of a leak at the eleventh. */
function allowManyListeners(signal: AbortSignal): void {
  if (manyAllowed.has(signal)) return;
  manyAllowed.add(signal);
  setMaxListeners(0, signal);
}

/**
 * Waits for what became of messages that are on their way: a wait that ends now must not claim that nothing was sent.
 *
 * @param what  completes "… within n ms"
 * @throws NARU_OUTCOME_UNKNOWN  the time is over; else the signal's reason, or what `outcome` rejects with
 */
export function awaitOutcome(
  outcome: Promise<void>,
  limits: WaitLimits,
  what: string,
  mailbox: string,
): Promise<void> {
  const timeoutMs = limits.timeoutMs === 0 ? undefined : limits.timeoutMs;
  if (limits.signal === undefined && timeoutMs === undefined) return outcome;
  return new Promise((resolve, reject) => {
    const stop = watchLimits({ signal: limits.signal, timeoutMs }, what, mailbox, (error) => {
      const late = error instanceof NaruError && error.code === 'NARU_TIMEOUT';
      reject(late ? new NaruError('NARU_OUTCOME_UNKNOWN', error.message, { mailbox }) : error);
    });
    outcome.then(resolve, reject).finally(stop);
  });
}

/** A promise that ends with the limits of one call; what it stood for goes on. */
export function within<T>(
  promise: Promise<T>,
  limits: WaitLimits,
  what: string,
  mailbox: string,
): Promise<T> {
  if (limits.signal === undefined && limits.timeoutMs === undefined) return promise;
  return new Promise((resolve, reject) => {
    const stop = watchLimits(limits, what, mailbox, reject);
    promise.then(resolve, reject).finally(stop);
  });
}

/** Waits for a promise, but at most so long; keeps the process alive meanwhile and not longer. @returns undefined when it was too late */
export async function atMost<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The error of a wait that took too long. */
export function timeoutError(what: string, timeoutMs: number, mailbox: string): NaruError {
  return new NaruError('NARU_TIMEOUT', `${mailbox}: ${what} within ${timeoutMs} ms`, { mailbox });
}

/** @throws NARU_INVALID_ARGUMENT, or the reason of a signal that has fired already */
export function checkLimits(limits: WaitLimits | undefined, mailbox: string): void {
  if (limits === undefined) return;
  limits.signal?.throwIfAborted();
  const { timeoutMs } = limits;
  const isDuration = typeof timeoutMs === 'number' && timeoutMs >= 0 && timeoutMs <= 2 ** 31 - 1;
  if (timeoutMs !== undefined && !isDuration) {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${mailbox}: timeoutMs must be from 0 to 2147483647, got ${String(timeoutMs)}`,
    );
  }
}

/**
 * A signal that fires when the caller aborts or the time for opening is over.
 * @throws NARU_INVALID_ARGUMENT, or the reason of a signal that has fired already
 */
export function openDeadline(limits: WaitLimits, text: string): { signal: AbortSignal; stop: () => void } {
  checkLimits(limits, text);
  const controller = new AbortController();
  const timeoutMs = limits.timeoutMs ?? DEFAULTS.openTimeoutMs;
  const timer = setTimeout(() => {
    controller.abort(
      new NaruError('NARU_TIMEOUT', `${text}: could not be opened within ${timeoutMs} ms`, { mailbox: text }),
    );
  }, timeoutMs);
  const abort = (): void => controller.abort(limits.signal?.reason);
  limits.signal?.addEventListener('abort', abort, { once: true });
  const stop = (): void => {
    clearTimeout(timer);
    limits.signal?.removeEventListener('abort', abort);
  };
  return { signal: controller.signal, stop };
}

/** How long a loop of resolved promises may keep the event loop from timers, signals and sockets, in milliseconds. */
const TURN_MS = 10;
let turnStarted = 0;
let isTurnTimed = false;

/** performance.now() as it was when somebody asked first in this turn of the event loop. */
export function turnTime(): number {
  if (!isTurnTimed) {
    isTurnTimed = true;
    turnStarted = performance.now();
    // Not unref(): an idle event loop would sleep over it and call an old time that of its next turn.
    setImmediate(forgetTurn);
  }
  return turnStarted;
}

/**
 * True when microtasks have run for so long that the caller must await `nextTurn()` before it goes on. Without it, a
 * `for await` over a mailbox that is never empty would keep even a SIGINT handler from running.
 */
export function turnIsOver(): boolean {
  const isFirst = !isTurnTimed;
  const started = turnTime();
  return !isFirst && performance.now() - started > TURN_MS;
}

/** Resolves after the event loop has run timers, I/O and signal handlers. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function forgetTurn(): void {
  isTurnTimed = false;
}
