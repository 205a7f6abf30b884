// The wait of the `…Sync` calls: blocks the thread in the driver until it is worth trying again, or the time is over.

import { NaruError } from '../errors/index.ts';
import type { Receiver, Sender } from './driver.ts';
import { timeoutError } from './waiting.ts';

const ENDLESS_MS: number = 2 ** 31 - 1;

/** One blocking call, with its deadline. */
export class BlockingWait {
  readonly #timeoutMs: number | undefined;
  readonly #deadline: number;
  readonly #mailbox: string;

  constructor(timeoutMs: number | undefined, mailbox: string) {
    this.#timeoutMs = timeoutMs;
    this.#deadline = timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
    this.#mailbox = mailbox;
  }

  /** @throws NARU_TIMEOUT, NARU_INTERRUPTED */
  wait(end: Sender | Receiver, what: string): void {
    // The clock is not looked at where there is no deadline.
    const left = this.#timeoutMs === undefined ? ENDLESS_MS : this.#deadline - performance.now();
    const outcome = left <= 0 ? 'timeout' : (end.waitSync?.(Math.min(left, ENDLESS_MS)) ?? 'timeout');
    if (outcome === 'ready') return;
    if (outcome === 'timeout') throw timeoutError(what, this.#timeoutMs ?? 0, this.#mailbox);
    throw new NaruError(
      'NARU_INTERRUPTED',
      `${this.#mailbox}: a signal arrived while the thread was blocked`,
      {
        mailbox: this.#mailbox,
      },
    );
  }
}
