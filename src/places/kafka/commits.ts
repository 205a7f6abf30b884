// Moves the committed offsets of a group: one request at a time, each with the newest position of every partition that moved. What is
// settled meanwhile goes into the next one.

import { goneElsewhere, translate } from './failures.ts';
import { GROUP } from './limits.ts';
import type { Window } from './window.ts';

type Done = (error?: Error) => void;

/** Somebody who is to be told when the group has it. */
interface Waiting {
  readonly done: Done;
  /** Told at this time of performance.now() that it has not. */
  readonly until: number;
}

/** How long after a failure it is tried again, in milliseconds. */
const AGAIN_MS = 500;
/** How long an ack waits for brokers that are away, in milliseconds. */
const PATIENCE_MS = 10_000;

export interface CommitsInit {
  readonly text: string;
  readonly commit: (positions: ReadonlyMap<number, number>) => Promise<void>;
  readonly trouble: (error: unknown) => void;
}

export class Commits {
  readonly #init: CommitsInit;
  readonly #moved = new Set<Window>();
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #soon: NodeJS.Immediate | undefined;
  #again: NodeJS.Timeout | undefined;
  /** For those that nobody waits for. */
  #later: NodeJS.Timeout | undefined;
  /** When the last request began, by performance.now(). */
  #begun = Number.NEGATIVE_INFINITY;

  constructor(init: CommitsInit) {
    this.#init = init;
  }

  /**
   * @param window  where the position moved; undefined: it did not, because something before is not settled, or nobody remembers it
   * @param done    told when the group has it; at once where nothing moved
   */
  add(window: Window | undefined, done: Done | undefined): void {
    if (window === undefined) {
      if (done !== undefined) setImmediate(done);
      return;
    }
    this.#moved.add(window);
    if (done !== undefined) {
      this.#waiting.push({ done, until: performance.now() + PATIENCE_MS });
      this.#soon ??= setImmediate(() => this.flush());
    } else if (this.#soon === undefined && this.#later === undefined) this.#pace();
  }

  /** At once where it has been quiet, else in a moment: a fast consumer would otherwise ask for a commit with every fetch. */
  #pace(): void {
    const due = this.#begun + GROUP.commitMs - performance.now();
    if (due <= 0) this.#soon = setImmediate(() => this.flush());
    else this.#later = setTimeout(() => this.flush(), due).unref();
  }

  /** Whether somebody waits to be told. */
  get isAwaited(): boolean {
    return this.#waiting.length > 0 || this.#running !== undefined;
  }

  /** The partition is another consumer's now. */
  forget(window: Window): void {
    this.#moved.delete(window);
  }

  /** Begins with what there is, unless a request is under way. */
  flush(): void {
    clearImmediate(this.#soon);
    clearTimeout(this.#later);
    this.#soon = undefined;
    this.#later = undefined;
    if (this.#running !== undefined || this.#moved.size === 0) {
      // Their partitions went to others before the group was told.
      if (this.#moved.size === 0 && this.#running === undefined) this.#giveUp();
      return;
    }
    clearTimeout(this.#again);
    this.#running = this.#commit().finally(() => {
      this.#running = undefined;
      if (this.#moved.size === 0 || this.#again !== undefined) return;
      if (this.#waiting.length > 0) this.flush();
      else if (this.#soon === undefined && this.#later === undefined) this.#pace();
    });
  }

  /** Resolves when everything is committed, or failed. */
  async whenIdle(): Promise<void> {
    this.flush();
    while (this.#running !== undefined) {
      await this.#running;
      if (this.#again !== undefined) return;
      this.flush();
    }
  }

  close(): void {
    clearImmediate(this.#soon);
    clearTimeout(this.#later);
    clearTimeout(this.#again);
    this.#giveUp();
  }

  #giveUp(): void {
    for (const { done } of this.#waiting.splice(0)) done(goneElsewhere(this.#init.text));
  }

  async #commit(): Promise<void> {
    this.#again = undefined;
    this.#begun = performance.now();
    const windows = Array.from(this.#moved);
    const waiting = this.#waiting;
    const positions = new Map(windows.map((window) => [window.partition, window.position]));
    this.#moved.clear();
    this.#waiting = [];
    try {
      await this.#init.commit(positions);
      for (const { done } of waiting) done();
    } catch (error) {
      this.#init.trouble(error);
      // Settled all the same: without another attempt the group would get it again.
      for (const window of windows) if (!window.isLost) this.#moved.add(window);
      this.#keepWaiting(waiting, error);
      this.#again = setTimeout(() => {
        this.#again = undefined;
        this.flush();
      }, AGAIN_MS).unref();
    }
  }

  /** Brokers come back: whoever has not waited long goes on waiting. */
  #keepWaiting(waiting: readonly Waiting[], error: unknown): void {
    const now = performance.now();
    const told = translate(error, this.#init.text, false);
    const isPassing = told.code === 'NARU_DISCONNECTED';
    for (const one of waiting) {
      if (isPassing && one.until > now && this.#moved.size > 0) this.#waiting.push(one);
      else one.done(told);
    }
  }
}
