// Messages on their way to an engine that answers each of them: what was written and not answered when the connection broke is written
// once more on the next one, in its order; whoever waits for it waits so long and no longer. It knows nothing of any protocol.

import { NaruError } from '../errors/index.ts';

/** How long a message waits for a connection before its send fails, in milliseconds. */
const PATIENCE_MS = 30_000;
const LOOK_MS = 500;

/** A message on its way. */
export interface Parcel {
  readonly bytes: number;
  /** How it ended: the engine has it, or why not. Called once. */
  readonly over: (error?: Error) => void;
}

/** Writes to one connection. */
export interface Wire<P extends Parcel> {
  /** @returns what its answer is known by; undefined when nothing more may be written now */
  write(parcel: P): unknown;
}

export interface OutboxInit {
  readonly place: string;
  readonly text: string;
  /** Keeps the process alive while something is under way. */
  readonly hold: (isNeeded: boolean) => void;
  /** Some were answered: there is room. */
  readonly changed: () => void;
}

interface Entry<P> {
  readonly parcel: P;
  wasWritten: boolean;
  /** Since when there has been no connection for it. */
  waitsSince: number;
}

export class Outbox<P extends Parcel> {
  readonly #init: OutboxInit;
  #wire: Wire<P> | undefined;
  readonly #written = new Map<unknown, Entry<P>>();
  #waiting: Entry<P>[] = [];
  #bytes = 0;
  #look: NodeJS.Timeout | undefined;
  #end: Error | undefined;
  #idle: (() => void)[] = [];

  constructor(init: OutboxInit) {
    this.#init = init;
  }

  /** Messages that are not answered. */
  get pending(): number {
    return this.#written.size + this.#waiting.length;
  }

  get pendingBytes(): number {
    return this.#bytes;
  }

  /** Messages that are not written yet. */
  get waiting(): number {
    return this.#waiting.length;
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
    this.#bytes += parcel.bytes;
    if (this.pending === 0) this.#init.hold(true);
    const entry = { parcel, wasWritten: false, waitsSince: performance.now() };
    if (this.#waiting.length > 0 || !this.#write(entry)) this.#waiting.push(entry);
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
    while (count < this.#waiting.length && this.#write(this.#waiting[count] as Entry<P>)) count += 1;
    if (count > 0) this.#waiting = this.#waiting.slice(count);
    this.#watch();
  }

  /** The connection is lost: nothing that was written on it will be answered. */
  disconnected(): void {
    this.#wire = undefined;
    const now = performance.now();
    const written = [...this.#written.values()];
    this.#written.clear();
    this.#waiting = [...written, ...this.#waiting];
    for (const entry of this.#waiting) entry.waitsSince = now;
    this.#watch();
  }

  /** @param key  what write() returned; an unknown one counts nothing */
  answered(key: unknown, error?: Error): void {
    const entry = this.#written.get(key);
    if (entry === undefined) return;
    this.#written.delete(key);
    this.#over(entry, error);
    this.#init.changed();
  }

  /** Everything that is under way fails; what comes later goes on. */
  fail(error: Error): void {
    const all = [...this.#written.values(), ...this.#waiting];
    this.#written.clear();
    this.#waiting = [];
    this.#watch();
    for (const entry of all) this.#over(entry, error);
    if (all.length > 0) this.#init.changed();
  }

  /** Everything that is under way, and everything that comes, fails. */
  end(error: Error): void {
    this.#end ??= error;
    const all = [...this.#written.values(), ...this.#waiting];
    this.#written.clear();
    this.#waiting = [];
    this.#watch();
    for (const entry of all) this.#over(entry, entry.wasWritten ? this.#unknown() : error);
  }

  /** Resolves when nothing is under way any more. */
  whenIdle(): Promise<void> {
    if (this.pending === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #write(entry: Entry<P>): boolean {
    const key = this.#wire?.write(entry.parcel);
    if (key === undefined) return false;
    entry.wasWritten = true;
    this.#written.set(key, entry);
    return true;
  }

  /** While there is no connection for something, its patience is measured. */
  #watch(): void {
    if (this.#waiting.length > 0 && this.#wire === undefined && this.#end === undefined)
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
    for (const entry of tired) this.#over(entry, entry.wasWritten ? this.#unknown() : this.#disconnected());
    this.#watch();
    this.#init.changed();
  }

  #over({ parcel }: Entry<P>, error?: Error): void {
    this.#bytes -= parcel.bytes;
    parcel.over(error);
    if (this.pending > 0) return;
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
