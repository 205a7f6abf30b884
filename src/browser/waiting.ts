// A promise that somebody else settles, with the limits of the call that waits for it.

import { NaruError, type NaruErrorCode } from '../errors/index.ts';

/** How a call may be limited. */
export interface Limits {
  /** Aborts the wait; the call rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
  /** Longest wait in milliseconds. Default: for ever. */
  readonly timeoutMs?: number | undefined;
}

export class Waiter<T> {
  readonly promise: Promise<T>;
  #resolve: (value: T) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  #stop: () => void = () => undefined;
  #isDone = false;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  resolve(value: T): void {
    if (this.#isDone) return;
    this.#finish();
    this.#resolve(value);
  }

  reject(error: unknown): void {
    if (this.#isDone) return;
    this.#finish();
    this.#reject(error);
  }

  /**
   * Ends the wait by the limits.
   * @param ended  what else the end means; may give the error to reject with
   */
  limit({ signal, timeoutMs }: Limits, what: () => [NaruErrorCode, string], ended: () => void): this {
    const end = (error: unknown): void => {
      if (this.#isDone) return;
      this.reject(error);
      ended();
    };
    const abort = (): void => end(signal?.reason);
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            const [code, text] = what();
            end(new NaruError(code, `${text} within ${timeoutMs} ms`, { place: 'ws' }));
          }, timeoutMs);
    signal?.addEventListener('abort', abort, { once: true });
    this.#stop = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
    if (signal?.aborted === true) queueMicrotask(abort);
    return this;
  }

  #finish(): void {
    this.#isDone = true;
    this.#stop();
  }
}
