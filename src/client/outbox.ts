// Messages on their way to an engine that answers each of them: what was written and not answered when the connection broke is written
// once more on the next one, in its order; whoever waits for it waits so long and no longer. It knows nothing of any protocol.

import { NaruError } from '../errors/index.ts';

/** How long a message waits for a connection before its send fails, in milliseconds. */
const PATIENCE_MS = 30_000;
const LOOK_MS = 500;
/** So many connections may break over a message: an engine that ends each one because of it would get it for ever. */
const LOSSES_MAX = 5;
/** After so many it goes out alone, so that what was written beside it is not lost for it. */
const LOSSES_ALONE = 2;

/** A message on its way. It may be sent again when it is over. */
export interface Parcel<Answer> {
  /** Of its body. */
  readonly bytes: number;
  /** The outbox's own, false at first: it was on a wire, so that the engine may have it. */
  wasWritten: boolean;
  /** The outbox's own, 0 at first: since when it waits for a connection, as performance.now() counts. */
  waitsSince: number;
  /** The outbox's own, 0 at first: connections that broke before it was answered, and nobody knows why. */
  losses: number;
  /** How it ended: what the engine said, or why it did not come so far. Called once for each send(), never from within it. */
  over(what: Answer | Error): void;
}

/** One connection as messages on their way see it. It tells the outbox of answers by `answered()`. */
export interface Wire<P> {
  /**
   * @returns false when nothing more may be written now
   * @throws what the message fails with, when it cannot be written at all
   */
  write(parcel: P): boolean;
  /** The connection is lost. @returns what was written and not answered, in its order, and never answers any of it */
  abandon(): P[];
}

export interface OutboxInit {
  readonly place: string;
  readonly text: string;
  /** Keeps the process alive while something is under way. */
  readonly hold: (isNeeded: boolean) => void;
  /** Some failed: there is room. */
  readonly changed: () => void;
}

export class Outbox<P extends Parcel<Answer>, Answer> {
  readonly #init: OutboxInit;
  #wire: Wire<P> | undefined;
  #waiting: P[] = [];
  #pending = 0;
  #bytes = 0;
  /** It is written and under suspicion: nothing goes out beside it. */
  #alone: P | undefined;
  #look: NodeJS.Timeout | undefined;
  #end: Error | undefined;
  #idle: (() => void)[] = [];

  constructor(init: OutboxInit) {
    this.#init = init;
  }

  /** Messages that are not over. */
  get pending(): number {
    return this.#pending;
  }

  get pendingBytes(): number {
    return this.#bytes;
  }

  get isConnected(): boolean {
    return this.#wire !== undefined;
  }

