// Messages that wait in an x-delayed-message exchange: one heap, one timer for the earliest.

import { Heap } from '../store/heap.ts';
import type { Clock } from './clock.ts';

interface Waiting {
  readonly at: number;
  readonly order: number;
  readonly due: () => void;
}

export class Delays {
  readonly #clock: Clock;
  readonly #heap = new Heap<Waiting>(
    (a, b) => a.at < b.at || (a.at === b.at && a.order < b.order),
    () => undefined,
  );
  #order = 0;
  #armedAt = Infinity;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#heap.size;
  }

  /** Calls `due` in so many milliseconds; of two with the same time the first added comes first. */
  add(delayMs: number, due: () => void): void {
    this.#order += 1;
    this.#heap.push({ at: this.#clock.now() + delayMs, order: this.#order, due });
    this.#arm();
  }

  /** Forgets all of them. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    while (this.#heap.pop() !== undefined);
  }

  #arm(): void {
    const top = this.#heap.top();
    if (top === undefined || top.at >= this.#armedAt) return;
    this.#cancel?.();
    this.#armedAt = top.at;
    this.#cancel = this.#clock.schedule(top.at, () => {
      this.#armedAt = Infinity;
      this.#cancel = undefined;
      const now = this.#clock.now();
      for (let next = this.#heap.top(); next !== undefined && next.at <= now; next = this.#heap.top()) {
        this.#heap.pop();
        next.due();
      }
      this.#arm();
    });
  }
}
