// Child: what the parent holds of a process or worker it started. It starts it, tells of its crashes, starts it again, and
// ends it. What runs inside stands in run.ts.

import { NaruError } from '../errors/index.ts';
import { growingDelay } from '../mailbox/growing-delay.ts';
import { Listeners } from '../mailbox/listeners.ts';
import { errorOf } from './error-report.ts';
import type { ChildReport } from './messages.ts';
import type { Settings } from './options.ts';
import { startProcess, startWorker, type Vessel, type VesselEnd } from './vessel.ts';

/** How a start of a child ended. All clear of code 0 is a crash, unless stop() was called. */
export interface ChildExit {
  /** The exit code; null when a signal killed it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What its function or its module threw, if it did. */
  readonly error: Error | undefined;
  /** How many times it was started again. */
  readonly restarts: number;
}

/** A crash: the child ended without having finished, and nobody had asked it to. */
export interface ChildCrash extends ChildExit {
  /** When it will be started again, in milliseconds; undefined: it will not. */
  readonly restartInMs: number | undefined;
}

/** Events of a child and what each carries. */
export interface ChildEvents {
  crash: ChildCrash;
  restart: { readonly restarts: number; readonly pid: number | undefined };
  /** It is over, for good. */
  exit: ChildExit;
}

/** A child that was started with `spawn()`. Its crashes are events; they end neither its parent nor its siblings. */
export class Child implements AsyncDisposable {
  /** Resolves when it is over for good: it finished, was stopped, or crashed once too often. Never rejects. */
  readonly exited: Promise<ChildExit>;
  readonly #settings: Settings;
  readonly #runtime: URL;
  readonly #random: () => number;
  readonly #listeners = new Listeners<ChildEvents>();
  #resolve!: (exit: ChildExit) => void;
  #vessel: Vessel | undefined;
  #failure: Error | undefined;
  #startedAt = 0;
  #restarts = 0;
  /** Crashes in a row. */
  #crashes = 0;
  #stopping = false;
  #isOver = false;
  #pause: NodeJS.Timeout | undefined;
  /** Ends the wait for the first start. */
  #ready: ((error?: Error) => void) | undefined;

  /** @internal Use `spawn()`. */
  constructor(settings: Settings, runtime: URL, random: () => number = Math.random) {
    this.#settings = settings;
    this.#runtime = runtime;
    this.#random = random;
    this.exited = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Process id of the present start; undefined for a worker, and while there is none. */
  get pid(): number | undefined {
    return this.#vessel?.pid;
  }

  /** Whether it runs at the moment. */
  get isRunning(): boolean {
    return this.#vessel !== undefined;
  }

  /** How many times it was started again. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Listens. @returns a function that takes the listener off */
  on<K extends keyof ChildEvents>(event: K, listener: (detail: ChildEvents[K]) => void): () => void {
    return this.#listeners.on(event, listener);
  }

  /**
   * Asks it to end (its `signal` fires) and kills it when `graceMs` is over. It is not started again.
   * @returns how it ended
   */
  async stop(options: { readonly graceMs?: number } = {}): Promise<ChildExit> {
    if (this.#stopping || this.#isOver) return this.exited;
    this.#stopping = true;
    const vessel = this.#vessel;
    if (vessel === undefined) {
      clearTimeout(this.#pause);
      this.#finish({ code: null, signal: null, error: undefined });
      return this.exited;
    }
    vessel.order({ say: 'stop' });
    const timer = setTimeout(() => vessel.kill('SIGKILL'), options.graceMs ?? this.#settings.graceMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Kills the present start, as a crash would: with `restart` it comes back. A worker is terminated, whatever the signal. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#vessel?.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /**
   * Starts it for the first time. @internal
   * @throws NARU_TIMEOUT, and what its module or the opening of its handles threw
   */
  async start(): Promise<void> {
    const { timeoutMs, module } = this.#settings;
    const timer = setTimeout(() => {
      this.#ready?.(
        new NaruError('NARU_TIMEOUT', `${module}: the child was not ready within ${timeoutMs} ms`),
      );
    }, timeoutMs);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#ready = (error) => (error === undefined ? resolve() : reject(error));
        this.#launch();
      });
    } catch (error) {
      await this.stop({ graceMs: 0 });
      throw error;
    } finally {
      clearTimeout(timer);
      this.#ready = undefined;
    }
  }

  #launch(): void {
    const { module, handles, data, as, env, execArgv } = this.#settings;
    const start = as === 'process' ? startProcess : startWorker;
    this.#failure = undefined;
    this.#startedAt = performance.now();
    const vessel = start(
      { runtime: this.#runtime, env, execArgv },
      // The end may come with the report that it is ready: whoever awaited that is to hear of the end.
      { report: (report) => this.#onReport(report), end: (end) => setImmediate(() => this.#onEnd(end)) },
    );
    this.#vessel = vessel;
    vessel.order({ say: 'start', module, handles, data, attempt: this.#restarts, parentPid: process.pid });
  }

  #onReport(report: ChildReport): void {
    if (report.say === 'failed') this.#failure = errorOf(report.error);
    else {
      this.#ready?.();
      this.#ready = undefined;
    }
  }

  #onEnd({ code, signal, error }: VesselEnd): void {
    this.#vessel = undefined;
    const end = { code, signal, error: this.#failure ?? error };
    if (this.#ready !== undefined) this.#ready(end.error ?? this.#endedEarly(code, signal));
    if (this.#stopping || this.#ready !== undefined || (code === 0 && end.error === undefined)) {
      this.#finish(end);
      return;
    }
    const { restart } = this.#settings;
    if (performance.now() - this.#startedAt >= restart.healthyMs) this.#crashes = 0;
    this.#crashes += 1;
    const restartInMs = this.#crashes > restart.attempts ? undefined : this.#nextDelay();
    this.#emit('crash', { ...end, restarts: this.#restarts, restartInMs });
    if (restartInMs === undefined || this.#stopping) this.#finish(end);
    else this.#pause = setTimeout(() => this.#restart(), restartInMs);
  }

  #restart(): void {
    this.#restarts += 1;
    this.#launch();
    this.#emit('restart', { restarts: this.#restarts, pid: this.pid });
  }

  #nextDelay(): number {
    const { restart } = this.#settings;
    return Math.min(restart.delayMsMax, growingDelay(this.#crashes, restart, this.#random()));
  }

  #endedEarly(code: number | null, signal: NodeJS.Signals | null): NaruError {
    const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
    return new NaruError(
      'NARU_PEER_GONE',
      `${this.#settings.module}: the child ended ${how} before it was ready`,
    );
  }

  #finish(end: Omit<ChildExit, 'restarts'>): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const exit = { ...end, restarts: this.#restarts };
    this.#emit('exit', exit);
    this.#resolve(exit);
  }

  /** A crash that nobody listens to becomes a warning. */
  #emit<K extends keyof ChildEvents>(event: K, detail: ChildEvents[K]): void {
    const isHeard = this.#listeners.tell(event, detail, (error) => {
      process.emitWarning(error instanceof Error ? error : String(error), 'NaruWarning');
    });
    if (isHeard || event !== 'crash') return;
    const { code, signal, error } = detail as ChildCrash;
    const how = error?.message ?? (signal === null ? `exit code ${code}` : signal);
    process.emitWarning(`${this.#settings.module}: the child crashed: ${how}`, 'NaruWarning');
  }
}