  send(parcel: P): void {
    if (this.#end !== undefined) {
      const error = this.#end;
      setImmediate(() => parcel.over(error));
      return;
    }
    parcel.wasWritten = false;
    parcel.losses = 0;
    this.#bytes += parcel.bytes;
    this.#pending += 1;
    if (this.#pending === 1) this.#init.hold(true);
    if (this.#waiting.length === 0 && this.#write(parcel)) return;
    parcel.waitsSince = performance.now();
    this.#waiting.push(parcel);
    this.#watch();
  }

  /** There is a connection: what waits goes out on it. */
  connected(wire: Wire<P>): void {
    this.#wire = wire;
    this.flush();
  }

  /** Writes what waits, as far as the wire takes it. */
  flush(): void {
    let count = 0;
    while (count < this.#waiting.length && this.#write(this.#waiting[count] as P)) count += 1;
    if (count > 0) this.#waiting = this.#waiting.slice(count);
    this.#watch();
  }

  /**
   * The connection is lost: nothing that was written on it will be answered. What waits already, without one, goes on waiting.
   * @param isExplained  the engine has said why it ended it: nothing else is under suspicion
   */
  disconnected(isExplained = false): void {
    if (this.#wire === undefined) return;
    const now = performance.now();
    const written = this.#wire.abandon();
    if (!isExplained) for (const parcel of written) parcel.losses += 1;
    const [again, lost] = [written.filter(isWelcome), written.filter((parcel) => !isWelcome(parcel))];
    this.#waiting = [...again, ...this.#waiting];
    this.#alone = undefined;
    this.#wire = undefined;
    for (const parcel of this.#waiting) parcel.waitsSince = now;
    this.#watch();
    for (const parcel of lost) this.#over(parcel, this.#unwelcome());
    if (lost.length > 0) this.#init.changed();
  }

  /** Said once for each that was written. Who waits for room is told by the wire, which knows when the last answer of many is read. */
  answered(parcel: P, what: Answer | Error): void {
    this.#over(parcel, what);
    if (this.#alone !== parcel) return;
    this.#alone = undefined;
    this.flush();
  }

  /** Everything that is under way is over; what comes later goes on. */
  fail(what: Answer | Error): void {
    const all = this.#takeAll();
    this.#watch();
    for (const parcel of all) this.#over(parcel, what);
    if (all.length > 0) this.#init.changed();
  }

  /** Takes out the first that waits and is to blame for something: whoever asks ends it by answered(). */
  takeWaiting(isToBlame: (parcel: P) => boolean): P | undefined {
    const found = this.#waiting.find(isToBlame);
    if (found === undefined) return undefined;
    this.#waiting = this.#waiting.filter((parcel) => parcel !== found);
    this.#watch();
    return found;
  }

  /** Everything that is under way, and everything that comes, fails. */
  end(error: Error): void {
    this.#end ??= error;
    const all = this.#takeAll();
    this.#watch();
    for (const parcel of all) this.#over(parcel, parcel.wasWritten ? this.#unknown() : error);
  }

  /** Resolves when nothing is under way any more. */
  whenIdle(): Promise<void> {
    if (this.#pending === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #write(parcel: P): boolean {
    if (this.#alone !== undefined) return false;
    try {
      if (this.#wire?.write(parcel) !== true) return false;
      parcel.wasWritten = true;
      if (parcel.losses >= LOSSES_ALONE) this.#alone = parcel;
    } catch (error) {
      setImmediate(() => {
        this.#over(parcel, error as Error);
        this.#init.changed();
      });
    }
    return true;
  }

  /** What was written comes before what waits. */
  #takeAll(): P[] {
    const all = [...(this.#wire?.abandon() ?? []), ...this.#waiting];
    this.#waiting = [];
    this.#alone = undefined;
    return all;
  }

  /** While there is no connection for something, its patience is measured. */
  #watch(): void {
    if (this.#waiting.length > 0 && this.#wire === undefined)
      this.#look ??= setInterval(() => this.#giveUp(), LOOK_MS).unref();
    else {
      clearInterval(this.#look);
      this.#look = undefined;
    }
  }

  #giveUp(): void {
    const latest = performance.now() - PATIENCE_MS;
    const tired = this.#waiting.filter(({ waitsSince }) => waitsSince < latest);
    if (tired.length === 0) return;
    this.#waiting = this.#waiting.filter(({ waitsSince }) => waitsSince >= latest);
    for (const parcel of tired)
      this.#over(parcel, parcel.wasWritten ? this.#unknown() : this.#disconnected());
    this.#watch();
    this.#init.changed();
  }

  #over(parcel: P, what: Answer | Error): void {
    this.#bytes -= parcel.bytes;
    this.#pending -= 1;
    parcel.over(what);
    if (this.#pending > 0) return;
    this.#init.hold(false);
    const idle = this.#idle;
    this.#idle = [];
    for (const listener of idle) listener();
  }

  #unknown(): NaruError {
    return this.#error(
      'NARU_OUTCOME_UNKNOWN',
      'the connection broke before the server had confirmed it: it may or may not have arrived',
    );
  }

  #unwelcome(): NaruError {
    return this.#error(
      'NARU_OUTCOME_UNKNOWN',
      `${LOSSES_MAX} connections broke after it was written, and none had confirmed it. The server may not take it (is it too large?): its log says why`,
    );
  }

  #disconnected(): NaruError {
    return this.#error(
      'NARU_DISCONNECTED',
      `there was no connection for ${PATIENCE_MS} ms; is the server running?`,
    );
  }

  #error(code: 'NARU_OUTCOME_UNKNOWN' | 'NARU_DISCONNECTED', what: string): NaruError {
    const { place, text } = this.#init;
    return new NaruError(code, `${text}: ${what}`, { place, mailbox: text });
  }
}

function isWelcome({ losses }: { readonly losses: number }): boolean {
  return losses < LOSSES_MAX;
}
