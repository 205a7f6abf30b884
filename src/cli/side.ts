// One side of a bridge: a mailbox that is opened, and opened again when it was lost. What is moved between two of them is
// bridge.ts's.

import { isNaruError, type NaruError, type NaruErrorCode } from '../errors/index.ts';
import { Backoff } from '../link/backoff.ts';
import { connect, type ByteMailbox, type Connection, type ConnectOptions } from './connect.ts';
import type { Ending } from './exit.ts';
import { note } from './output.ts';
import type { Target } from './url.ts';

/** Errors of a mailbox that may be there again after a while. */
const PASSING: ReadonlySet<NaruErrorCode> = new Set([
  'NARU_CLOSED',
  'NARU_PEER_GONE',
  'NARU_DISCONNECTED',
  'NARU_OUTCOME_UNKNOWN',
  'NARU_NOT_FOUND',
  'NARU_TIMEOUT',
  'NARU_LIMIT',
  'NARU_NO_CONSUMER',
  'NARU_FULL',
  'NARU_OVERLOADED',
]);
/** Errors of a send that the same handle may get over. */
const HANDLE_LIVES: ReadonlySet<NaruErrorCode> = new Set([
  'NARU_OUTCOME_UNKNOWN',
  'NARU_DISCONNECTED',
  'NARU_NO_CONSUMER',
  'NARU_FULL',
  'NARU_OVERLOADED',
]);
/** So many times in a row may a mailbox be opened and be closed before it took anything: then it has ended, not restarted. */
const CLOSED_MAX = 5;

/** Whether what failed may work in a while. */
export function isPassing(error: unknown): error is NaruError {
  return isNaruError(error) && PASSING.has(error.code);
}

export class Side {
  readonly #name: 'source' | 'target';
  readonly #target: Target;
  readonly #options: ConnectOptions;
  readonly #ending: Ending;
  readonly #backoff = { current: new Backoff(), closed: 0 };
  #connection: Connection | undefined;
  #isAway = false;
  /** How many times it came back. */
  returns = 0;

  constructor(name: 'source' | 'target', target: Target, options: ConnectOptions, ending: Ending) {
    this.#name = name;
    this.#target = target;
    this.#options = { ...options, joins: true };
    this.#ending = ending;
  }

  get connection(): Connection {
    if (this.#connection === undefined) throw new Error(`the ${this.#name} was never opened`);
    return this.#connection;
  }

  get mailbox(): ByteMailbox {
    return this.connection.mailbox;
  }

  /** True while the place tries to reach its host again. */
  get isAway(): boolean {
    return this.#isAway;
  }

  /** @throws what connect() throws */
  async open(): Promise<void> {
    this.#connection = await connect(this.#target, this.#options, this.#ending);
    const { mailbox } = this.#connection;
    this.#isAway = false;
    mailbox.on('disconnect', ({ reason }) => {
      this.#isAway = true;
      note(`naru: the ${this.#name} is lost, trying to reach it again: ${reason}`);
    });
    mailbox.on('reconnect', () => this.#back());
  }

  /** Something was moved: what went wrong before is over. */
  works(): void {
    if (this.#backoff.current.attempts === 0 && this.#backoff.closed === 0) return;
    this.#backoff.current = new Backoff();
    this.#backoff.closed = 0;
  }

  /**
   * Waits a little, and opens the mailbox again where this handle is of no use any more.
   * @param limitMs  gives up after so long. Default: never
   * @throws `error` when the mailbox has ended; the last failure after `limitMs`; what no further attempt would change; the
   *   Ending's reason
   */
  async recover(error: NaruError, limitMs: number = Number.POSITIVE_INFINITY): Promise<void> {
    const { signal } = this.#ending;
    if (error.code === 'NARU_CLOSED' && (this.#backoff.closed += 1) > CLOSED_MAX) throw error;
    const backoff = this.#backoff.current;
    const since = performance.now();
    if (HANDLE_LIVES.has(error.code)) {
      await backoff.wait(signal, true);
      signal.throwIfAborted();
      if (await this.#isUsable()) return;
    }
    note(`naru: the ${this.#name} is lost, opening it again: ${error.code}: ${error.message}`);
    await this.close();
    for (;;) {
      await backoff.wait(signal, true);
      signal.throwIfAborted();
      try {
        await this.open();
        this.#back();
        return;
      } catch (failure) {
        if (signal.aborted || !isPassing(failure) || performance.now() - since > limitMs) throw failure;
      }
    }
  }

  /** Whatever waits for room is refused. */
  async close(): Promise<void> {
    // One that has failed may fail at that too.
    await this.mailbox.close({ flushMs: 0 }).catch(() => undefined);
  }

  #back(): void {
    this.#isAway = false;
    this.returns += 1;
    note(`naru: the ${this.#name} is back`);
  }

  async #isUsable(): Promise<boolean> {
    try {
      await this.mailbox.connect(this.#name === 'target' ? 'producer' : 'consumer');
      return true;
    } catch (error) {
      if (!isPassing(error)) throw error;
      return false;
    }
  }
}
