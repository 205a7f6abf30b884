// What a topic keeps that every group has had, for consumers that come later or go back: the newest, as far as number, age and room
// allow.

import type { MailboxSettings } from '../link/settings.ts';
import type { MessageIndex } from './message-index.ts';

export interface RetentionInit {
  readonly settings: MailboxSettings;
  readonly retainMs: number;
  readonly time: () => number;
}

/** How often ages are looked at: at a tenth of what is kept, within these. */
const LOOK_MS_MIN = 50;
const LOOK_MS_MAX = 60_000;

export class Retention {
  readonly #index: MessageIndex;
  readonly #init: RetentionInit;
  readonly #remove: (number: number) => void;
  readonly #timer: NodeJS.Timeout | undefined;
  /** Everything before it every group has had. */
  #low = 0;
  #count = 0;
  #bytes = 0;

  constructor(index: MessageIndex, init: RetentionInit, remove: (number: number) => void) {
    this.#index = index;
    this.#init = init;
    this.#remove = remove;
    const { retainMs } = init;
    if (retainMs > 0) {
      const everyMs = Math.min(Math.max(retainMs / 10, LOOK_MS_MIN), LOOK_MS_MAX);
      this.#timer = setInterval(() => this.#trim(), everyMs).unref();
    }
  }

  /** What may go when room is needed. */
  get spare(): { readonly count: number; readonly bytes: number } {
    return { count: this.#count, bytes: this.#bytes };
  }

  /** @param low  everything before it every group has had */
  look(low: number): void {
    if (low < this.#low) {
      this.#low = 0;
      this.#count = 0;
      this.#bytes = 0;
    }
    const index = this.#index;
    for (let next = index.after(this.#low - 1); next !== 0 && next < low; next = index.after(next)) {
      this.#count += 1;
      this.#bytes += index.get(next)?.bytes ?? 0;
    }
    this.#low = low;
    this.#trim();
  }

  /** Removes what is kept, oldest first, until no more than this is left. */
  makeRoom(messages: number, bytes: number): void {
    const index = this.#index;
    while (this.#count > 0 && (index.count > messages || index.bytes > bytes)) this.#removeOldest();
  }

  /** @returns how many were kept */
  clear(): number {
    const count = this.#count;
    while (this.#count > 0) this.#removeOldest();
    return count;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #trim(): void {
    const { retainMs, time, settings } = this.#init;
    if (settings.retain > 0) while (this.#count > settings.retain) this.#removeOldest();
    if (retainMs === 0) return;
    const before = time() - retainMs;
    while (this.#count > 0 && (this.#index.get(this.#index.first)?.stamp ?? before) < before)
      this.#removeOldest();
  }

  #removeOldest(): void {
    const oldest = this.#index.first;
    this.#count -= 1;
    this.#bytes -= this.#index.get(oldest)?.bytes ?? 0;
    this.#remove(oldest);
  }
}
