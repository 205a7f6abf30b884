// A connection to an engine that comes back by itself. Who calls while it is away waits for it, but not for ever. One that gives no sign of
// life is taken for lost. It knows nothing of any protocol: a place gives it a function that connects, and hears when a connection is lost.

import { isNaruError, NaruError, type NaruErrorCode } from '../errors/index.ts';
import { Backoff } from '../link/backoff.ts';

/** How long a call waits for a connection that was lost, in milliseconds. */
const PATIENCE_MS = 5_000;

/**
 * What time may heal while a lost connection is being made again: nobody listens, it broke halfway (whatever was being asked then),
 * the server is slow, or has no connection left. A first connection that fails is told to the caller at once, whatever it was.
 */
const PASSING: ReadonlySet<NaruErrorCode> = new Set([
  'NARU_DISCONNECTED',
  'NARU_OUTCOME_UNKNOWN',
  'NARU_TIMEOUT',
  'NARU_LIMIT',
]);

/** How often a connection is asked for a sign of life, in milliseconds: two questions without an answer, and it is lost. */
const PING_MS = 5_000;

/** One connection, alive until it calls `lost`. */
export interface Connected {
  /** Keeps the process alive, or lets it end, whatever else is going on. */
  ref(): void;
  unref(): void;
  /** Asks the engine for a sign of life. Absent where nobody has to: a broken network tells nothing by itself. */
  ping?(): Promise<unknown>;
  /**
   * Ends it, and with it every call that is under way; never throws.
   * @param isLost  nobody is there any more to say goodbye to
   */
  destroy(isLost?: boolean): void;
}

/**
 * Makes one connection, ready for use.
 * @param lost  to be called once when it breaks
 * @throws NARU_DISCONNECTED, NARU_OUTCOME_UNKNOWN, NARU_TIMEOUT or NARU_LIMIT when trying again may help; anything else is for ever
 */
export type Connect<C> = (lost: () => void, signal: AbortSignal) => Promise<C>;

export interface ReconnectingSettings {
  readonly place: string;
  readonly text: string;
}

interface Waiter<C> {
  readonly resolve: (connection: C) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
}

export class Reconnecting<C extends Connected> {
  readonly #connect: Connect<C>;
  readonly #settings: ReconnectingSettings;
  readonly #ending = new AbortController();
  readonly #waiters = new Set<Waiter<C>>();
  readonly #listeners = new Set<(attempts: number) => void>();
  readonly #lossListeners = new Set<() => void>();
  #pinging: NodeJS.Timeout | undefined;
  #current: C | undefined;
  #pending = 0;
  /** Why the last attempt to come back failed. */
  #failure: NaruError | undefined;
  /** Why there will never be a connection again. */
  #end: unknown;

  private constructor(connect: Connect<C>, settings: ReconnectingSettings) {
    this.#connect = connect;
    this.#settings = settings;
  }

  /** Makes the first connection. @throws what `connect` throws, at once */
  static async open<C extends Connected>(
    connect: Connect<C>,
    settings: ReconnectingSettings,
    signal: AbortSignal,
  ): Promise<Reconnecting<C>> {
    const self = new Reconnecting(connect, settings);
    try {
      await self.#attempt(signal);
    } catch (error) {
      self.close();
      throw error;
    }
    return self;
  }

  /** The connection there is now. */
  get current(): C | undefined {
    return this.#current;
  }

