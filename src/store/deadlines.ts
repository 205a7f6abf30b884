// Every moment at which something happens to a slot by itself (its delay or lease is over, it expires), in one heap with
// one timer for the earliest. What happens then is the queue's business.

import { Heap } from './heap.ts';
import type { More, Slot } from './slot.ts';
import type { Clock } from './types.ts';

export class Deadlines<T> {
  readonly #clock: Clock;
  readonly #fire: () => void;
  readonly #heap = new Heap<Slot<T>>(earlier, setAtIndex);
  #armedAt = Number.POSITIVE_INFINITY;
  #cancel: (() => void) | undefined;
  #stopped = false;

  /** @param fire  called by the timer when a slot may be due; it must call due() until that gives nothing */
  constructor(clock: Clock, fire: () => void) {
    this.#clock = clock;
    this.#fire = fire;
  }

  get size(): number {
    return this.#heap.size;
  }

  /** Slots with a deadline, in no particular order. */
  get slots(): readonly Slot<T>[] {
    return this.#heap.items;
  }

  /** Sets a slot's next deadline; Infinity = none. */
  set(slot: Slot<T>, more: More<T>, at: number): void {
    this.clear(slot);
    if (at === Number.POSITIVE_INFINITY) return;
    more.at = at;
    this.#heap.push(slot);
    this.#arm();
  }

  clear(slot: Slot<T>): void {
    // The timer stays as it is: leases that are settled in time would otherwise cost a timer each.
    if (slot.more !== undefined && slot.more.atIndex >= 0) this.#heap.remove(slot.more.atIndex);
  }

  /** Takes out the earliest slot whose deadline is reached. */
  due(now: number): Slot<T> | undefined {
    const top = this.#heap.top();
    return top !== undefined && timeOf(top) <= now ? this.#heap.pop() : undefined;
  }

  /** Cancels the timer for good; slots stay. */
  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #arm(): void {
    const top = this.#heap.top();
    if (top === undefined || this.#stopped || timeOf(top) >= this.#armedAt) return;
    this.#cancel?.();
    this.#armedAt = timeOf(top);
    this.#cancel = this.#clock.schedule(this.#armedAt, () => {
      this.#cancel = undefined;
      this.#armedAt = Number.POSITIVE_INFINITY;
      this.#fire();
      this.#arm();
    });
  }
}

function timeOf<T>(slot: Slot<T>): number {
  return slot.more?.at ?? Number.POSITIVE_INFINITY;
}

function earlier<T>(a: Slot<T>, b: Slot<T>): boolean {
  const first = timeOf(a);
  const second = timeOf(b);
  return first === second ? a.sequence < b.sequence : first < second;
}

function setAtIndex<T>(slot: Slot<T>, index: number): void {
  if (slot.more !== undefined) slot.more.atIndex = index;
}
