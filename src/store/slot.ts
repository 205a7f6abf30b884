// One item inside the store: the records that queues, levels, keys and deadlines share. Data only; whoever holds a slot
// in a certain state is the only one that changes it.

import type { Deque } from './deque.ts';
import type { Heap } from './heap.ts';
import type { Entry, ItemMeta } from './types.ts';

/** Where a slot is: see docs/internals/store.md. */
export const SlotState = { ready: 0, parked: 1, delayed: 2, flying: 3, gone: 4 } as const;
export type SlotState = (typeof SlotState)[keyof typeof SlotState];

/** deliver all: the copies of one item count once against the capacity, until the last is settled. */
export interface Held {
  /** Copies that are not settled yet. */
  copies: number;
  /** Those of them that are in flight. */
  flying: number;
  /** A consumer took it at least once, or its loss was told: nobody need count it as lost any more. */
  accounted: boolean;
  /** It is kept for late subscribers. */
  retained: boolean;
}

/** The queue a slot is in, as far as the slot's deadline is concerned. */
export interface SlotKeeper<T> {
  /** The deadline is reached. */
  due(slot: Slot<T>, now: number): void;
}

/** The table a slot is in while it flies. */
export interface FlightTable<T> {
  remove(token: number): Slot<T> | undefined;
}

/** The ready items of one priority. */
export interface Level<T> {
  readonly priority: number;
  /** In the order they were offered; may hold slots that are not ready any more (skipped, and swept when they are many). */
  readonly fresh: Deque<Slot<T>>;
  /** Ready again, by sequence; every slot here has `more`. */
  readonly returned: Heap<Slot<T>>;
  /** Ready slots in both. */
  live: number;
  /** Place among the levels that may have something; -1 = not listed. */
  index: number;
}

/** What only slots with a deadline, a key or a past need: kept apart so that the common slot stays small. */
export interface More<T> {
  readonly keeper: SlotKeeper<T>;
  flights: FlightTable<T> | undefined;
  /** When it expires by its ttl; Infinity = never. */
  expiresAt: number;
  /** delayed: when it becomes ready. */
  dueAt: number;
  /** The next moment at which something happens to it; its place in the heap of deadlines. */
  at: number;
  atIndex: number;
  /** Its place in the heap of returned or of parked slots. */
  orderIndex: number;
  /** Its place in the heap by age (drop-oldest only). */
  ageIndex: number;
  key: KeyState<T> | undefined;
}

/** One ordering key: at most one of its items is ready or flying, the others are parked. */
export interface KeyState<T> {
  readonly name: string;
  /** The one that is ready, is flying, or comes back after a delay. */
  current: Slot<T> | undefined;
  /** Made when two items meet; most keys never need it. */
  parked: Heap<Slot<T>> | undefined;
}

/** An item in one queue. A slot that comes back is a new slot: the old entry stays what the consumer saw. */
export interface Slot<T> extends Entry<T> {
  item: T;
  meta: ItemMeta;
  token: number;
  /** The store's own count of offers: the order of first deliveries. */
  readonly sequence: number;
  /** When it was offered: whole milliseconds since the store was made (small integers need no box). */
  readonly since: number;
  readonly level: Level<T>;
  readonly held: Held | undefined;
  state: SlotState;
  more: More<T> | undefined;
}

/** A slot that has not been queued yet. */
export function newSlot<T>(
  item: T,
  meta: ItemMeta,
  deliveries: number,
  sequence: number,
  since: number,
  level: Level<T>,
  held: Held | undefined,
): Slot<T> {
  return {
    item,
    meta,
    deliveries,
    token: 0,
    sequence,
    since,
    level,
    held,
    state: SlotState.ready,
    more: undefined,
  };
}

const NO_META: ItemMeta = { sizeBytes: 0 };

/** A slot that was removed may stay in its ring for a while: what it held must not. */
export function forget<T>(slot: Slot<T>): void {
  slot.item = undefined as T;
  slot.meta = NO_META;
}

/** The rare part of a slot, made at first need. */
export function moreOf<T>(slot: Slot<T>, keeper: SlotKeeper<T>): More<T> {
  slot.more ??= {
    keeper,
    flights: undefined,
    expiresAt: Number.POSITIVE_INFINITY,
    dueAt: 0,
    at: 0,
    atIndex: -1,
    orderIndex: -1,
    ageIndex: -1,
    key: undefined,
  };
  return slot.more;
}

/** Delivery order: the more urgent first, then the older. */
export function comesBefore<T>(a: Slot<T>, b: Slot<T>): boolean {
  return a.level === b.level ? a.sequence < b.sequence : a.level.priority > b.level.priority;
}

/** Tells a slot its place in a heap by delivery order. */
export function setOrderIndex<T>(slot: Slot<T>, index: number): void {
  if (slot.more !== undefined) slot.more.orderIndex = index;
}
