// The words that the store and those who use it share: what an item is, what a store promises. The store holds a mailbox's
// contents in memory: waiting, in flight, retained. It is pure: clock and timers are given to it, bytes are not its business.

/** What the store must know of an item to queue it; everything optional is off when undefined. */
export interface ItemMeta {
  /** Nothing but the size is given: the store need not look. Never true together with anything below. */
  readonly isPlain?: boolean | undefined;
  /** Counted against capacityBytes. */
  readonly sizeBytes: number;
  readonly priority?: number | undefined;
  /** Milliseconds from now after which the item may no longer be delivered. */
  readonly ttlMs?: number | undefined;
  /** Milliseconds from now before which the item is not delivered. */
  readonly delayMs?: number | undefined;
  /** Ordering key: of the items with one key at most one consumer has any in flight. */
  readonly key?: string | undefined;
  /** Identity for dropping duplicates (only looked at when the store has a dedup window). */
  readonly id?: string | undefined;
}

/** Fixed when the store is made. */
export interface StoreOptions {
  /** Room in items; 0 = rendezvous: an item is taken only while a consumer wants one. */
  readonly capacityMessages: number;
  readonly capacityBytes: number;
  readonly deliver: 'one' | 'all';
  /** drop-oldest: a full store makes room by dropping what waits longest; anything else: a full store answers `full`. */
  readonly dropOldest: boolean;
  /** deliver all, nobody subscribed: keep for the first subscriber (`keep`) or count and drop. Default for all: drop. */
  readonly keepForNobody: boolean;
  /** Topic: how many last items late subscribers get. */
  readonly retain: number;
  /** Ids remembered to drop duplicates; 0 = off. */
  readonly dedup: number;
  /** Items not settled for so long come back; 0 = never. */
  readonly leaseMs: number;
  readonly priorityMin: number;
  readonly priorityMax: number;
}

/** Time, as the store gets it. */
export interface Clock {
  /** Milliseconds; only differences matter. */
  now(): number;
  /** The same as it was at some moment of this turn of the event loop: cheaper, and good enough for what is only shown. */
  recent?(): number;
  /** Calls `fn` once at or after `atMs`. The timer must not keep the process alive. @returns a function that cancels it */
  schedule(atMs: number, fn: () => void): () => void;
}

/** What became of an offered item. */
export type OfferResult = 'taken' | 'full' | 'dropped' | 'ended';

/** An item in the hands of a consumer. */
export interface Entry<T> {
  readonly item: T;
  readonly meta: ItemMeta;
  /** 1 for a first delivery. */
  readonly deliveries: number;
  /** For settle(); unique within the store while the entry is in flight. */
  readonly token: number;
}

/** ack: gone. requeue: back to its old place, deliveries + 1. reject: gone, told as a drop `rejected`. release: back as if never taken. */
export type SettleOutcome = 'ack' | 'requeue' | 'reject' | 'release';

/** What the store tells its owner; all synchronous, none may throw. */
export interface StoreEvents<T = unknown> {
  /** Room was made after an offer was answered `full` (or, in rendezvous, a consumer wants an item). */
  room(): void;
  /** Items were dropped: `full`, `nobody`, `expired`, `duplicate`, `rejected`. */
  drop(reason: string, count: number): void;
  /**
   * An item is gone for good without an ack: one of the reasons of drop(), or `purged`, or `closed` (the store was disposed
   * of). Told in the middle of an operation: it must not call the store.
   */
  lost?(item: T, reason: string): void;
}

/** A consumer's view of the store. */
export interface Subscription<T> {
  /** Pushes up to `max` entries, best first. Never waits. */
  take(max: number, out: Entry<T>[]): number;
  /** The same, but pushes what `make` makes of each entry: saves the list between. */
  takeAs<D>(max: number, out: D[], make: (entry: Entry<T>) => D): number;
  /** How many more the consumer would take now. `ready` is called while this is > 0 and take() would give something. */
  want(count: number): void;
  /** @returns false when the token is not in flight (settled before, lease over) */
  settle(token: number, outcome: SettleOutcome, delayMs: number): boolean;
  /** Settles many with `ack`; those that are not in flight are passed over. */
  ackAll(entries: readonly { readonly token: number }[]): void;
  /** What is in flight by a token; undefined when it is not: settled before, or the lease is over. */
  flight(token: number): Entry<T> | undefined;
  /** Everything in flight, in the order it was offered. */
  flights(): Entry<T>[];
  /** How many these are. */
  readonly flying: number;
  /** Starts the lease anew. @returns false when the token is not in flight */
  extend(token: number, ms: number): boolean;
  /** True once the store was ended and this subscription can never get anything more. */
  readonly ended: boolean;
  /** What is in flight goes back (deliveries + 1: it had been handed out); tokens in `unseen` go back as released. */
  close(unseen?: Iterable<number>): void;
}

/** Numbers of a store. */
export interface StoreStats {
  readonly depth: number;
  readonly depthBytes: number;
  readonly unsettled: number;
  readonly consumers: number;
  readonly dropped: Readonly<Record<string, number>>;
  /** Age of the oldest waiting item in milliseconds; 0 when empty. */
  readonly oldestAgeMs: number;
}

/** The mailbox's contents. `Store` in store.ts implements it; several subscriptions compete (one) or each get all (all). */
export interface ItemStore<T> {
  offer(item: T, meta: ItemMeta): OfferResult;
  /**
   * Sets room aside for an item of this size that comes later; drops the oldest for it where offer() would.
   * @returns false when there is none: then room() is called as after an offer answered `full`. Never with capacityMessages 0
   */
  reserve(sizeBytes: number): boolean;
  /** Gives the room of one reserve() back. An offer of no more bytes right after it finds room. */
  unreserve(sizeBytes: number): void;
  /** @param options.group  deliver all: subscriptions of one group share one copy */
  subscribe(
    ready: () => void,
    options?: { group?: string | undefined; from?: 'now' | 'start' | undefined },
  ): Subscription<T>;
  /** No more offers; subscriptions end when they are empty. */
  end(): void;
  readonly isEnded: boolean;
  /** Items that count against capacityMessages: waiting, in flight, and room set aside. */
  readonly held: number;
  /** Their bytes, which count against capacityBytes. */
  readonly heldBytes: number;
  peek(max: number): Entry<T>[];
  /** @returns how many waiting items were removed */
  purge(): number;
  stats(): StoreStats;
  /** Drops everything and cancels every timer. */
  dispose(): void;
}
