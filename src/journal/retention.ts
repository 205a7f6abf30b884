// What a topic keeps that every group has had, for consumers that come later or go back: the newest, as far as number, age and room
// allow.

import type { MailboxSettings } from '../link/settings.ts';
import type { LogClock } from '../log/index.ts';
import type { MessageIndex } from './message-index.ts';

export interface RetentionInit {
  readonly settings: MailboxSettings;
  readonly retainMs: number;
  /** Milliseconds since 1970. */
  readonly time: () => number;
  readonly clock: LogClock;
}

/** How often ages are looked at: at a tenth of what is kept, within these. */
const LOOK_MS_MIN = 50;
const LOOK_MS_MAX = 60_000;

export class Retention {
  readonly #index: MessageIndex;
  readonly #init: RetentionInit;
  readonly #removeOldest: () => void;
  #cancel: (() => void) | undefined;
  /** Everything before it every group has had. */
  #low = 0;
  #count = 0;
  #bytes = 0;

  /** @param removeOldest  takes the first message out of the index, and out of the log */
  constructor(index: MessageIndex, init: RetentionInit, removeOldest: () => void) {
    this.#index = index;
    this.#init = init;
    this.#removeOldest = removeOldest;
    if (init.retainMs > 0) this.#lookLater();
  }

  /** What may go when room is needed. */
  get spare(): { readonly count: number; readonly bytes: number } {
    return { count: this.#count, bytes: this.#bytes };
  }

  /** @param low  everything before it every group has had; not behind the next number of the index */
  look(low: number): void {
    if (low < this.#low) {
      this.#low = 0;
      this.#count = 0;
      this.#bytes = 0;
    }
    const index = this.#index;
    for (let next = index.after(this.#low - 1); next !== 0 && next < low; next = index.after(next)) {
      this.#count += 1;
      this.#bytes += index.bytesOf(next);
    }
    this.#low = low;
    this.#trim();
  }

  /** Removes what is kept, oldest first, until no more than this is left. */
  makeRoom(messages: number, bytes: number): void {
    const index = this.#index;
    while (this.#count > 0 && (index.count > messages || index.bytes > bytes)) this.#shift();
  }

  /** @returns how many were kept */
  clear(): number {
    const count = this.#count;
    while (this.#count > 0) this.#shift();
    return count;
  }

  stop(): void {
    this.#cancel?.();
  }

  #trim(): void {
    const { retainMs, time, settings } = this.#init;
    if (settings.retain > 0) while (this.#count > settings.retain) this.#shift();
    if (retainMs === 0) return;
    const before = time() - retainMs;
    while (this.#count > 0 && (this.#index.timeOf(this.#index.first) ?? before) < before) this.#shift();
  }

  #shift(): void {
    const { bytes } = this.#index;
    this.#removeOldest();
    this.#count -= 1;
    this.#bytes -= bytes - this.#index.bytes;
  }

  #lookLater(): void {
    const { retainMs, clock } = this.#init;
    const everyMs = Math.min(Math.max(retainMs / 10, LOOK_MS_MIN), LOOK_MS_MAX);
    this.#cancel = clock.after(everyMs, () => {
      this.#trim();
      this.#lookLater();
    });
  }
}
