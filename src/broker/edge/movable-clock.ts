// The broker's clock: the system's, moved on by tests. One timer of the system for the earliest of all that are scheduled.

import { Heap } from '../../store/heap.ts';
import type { Clock } from '../clock.ts';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly fn: () => void;
  index: number;
}

const TIMER_MS_MAX = 2 ** 31 - 1;

export class MovableClock implements Clock {
  #offsetMs = 0;
  #order = 0;
  #armed: NodeJS.Timeout | undefined;
  #armedAt = Infinity;
  readonly #timers = new Heap<Timer>(
    (a, b) => a.at < b.at || (a.at === b.at && a.order < b.order),
    (timer, index) => {
      timer.index = index;
    },
  );

  now(): number {
    return performance.now() + this.#offsetMs;
  }

  wallMs(): number {
    return Date.now() + this.#offsetMs;
  }

  schedule(atMs: number, fn: () => void): () => void {
    this.#order += 1;
    const timer: Timer = { at: atMs, order: this.#order, fn, index: -1 };
    this.#timers.push(timer);
    this.#arm();
    return () => {
      if (timer.index >= 0) this.#timers.remove(timer.index);
    };
  }

  /** Moves time on; what comes due by it happens before this returns, in its order and at its time. */
  advance(ms: number): void {
    const target = this.now() + ms;
    for (let top = this.#timers.top(); top !== undefined && top.at <= target; top = this.#timers.top()) {
      this.#offsetMs += Math.max(0, top.at - this.now());
      this.#timers.pop();
      top.fn();
    }
    this.#offsetMs += Math.max(0, target - this.now());
    this.#arm();
  }

  /** Forgets all that is scheduled. */
  stop(): void {
    clearTimeout(this.#armed);
    while (this.#timers.pop() !== undefined);
  }

  #arm(): void {
    const top = this.#timers.top();
    if (top === undefined || (this.#armed !== undefined && this.#armedAt <= top.at)) return;
    clearTimeout(this.#armed);
    this.#armedAt = top.at;
    const delay = Math.min(TIMER_MS_MAX, Math.max(0, Math.ceil(top.at - this.now())));
    this.#armed = setTimeout(() => this.#fire(), delay).unref();
  }

  #fire(): void {
    this.#armed = undefined;
    const now = this.now();
    for (let top = this.#timers.top(); top !== undefined && top.at <= now; top = this.#timers.top()) {
      this.#timers.pop();
      top.fn();
    }
    this.#arm();
  }
}
