// Calls of one handle that wait, in order, each with its own deadline and abort. What they wait for is the caller's business.

import { type WaitLimits, watchLimits } from '../mailbox/waiting.ts';

interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
  readonly stop: () => void;
  /** It was asked to wait for ever. */
  readonly isEndless: boolean;
  /** What it gets, if it may go on now. */
  readonly attempt: () => T | undefined;
}

export class WaitQueue<T> {
  readonly #name: string;
  readonly #what: string;
  readonly #counted: (count: number) => void;
  readonly #waiting = new Set<Waiting<T>>();

  /**
   * @param what     completes "<name>: … within n ms"
   * @param counted  told how many wait, whenever that changes
   */
  constructor(name: string, what: string, counted: (count: number) => void) {
    this.#name = name;
    this.#what = what;
    this.#counted = counted;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /**
   * @param attempt  asked by serve(), in the order of waiting
   * @throws NARU_TIMEOUT, the signal's reason, and what rejectAll() is given
   */
  add(limits: WaitLimits, attempt: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const stop = watchLimits(limits, this.#what, this.#name, (error) => {
        this.#remove(entry);
        reject(error);
      });
      const entry: Waiting<T> = { resolve, reject, stop, isEndless: waitsForEver(limits), attempt };
      this.#waiting.add(entry);
      this.#counted(this.#waiting.size);
    });
  }

  /** Lets those go on who can. @param stopAtFirst  who cannot go on keeps all behind it waiting, too */
  serve(stopAtFirst: boolean): void {
    for (const entry of this.#waiting) {
      let value: T | undefined;
      try {
        value = entry.attempt();
      } catch (error) {
        this.rejectAll(error);
        return;
      }
      if (value !== undefined) {
        this.#remove(entry);
        entry.resolve(value);
      } else if (stopAtFirst) return;
    }
  }

  rejectAll(error: unknown): void {
    this.#reject(error, () => true);
  }

  /** Those that would wait for ever. */
  rejectEndless(error: unknown): void {
    this.#reject(error, ({ isEndless }) => isEndless);
  }

  #reject(error: unknown, which: (entry: Waiting<T>) => boolean): void {
    for (const entry of this.#waiting) {
      if (!which(entry)) continue;
      this.#remove(entry);
      entry.reject(error);
    }
  }

  #remove(entry: Waiting<T>): void {
    entry.stop();
    if (this.#waiting.delete(entry)) this.#counted(this.#waiting.size);
  }
}

/** Whether nothing but what it waits for ends a wait. */
export function waitsForEver(limits: WaitLimits): boolean {
  return limits.timeoutMs === undefined && limits.signal === undefined;
}
