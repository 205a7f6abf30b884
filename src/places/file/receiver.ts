// The reading end: the newest value, once. Looks when it is told of a change, every pollMs while somebody waits, and again soon where a
// writer may still be at it.

import type { FileHandle } from 'node:fs/promises';
import type { Delivery, DriverHooks, Receiver } from '../../mailbox/driver.ts';
import { fileError } from './error.ts';
import { deliveryOf, look, lookPatiently, type Look, type Value } from './look.ts';
import { Missed, Notices } from './notices.ts';
import { type FileOptions, refusal } from './options.ts';
import { type FileVersion, Judge, QUIET_MS } from './version.ts';

export class ValueReader implements Receiver {
  readonly #options: FileOptions;
  readonly #hooks: DriverHooks;
  readonly #onClose: () => void;
  readonly #judge = new Judge();
  readonly #notices: Notices;
  readonly #missed = new Missed();
  /** Keeps the inode number of the value that is known. */
  #held: FileHandle | undefined;
  /** Fetched ahead: one value at most. */
  #ready: { readonly delivery: Delivery; readonly isArrival: boolean } | undefined;
  #wanted = 0;
  #token = 0;
  #looking: Promise<void> | undefined;
  #isNews = false;
  #timer: NodeJS.Timeout | undefined;
  /** The value that was there before anybody listened is no arrival. */
  #isFirst = false;
  #lastTrouble = '';
  #isClosed = false;
  /** Values too long to be read. */
  oversized = 0;

  constructor(options: FileOptions, hooks: DriverHooks, onClose: () => void) {
    this.#options = options;
    this.#hooks = hooks;
    this.#onClose = onClose;
    this.#notices = new Notices(options.path, () => this.#heard());
  }

  get isWatching(): boolean {
    return this.#notices.isWatching;
  }

  get missed(): number {
    return this.#missed.total;
  }

  /** A file does not end. */
  get ended(): boolean {
    return false;
  }

  /** Begins to listen; what is there counts as read when the reader starts from now. */
  async start(): Promise<void> {
    this.#notices.ensure();
    const found = await this.#lookOnce(lookPatiently, { judge: () => 'new' });
    this.#isFirst = found.kind !== 'absent';
    if (!('handle' in found)) return;
    if (this.#options.from === 'start') return found.handle.close();
    // Also half of one: what its writer makes of it is another version.
    this.#isFirst = false;
    await this.#know(found.version, found.handle);
  }

  take(max: number, out: Delivery[]): number {
    if (this.#ready === undefined || max === 0) return 0;
    out.push(this.#ready.delivery);
    this.#ready = undefined;
    return 1;
  }

  want(count: number): void {
    const wasIdle = this.#wanted === 0;
    this.#wanted = count;
    this.#notices.hold(count > 0);
    if (count === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      if (this.#ready !== undefined) this.#giveBack();
    } else if (this.#ready !== undefined) this.#hooks.readable();
    // Whoever went on waiting is served by what it is told, and by its timer.
    else if (wasIdle || this.#timer === undefined) this.#search();
  }

  poll(): Promise<void> {
    this.#isNews = true;
    this.#looking ??= this.#lookAll();
    return this.#looking;
  }

  settle(): void {}

  ackAll(): void {}

  received(): void {}

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#notices.stop();
    await this.#looking;
    this.#ready = undefined;
    await this.#held?.close();
    this.#held = undefined;
    this.#onClose();
  }

  #heard(): void {
    // Whoever is not waiting looks when it does.
    if (this.#wanted > 0) this.#search();
  }

  #search(): void {
    void this.poll();
  }

  async #lookAll(): Promise<void> {
    let soon = false;
    while (this.#isNews && !this.#isClosed) {
      this.#isNews = false;
      this.#notices.ensure();
      const { arrivals } = this.#notices;
      const found = await this.#lookOnce(look, this.#judge);
      soon = found.kind === 'unsettled';
      if ('handle' in found) await this.#accept(found);
      if (!soon) this.#tellMissed(arrivals);
    }
    this.#looking = undefined;
    if (this.#isClosed || this.#wanted === 0) return;
    this.#timer = later(this.#timer, soon ? QUIET_MS : this.#options.pollMs, () => this.#search());
    if (this.#ready !== undefined) this.#hooks.readable();
  }

  /** What went wrong is told once, not at every look. */
  async #lookOnce(by: typeof look, judge: Pick<Judge, 'judge'>): Promise<Look> {
    const { path, text, maxMessageBytes } = this.#options;
    try {
      const found = await by(path, text, maxMessageBytes, judge);
      this.#lastTrouble = '';
      return found;
    } catch (thrown) {
      const error = fileError(thrown, text);
      if (error.message !== this.#lastTrouble) this.#hooks.event('error', { error });
      this.#lastTrouble = error.message;
      return { kind: 'absent' };
    }
  }

  async #accept(found: Value | Extract<Look, { kind: 'oversized' }>): Promise<void> {
    await this.#know(found.version, found.handle);
    const isArrival = !this.#isFirst;
    this.#isFirst = false;
    if (isArrival) this.#missed.read();
    if (found.kind === 'value') {
      if (this.#ready !== undefined) {
        // It was read, and nobody took it.
        this.#missed.lose(this.#ready.isArrival);
        this.#hooks.event('gap', { count: 1 });
      }
      this.#token += 1;
      this.#ready = { delivery: deliveryOf(found, this.#token), isArrival };
      return;
    }
    this.oversized += 1;
    const { text, maxMessageBytes } = this.#options;
    const what = `its value of ${found.version.size} bytes is not read, the limit is ${maxMessageBytes} (maxMessageBytes)`;
    this.#hooks.event('drop', { reason: 'too-large', count: 1 });
    this.#hooks.event('error', { error: refusal('NARU_TOO_LARGE', text, what) });
  }

  async #know(version: FileVersion | undefined, handle: FileHandle | undefined): Promise<void> {
    const before = this.#held;
    this.#held = handle;
    this.#judge.know(version);
    await before?.close();
  }

  /** Fetched, and nobody took it: the next who waits reads what is there then. */
  #giveBack(): void {
    if (this.#ready?.isArrival === true) this.#missed.unread();
    else this.#isFirst = true;
    this.#ready = undefined;
    void this.#know(undefined, undefined);
  }

  #tellMissed(arrivals: number): void {
    const count = this.#missed.settle(arrivals);
    if (count > 0) this.#hooks.event('gap', { count });
  }
}

/** A timer in the place of another. It keeps the process alive, as the wait that it is for does. */
function later(before: NodeJS.Timeout | undefined, ms: number, act: () => void): NodeJS.Timeout {
  clearTimeout(before);
  return setTimeout(act, ms);
}
