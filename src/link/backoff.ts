// How long to wait between attempts to connect: doubling, with chance, so that many who lost the same host do not come back
// in step.

import { isNaruError } from '../errors/index.ts';
import { LINK } from './limits.ts';

export class Backoff {
  readonly #random: () => number;
  #nextMs: number = LINK.backoffMs;
  attempts = 0;

  /** @param random  a number from 0 to 1 */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Length of the next wait in milliseconds. */
  next(): number {
    this.attempts += 1;
    const waitMs = this.#nextMs * (0.5 + this.#random() / 2);
    this.#nextMs = Math.min(this.#nextMs * 2, LINK.backoffMsMax);
    return waitMs;
  }

  /** Waits; ends early when the signal fires. Holds no process: who waits for the outcome does that. */
  wait(signal: AbortSignal, keepsAlive: boolean): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', finish);
        resolve();
      };
      const timer = setTimeout(finish, this.next());
      if (!keepsAlive) timer.unref();
      signal.addEventListener('abort', finish, { once: true });
      if (signal.aborted) finish();
    });
  }
}

/**
 * Tries to connect until it works or the signal fires.
 * @throws what the last attempt threw that came to its end; at once what another attempt would not change
 */
export async function untilConnected<T>(connect: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const backoff = new Backoff();
  let last: unknown;
  for (;;) {
    try {
      return await connect();
    } catch (error) {
      // An attempt that was cut off says only that; the one before it says why.
      if (signal.aborted) throw last ?? error;
      if (!isNaruError(error, 'NARU_DISCONNECTED') && !isNaruError(error, 'NARU_PEER_GONE')) throw error;
      last = error;
      await backoff.wait(signal, true);
      if (signal.aborted) throw error;
    }
  }
}
