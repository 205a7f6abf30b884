// A virtual clock and a store on it, for the tests of the store. Not part of the package's behaviour.

import { Store } from './store.ts';
import type { Clock, Entry, ItemMeta, OfferResult, StoreOptions, Subscription } from './types.ts';

/** Time that only moves when a test moves it. */
export class VirtualClock implements Clock {
  readonly #timers = new Map<number, { readonly at: number; readonly fn: () => void }>();
  #now = 0;
  #next = 0;

  now(): number {
    return this.#now;
  }

  /** Timers that are scheduled and not cancelled. */
  get timers(): number {
    return this.#timers.size;
  }

  schedule(atMs: number, fn: () => void): () => void {
    this.#next += 1;
    const id = this.#next;
    this.#timers.set(id, { at: atMs, fn });
    return () => this.#timers.delete(id);
  }

  /** Moves time on, firing timers at their moments in order. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      let first: readonly [number, { readonly at: number; readonly fn: () => void }] | undefined;
      for (const entry of this.#timers) {
        if (entry[1].at <= until && (first === undefined || entry[1].at < first[1].at)) first = entry;
      }
      if (first === undefined) break;
      this.#timers.delete(first[0]);
      this.#now = Math.max(this.#now, first[1].at);
      first[1].fn();
    }
    this.#now = until;
  }
}

/** What a store does unless a test says otherwise. */
export const PLAIN: StoreOptions = {
  capacityMessages: 1000,
  capacityBytes: 1_000_000,
  deliver: 'one',
  dropOldest: false,
  keepForNobody: false,
  retain: 0,
  dedup: 0,
  leaseMs: 0,
  priorityMin: 0,
  priorityMax: 9,
};

/** A store on a virtual clock with everything it told written down. */
export interface Bench {
  readonly store: Store<string>;
  readonly clock: VirtualClock;
  /** How often room() was called. */
  readonly rooms: () => number;
  /** Drops told, by reason. */
  readonly drops: Record<string, number>;
  /** Offers an item of 1 byte. */
  readonly send: (item: string, meta?: Partial<ItemMeta>) => OfferResult;
  /** Subscribes and counts calls of ready(). */
  readonly join: (options?: Parameters<Store<string>['subscribe']>[1]) => Guest;
}

/** A subscription of a test. */
export interface Guest {
  readonly sub: Subscription<string>;
  readonly calls: () => number;
  /** Takes up to `max` entries. */
  readonly entries: (max?: number) => Entry<string>[];
  /** Takes up to `max` items and acks them. */
  readonly items: (max?: number) => string[];
}

export function makeBench(options: Partial<StoreOptions> = {}): Bench {
  const clock = new VirtualClock();
  const drops: Record<string, number> = {};
  let rooms = 0;
  const store = new Store<string>({ ...PLAIN, ...options }, clock, {
    room: () => {
      rooms += 1;
    },
    drop: (reason, count) => {
      drops[reason] = (drops[reason] ?? 0) + count;
    },
  });
  return {
    store,
    clock,
    drops,
    rooms: () => rooms,
    send: (item, meta = {}) => store.offer(item, { sizeBytes: 1, ...meta }),
    join: (joinOptions) => makeGuest(store, joinOptions),
  };
}

function makeGuest(store: Store<string>, options: Parameters<Store<string>['subscribe']>[1]): Guest {
  let calls = 0;
  const sub = store.subscribe(() => {
    calls += 1;
  }, options);
  const entries = (max = 1000): Entry<string>[] => {
    const out: Entry<string>[] = [];
    sub.take(max, out);
    return out;
  };
  return {
    sub,
    calls: () => calls,
    entries,
    items: (max) =>
      entries(max).map((entry) => {
        sub.settle(entry.token, 'ack', 0);
        return entry.item;
      }),
  };
}