  /** Calls back each time when a lost connection is there again, with the number of attempts. @returns a function that ends it */
  onBack(listener: (attempts: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls back each time when the connection was lost. */
  onLost(listener: () => void): void {
    this.#lossListeners.add(listener);
  }

  /**
   * Uses the connection. The process stays alive until `use` has come back.
   * @throws NARU_CLOSED, NARU_DISCONNECTED (it did not come back in time), what ended it for ever, what `use` throws
   */
  async run<T>(use: (connection: C) => Promise<T>): Promise<T> {
    const connection = this.enter();
    try {
      return await use(connection ?? (await this.#wait()));
    } finally {
      this.leave();
    }
  }

  /** What run() begins with, for calls that must cost little: `leave()` must follow. @returns the connection there is now */
  enter(): C | undefined {
    this.#pending += 1;
    if (this.#pending === 1) this.#current?.ref();
    return this.#current;
  }

  /** The end of what `enter()` began. */
  leave(): void {
    this.#pending -= 1;
    if (this.#pending === 0) this.#current?.unref();
  }

  /** Ends it: everybody who waits, and whoever calls later, gets `error`. */
  close(error: unknown = this.#closed()): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    this.#ending.abort();
    clearInterval(this.#pinging);
    const last = this.#current;
    this.#current = undefined;
    last?.destroy();
    for (const waiter of this.#waiters) this.#settle(waiter, () => waiter.reject(error));
  }

  async #attempt(signal: AbortSignal): Promise<void> {
    let connection: C | undefined;
    let isLost = false;
    const lost = (): void => {
      isLost = true;
      if (connection !== undefined && this.#current === connection) this.#lose(connection);
    };
    connection = await this.#connect(lost, signal);
    if (this.#end !== undefined || signal.aborted || isLost) {
      connection.destroy();
      throw (
        this.#end ?? (signal.aborted ? signal.reason : this.#disconnected('the connection was lost again'))
      );
    }
    this.#current = connection;
    if (this.#pending === 0) connection.unref();
    this.#watch(connection);
    for (const waiter of this.#waiters) this.#settle(waiter, () => waiter.resolve(connection));
  }

  /** Between two looks the event loop has read what had come: an answer that lay there unread is none too late. */
  #watch(connection: C): void {
    if (connection.ping === undefined) return;
    let unanswered = 0;
    const ask = async (): Promise<void> => {
      try {
        await connection.ping?.();
        unanswered = 0;
      } catch {
        // It broke, and says so by itself.
      }
    };
    this.#pinging = setInterval(() => {
      if (unanswered >= 2) this.#lose(connection);
      else if (unanswered === 0) void ask();
      unanswered += 1;
    }, PING_MS).unref();
  }

  #lose(connection: C): void {
    clearInterval(this.#pinging);
    this.#current = undefined;
    connection.destroy(true);
    for (const listener of this.#lossListeners) listener();
    void this.#comeBack();
  }

  async #comeBack(): Promise<void> {
    const backoff = new Backoff();
    const { signal } = this.#ending;
    for (let attempts = 1; this.#end === undefined; attempts += 1) {
      try {
        await this.#attempt(signal);
        for (const listener of this.#listeners) listener(attempts);
        return;
      } catch (error) {
        if (!isNaruError(error) || !PASSING.has(error.code)) return this.close(error);
        this.#failure = error;
        await backoff.wait(signal, false);
      }
    }
  }

  #wait(): Promise<C> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    return new Promise<C>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        reject(
          this.#disconnected(`no connection for ${PATIENCE_MS} ms; is the server running?`, this.#failure),
        );
      }, PATIENCE_MS);
      const waiter: Waiter<C> = { resolve, reject, timer };
      this.#waiters.add(waiter);
    });
  }

  #settle(waiter: Waiter<C>, act: () => void): void {
    this.#waiters.delete(waiter);
    clearTimeout(waiter.timer);
    act();
  }

  #closed(): NaruError {
    const { place, text } = this.#settings;
    return new NaruError('NARU_CLOSED', `${text}: this handle was closed`, { place, mailbox: text });
  }

  #disconnected(what: string, cause?: NaruError): NaruError {
    const { place, text } = this.#settings;
    const options = { place, mailbox: text, ...(cause === undefined ? {} : { cause }) };
    return new NaruError('NARU_DISCONNECTED', `${text}: ${what}`, options);
  }
}
