// One handle on an engine behind a connection that breaks and comes back: what keeps its process alive, what it has lost, and how it ends. What
// goes over the connection is the place's.

import { NaruError } from '../errors/index.ts';
import type { DriverHooks } from '../mailbox/driver.ts';
import { KeepAlive } from '../mailbox/keep-alive.ts';
import type { Connected, Reconnecting } from './reconnecting.ts';

/** What is on its way to the engine. */
export interface UnderWay {
  /** Resolves when nothing is. */
  whenIdle(): Promise<void>;
  /** Everything that is, and everything that comes, fails. May be called again. */
  end(error: Error): void;
}

export interface ClientHandleInit<C extends Connected> {
  readonly place: string;
  readonly text: string;
  readonly hooks: DriverHooks;
  readonly reconnecting: Reconnecting<C>;
  readonly underWay: UnderWay;
  /** What was thrown over a connection, as an error of Naru. */
  readonly translate: (error: unknown) => NaruError;
}

export class ClientHandle<C extends Connected> {
  readonly alive: KeepAlive = new KeepAlive();
  /** By reason, for stats(). */
  readonly dropped: Record<string, number> = {};
  readonly #init: ClientHandleInit<C>;
  #undelivered = 0;
  #failure: Error | undefined;
  #isRemoved = false;
  #closed: Promise<{ undelivered: number }> | undefined;

  constructor(init: ClientHandleInit<C>) {
    this.#init = init;
  }

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  /** It is closed, has failed, or removes its mailbox: nothing needs to be made anew for it, and nothing is news. */
  get isOver(): boolean {
    return this.#isRemoved || this.#closed !== undefined || this.#failure !== undefined;
  }

  /** Uses the connection; waits a bounded time for one. @throws why the handle has failed, else what `use` threw, translated */
  async run<T>(use: (connection: C) => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure;
    const { reconnecting, translate } = this.#init;
    try {
      return await reconnecting.run(use);
    } catch (error) {
      const translated = translate(error);
      throw this.#failure ?? translated;
    }
  }

  /** Keeps the process alive meanwhile. */
  async held<T>(act: () => Promise<T>): Promise<T> {
    this.alive.hold(act, true);
    const { reconnecting } = this.#init;
    reconnecting.enter();
    try {
      return await act();
    } finally {
      reconnecting.leave();
      this.alive.hold(act, false);
    }
  }

  drop(reason: string, count: number): void {
    this.dropped[reason] = (this.dropped[reason] ?? 0) + count;
    this.#init.hooks.event('drop', { reason, count });
  }

  /** Messages were taken that nobody will get, and nobody waited to hear of. */
  lost(count: number, error: Error): void {
    this.#undelivered += count;
    this.drop('failed', count);
    this.#init.hooks.event('error', { error });
  }

  /** The mailbox is gone for good. */
  fail(error: Error): void {
    if (this.isOver) return;
    this.#failure = error;
    this.#init.underWay.end(error);
    this.#init.hooks.failed(error);
  }

  /** Removes the mailbox: what this handle learns of it from the server is no news. */
  unlink(remove: (connection: C) => Promise<void>): Promise<void> {
    this.#isRemoved = true;
    return this.held(() => this.run(remove));
  }

  /**
   * Waits for what is under way, `flushMs` at most, and ends. May be called again.
   * @param leave  closes the ends, and says goodbye to the server; gets the error of whatever is still waiting
   */
  close(flushMs: number, leave: (closed: NaruError) => Promise<void>): Promise<{ undelivered: number }> {
    this.#closed ??= this.held(() => this.#close(flushMs, leave));
    return this.#closed;
  }

  gone(): NaruError {
    return this.#error('the mailbox was removed');
  }

  async #close(
    flushMs: number,
    leave: (closed: NaruError) => Promise<void>,
  ): Promise<{ undelivered: number }> {
    const { underWay, reconnecting } = this.#init;
    const closed = this.#error('this handle was closed');
    const timer = setTimeout(() => underWay.end(closed), Math.max(1, flushMs));
    await underWay.whenIdle();
    clearTimeout(timer);
    underWay.end(closed);
    await leave(closed);
    reconnecting.close();
    this.alive.end();
    return { undelivered: this.#undelivered };
  }

  #error(what: string): NaruError {
    const { place, text } = this.#init;
    return new NaruError('NARU_CLOSED', `${text}: ${what}`, { place, mailbox: text });
  }
}
