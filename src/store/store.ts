// The contents of one mailbox: admission (capacity, duplicates, drop policy), one queue or one for each subscription,
// retained items, and telling consumers and owner what changed. What happens inside a queue is in queue.ts.

import { NaruError } from '../errors/index.ts';
import { Deadlines } from './deadlines.ts';
import { History } from './history.ts';
import { type Home, Queue } from './queue.ts';
import type { Seat } from './seat.ts';
import type { Held, Slot } from './slot.ts';
import type {
  Clock,
  Entry,
  ItemMeta,
  ItemStore,
  OfferResult,
  SettleOutcome,
  StoreEvents,
  StoreOptions,
  StoreStats,
  Subscription,
} from './types.ts';
import { IdWindow } from './window.ts';

const NOTHING_UNSEEN: ReadonlySet<number> = new Set<number>();

/** An in-memory mailbox. Single-threaded and synchronous; not a word to the outside but through `events` and `ready`. */
export class Store<T> implements ItemStore<T> {
  readonly #options: StoreOptions;
  readonly #clock: Clock;
  readonly #events: StoreEvents<T>;
  readonly #home: Home<T>;
  readonly #deadlines: Deadlines<T>;
  readonly #startedAt: number;
  readonly #priorityDefault: number;
  readonly #isRendezvous: boolean;
  readonly #ids: IdWindow | undefined;
  readonly #history: History<T> | undefined;
  readonly #groups = new Map<string, Queue<T>>();
  readonly #dropped: Record<string, number> = {};
  /** One queue (deliver one), or one for each subscription or group (deliver all). */
  readonly #queues: Queue<T>[] = [];
  /** deliver one, and an offer of a plain item needs no more than room. */
  readonly #only: Queue<T> | undefined;
  /** deliver all with keepForNobody: the queue that the next subscriber inherits. It stands in #queues too. */
  #orphan: Queue<T> | undefined;
  #consumers = 0;
  #sequence = 0;
  #held = 0;
  #heldBytes = 0;
  /** What cannot be dropped to make room: room set aside, and, deliver all, items that at least one consumer has in flight. */
  #pinned = 0;
  #pinnedBytes = 0;
  #ended = false;
  /** Size of the smallest item that found no room since room() was last called; -1 = none did. */
  #refusedBytes = -1;
  /** Drops not told yet, by reason. */
  #untold: Map<string, number> | undefined;
  readonly #changed: Queue<T>[] = [];
  #telling = false;

  /**
   * @param options  fixed for the life of the store
   * @param clock    time and timers; at most one timer is scheduled at any moment
   * @param events   called synchronously at the end of the operation that caused them
   */
  constructor(options: StoreOptions, clock: Clock, events: StoreEvents<T>) {
    this.#options = options;
    this.#clock = clock;
    this.#events = events;
    this.#startedAt = clock.now();
    this.#priorityDefault = Math.min(Math.max(0, options.priorityMin), options.priorityMax);
    this.#isRendezvous = options.capacityMessages === 0;
    this.#deadlines = new Deadlines<T>(clock, () => {
      this.#runDue();
      this.#tell();
    });
    this.#home = this.#makeHome();
    if (options.dedup > 0) this.#ids = new IdWindow(options.dedup);
    if (options.deliver === 'one') {
      const queue = new Queue<T>(this.#home);
      this.#queues.push(queue);
      if (!options.dropOldest && !this.#isRendezvous) this.#only = queue;
    }
    if (options.deliver === 'all' && options.retain > 0)
      this.#history = new History<T>(options.retain, options.capacityBytes);
  }

  /**
   * Takes an item in, or says why not.
   * @returns `dropped` when it was a duplicate or nobody is there for it: told by events.drop
   * @throws NARU_INVALID_ARGUMENT  the priority is not an integer of the declared range
   */
  offer(item: T, meta: ItemMeta): OfferResult {
    if (this.#ended) return 'ended';
    if (meta.isPlain === true && this.#offerPlain(item, meta)) return 'taken';
    const priority = this.#priorityOf(meta);
    if (this.#deadlines.size > 0) this.#runDue();
    const result = this.#admit(item, meta, priority);
    if (this.#changed.length > 0 || this.#untold !== undefined) this.#tell();
    if (result !== 'full') return result;
    // Only now, after telling: room() must never come before the answer `full` that it belongs to.
    if (this.#hasRoom(meta.sizeBytes)) return this.offer(item, meta);
    this.#refuse(meta.sizeBytes);
    return 'full';
  }

  reserve(sizeBytes: number): boolean {
    if (this.#isRendezvous) return false;
    if (this.#deadlines.size > 0) this.#runDue();
    const isReserved = this.#hasRoom(sizeBytes) || this.#makeRoom(sizeBytes);
    if (isReserved) this.#setAside(1, sizeBytes);
    if (this.#changed.length > 0 || this.#untold !== undefined) this.#tell();
    if (isReserved) return true;
    if (this.#hasRoom(sizeBytes)) return this.reserve(sizeBytes);
    this.#refuse(sizeBytes);
    return false;
  }

  unreserve(sizeBytes: number): void {
    this.#setAside(-1, -sizeBytes);
    if (this.#isRoomDue()) this.#tell();
  }

  /**
   * A new consumer. deliver all: `from: 'start'` (the default) begins with the retained items; a subscription that joins
   * a group which is there shares what the group has.
   */
  subscribe(
    ready: () => void,
    options: { group?: string | undefined; from?: 'now' | 'start' | undefined } = {},
  ): Subscription<T> {
    const queue = this.#queueFor(options.group, options.from ?? 'start');
    this.#consumers += 1;
    const seat = queue.join(ready);
    return new Consumer<T>(queue, seat, (unseen) => this.#leave(queue, seat, options.group, unseen));
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const queue of this.#queues) this.#mark(queue);
    this.#tell();
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  get held(): number {
    return this.#held;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Waiting items, also those that are delayed or behind their key, oldest first. O(what came back, is parked or delayed + max log max). */
  peek(max: number): Entry<T>[] {
    if (this.#deadlines.size > 0) this.#runDue();
    const found = new Map<number, Slot<T>>();
    for (const queue of this.#queues) queue.visit(max, (slot) => found.set(slot.sequence, slot));
    if (this.#changed.length > 0) this.#tell();
    const oldest = [...found.values()].sort((a, b) => a.sequence - b.sequence).slice(0, Math.max(0, max));
    return oldest.map(({ item, meta, deliveries }) => ({ item, meta, deliveries, token: 0 }));
  }

  purge(): number {
    const removed = new Set<number>();
    for (const queue of this.#queues) {
      for (const slot of this.#waitingOf(queue)) {
        removed.add(slot.sequence);
        queue.discard(slot, 'purged');
      }
      this.#mark(queue);
    }
    this.#history?.clear();
    this.#tell();
    return removed.size;
  }

  /** deliver all: depth is that of the subscription that is furthest behind, unsettled the sum over all. */
  stats(): StoreStats {
    let depth = 0;
    let depthBytes = 0;
    let unsettled = 0;
    let since = Number.POSITIVE_INFINITY;
    for (const queue of this.#queues) {
      depth = Math.max(depth, queue.waiting);
      depthBytes = Math.max(depthBytes, queue.waitingBytes);
      unsettled += queue.flying;
      since = Math.min(since, queue.oldestReady()?.since ?? Number.POSITIVE_INFINITY);
    }
    const age = this.#clock.now() - this.#startedAt - since;
    return {
      depth,
      depthBytes,
      unsettled,
      consumers: this.#consumers,
      dropped: { ...this.#dropped },
      oldestAgeMs: Math.max(0, age),
    };
  }

  dispose(): void {
    this.#ended = true;
    this.#refusedBytes = -1;
    this.#history?.clear();
    for (const queue of this.#queues)
      for (const slot of this.#waitingOf(queue)) queue.discard(slot, 'closed');
    this.#deadlines.stop();
  }

  #makeHome(): Home<T> {
    const { dropOldest, leaseMs } = this.#options;
    return {
      deadlines: this.#deadlines,
      leaseMs,
      byAge: dropOldest,
      isEnded: () => this.#ended,
      now: () => this.#clock.now(),
      runDue: () => this.#runDue(),
      pinned: (slot, isPinned) => {
        this.#pinned += isPinned ? 1 : -1;
        this.#pinnedBytes += isPinned ? slot.meta.sizeBytes : -slot.meta.sizeBytes;
      },
      freed: (slot, reason) => this.#freed(slot, reason),
      dropped: (reason, count) => this.#drop(reason, count),
      touched: (queue) => this.#mark(queue),
      changed: (queue) => {
        if (queue.isCallDue) this.#mark(queue);
        if (this.#changed.length > 0 || this.#untold !== undefined || this.#isRoomDue()) this.#tell();
      },
    };
  }

  /** The common case: a plain item, one queue, room. @returns false when it is another case; nothing has happened then */
  #offerPlain(item: T, meta: ItemMeta): boolean {
    const queue = this.#only;
    const { capacityMessages, capacityBytes } = this.#options;
    const heldBytes = this.#heldBytes + meta.sizeBytes;
    if (queue === undefined || this.#held >= capacityMessages || heldBytes > capacityBytes) return false;
    if (this.#deadlines.size > 0) this.#runDue();
    this.#held += 1;
    this.#heldBytes += meta.sizeBytes;
    this.#sequence += 1;
    queue.addPlain(item, meta, this.#sequence, this.#since(this.#recent()), this.#priorityDefault);
    if (queue.isCallDue) this.#mark(queue);
    if (this.#changed.length > 0 || this.#untold !== undefined) this.#tell();
    return true;
  }

  #priorityOf(meta: ItemMeta): number {
    const { priority } = meta;
    if (priority === undefined) return this.#priorityDefault;
    const { priorityMin, priorityMax } = this.#options;
    if (Number.isInteger(priority) && priority >= priorityMin && priority <= priorityMax) return priority;
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `priority is ${priority}, but must be an integer from ${priorityMin} to ${priorityMax}: send with one in this range`,
    );
  }

  #admit(item: T, meta: ItemMeta, priority: number): OfferResult {
    const { id, sizeBytes } = meta;
    if (this.#ids !== undefined && id !== undefined && this.#ids.has(id)) {
      this.#drop('duplicate', 1);
      this.#events.lost?.(item, 'duplicate');
      return 'dropped';
    }
    if (this.#queues.length === 0) return this.#offerToNobody(item, meta, priority);
    if (!this.#hasRoom(sizeBytes) && !this.#makeRoom(sizeBytes)) return 'full';
    if (this.#ids !== undefined && id !== undefined) this.#ids.add(id);
    // A look at the clock costs as much as the rest: only what depends on the time gets the exact one.
    const isTimed = meta.ttlMs !== undefined || meta.delayMs !== undefined || this.#history !== undefined;
    const now = isTimed ? this.#clock.now() : this.#recent();
    const since = this.#since(now);
    this.#sequence += 1;
    let held: Held | undefined;
    if (this.#options.deliver === 'all') held = this.#hold(item, meta, now, since, this.#queues.length);
    this.#held += 1;
    this.#heldBytes += sizeBytes;
    for (const queue of this.#queues) {
      queue.add(item, meta, now, this.#sequence, since, queue.level(priority), held);
      if (queue.isCallDue) this.#mark(queue);
    }
    return 'taken';
  }

  #since(now: number): number {
    return Math.max(0, Math.floor(now - this.#startedAt));
  }

  #recent(): number {
    return this.#clock.recent === undefined ? this.#clock.now() : this.#clock.recent();
  }

  /** deliver all, nobody subscribed. */
  #offerToNobody(item: T, meta: ItemMeta, priority: number): OfferResult {
    if (this.#options.keepForNobody) {
      this.#orphan = new Queue<T>(this.#home);
      this.#queues.push(this.#orphan);
      return this.#admit(item, meta, priority);
    }
    if (this.#history === undefined) {
      this.#drop('nobody', 1);
      this.#events.lost?.(item, 'nobody');
      return 'dropped';
    }
    if (this.#ids !== undefined && meta.id !== undefined) this.#ids.add(meta.id);
    const now = this.#clock.now();
    this.#sequence += 1;
    this.#hold(item, meta, now, Math.floor(now - this.#startedAt), 0);
    return 'taken';
  }

  /** What the copies of an item share; keeps the item for late subscribers. */
  #hold(item: T, meta: ItemMeta, now: number, since: number, copies: number): Held {
    const held: Held = { copies, flying: 0, accounted: false, retained: this.#history !== undefined };
    if (this.#history !== undefined) {
      const expiresAt = now + (meta.ttlMs ?? Number.POSITIVE_INFINITY);
      const lost = this.#history.add({ item, meta, sequence: this.#sequence, since, expiresAt, held });
      if (lost.length > 0) this.#drop('nobody', lost.length);
      for (const unseen of lost) this.#events.lost?.(unseen, 'nobody');
    }
    return held;
  }

  #setAside(items: 1 | -1, bytes: number): void {
    this.#held += items;
    this.#heldBytes += bytes;
    this.#pinned += items;
    this.#pinnedBytes += bytes;
  }

  /** The answer is `full`: room() is due once this fits. */
  #refuse(sizeBytes: number): void {
    if (this.#refusedBytes < 0 || sizeBytes < this.#refusedBytes) this.#refusedBytes = sizeBytes;
  }

  #hasRoom(sizeBytes: number): boolean {
    if (this.#isRendezvous) return this.#queues.every((queue) => queue.waiting < queue.wanted);
    return (
      this.#held < this.#options.capacityMessages &&
      this.#heldBytes + sizeBytes <= this.#options.capacityBytes
    );
  }

  /** Drops what waits longest until an item of this size fits, if that is the policy and can be done. */
  #makeRoom(sizeBytes: number): boolean {
    if (!this.#options.dropOldest || this.#isRendezvous || !this.#canMakeRoom(sizeBytes)) return false;
    while (!this.#hasRoom(sizeBytes)) {
      let oldest = Number.POSITIVE_INFINITY;
      for (const queue of this.#queues)
        oldest = Math.min(oldest, queue.eldest()?.sequence ?? Number.POSITIVE_INFINITY);
      if (oldest === Number.POSITIVE_INFINITY) return false;
      for (const queue of this.#queues) {
        const slot = queue.eldest();
        if (slot === undefined || slot.sequence !== oldest) continue;
        queue.discard(slot, 'full');
        if (slot.held !== undefined) slot.held.accounted = true;
        this.#drop('full', 1);
      }
    }
    return true;
  }

  /** What is in flight cannot be dropped; without this check, waiting items would be dropped for nothing. */
  #canMakeRoom(sizeBytes: number): boolean {
    const { capacityMessages, capacityBytes, deliver } = this.#options;
    const [only] = this.#queues;
    const isOne = deliver === 'one' && only !== undefined;
    const flying = isOne ? this.#held - only.waiting : this.#pinned;
    const flyingBytes = isOne ? this.#heldBytes - only.waitingBytes : this.#pinnedBytes;
    return flying < capacityMessages && flyingBytes + sizeBytes <= capacityBytes;
  }

  #queueFor(group: string | undefined, from: 'now' | 'start'): Queue<T> {
    const only = this.#queues[0];
    if (this.#options.deliver === 'one' && only !== undefined) return only;
    const shared = group === undefined ? undefined : this.#groups.get(group);
    if (shared !== undefined) return shared;
    const inherited = this.#orphan;
    this.#orphan = undefined;
    const queue = inherited ?? new Queue<T>(this.#home);
    if (inherited === undefined) {
      this.#queues.push(queue);
      if (from === 'start') this.#replay(queue);
    }
    if (group !== undefined) this.#groups.set(group, queue);
    return queue;
  }

  #replay(queue: Queue<T>): void {
    const now = this.#clock.now();
    for (const past of this.#history?.replay(now) ?? []) {
      if (past.held.copies === 0) {
        this.#held += 1;
        this.#heldBytes += past.meta.sizeBytes;
      }
      past.held.copies += 1;
      const age = now - this.#startedAt - past.since;
      const meta = past.meta.ttlMs === undefined ? past.meta : { ...past.meta, ttlMs: past.expiresAt - now };
      const level = queue.level(meta.priority ?? this.#priorityDefault);
      const due = meta.delayMs === undefined ? meta : { ...meta, delayMs: Math.max(0, meta.delayMs - age) };
      queue.add(past.item, due, now, past.sequence, past.since, level, past.held);
    }
  }

  #leave(queue: Queue<T>, seat: Seat<T>, group: string | undefined, unseen: ReadonlySet<number>): void {
    this.#consumers -= 1;
    queue.leave(seat, unseen);
    if (this.#options.deliver === 'all' && queue.seats === 0) {
      if (group !== undefined) this.#groups.delete(group);
      if (this.#options.keepForNobody && this.#queues.length === 1) this.#orphan = queue;
      else this.#abandon(queue);
    }
    this.#mark(queue);
    this.#tell();
  }

  /** The last consumer of a queue of a topic left: its copies go; those that were nobody else's either are counted. */
  #abandon(queue: Queue<T>): void {
    this.#queues.splice(this.#queues.indexOf(queue), 1);
    let lost = 0;
    for (const slot of this.#waitingOf(queue)) {
      queue.discard(slot, 'nobody');
      const { held } = slot;
      if (held !== undefined && held.copies === 0 && !held.accounted && !held.retained) lost += 1;
    }
    if (lost > 0) this.#drop('nobody', lost);
  }

  #waitingOf(queue: Queue<T>): Slot<T>[] {
    const slots: Slot<T>[] = [];
    queue.visit(Number.POSITIVE_INFINITY, (slot) => slots.push(slot));
    return slots;
  }

  #freed(slot: Slot<T>, reason: string | undefined): void {
    const { held } = slot;
    if (held !== undefined) {
      held.copies -= 1;
      if (held.copies > 0) return;
    }
    this.#held -= 1;
    this.#heldBytes -= slot.meta.sizeBytes;
    if (reason !== undefined && held?.retained !== true) this.#events.lost?.(slot.item, reason);
  }

  #runDue(): void {
    const now = this.#clock.now();
    for (let slot = this.#deadlines.due(now); slot !== undefined; slot = this.#deadlines.due(now)) {
      slot.more?.keeper.due(slot, now);
    }
  }

  #drop(reason: string, count: number): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count;
    this.#untold ??= new Map<string, number>();
    this.#untold.set(reason, (this.#untold.get(reason) ?? 0) + count);
  }

  #mark(queue: Queue<T>): void {
    if (queue.mark(true)) this.#changed.push(queue);
  }

  /** Where old items are dropped, room is also what can be made: an item in flight was settled, though others still wait for it. */
  #isRoomDue(): boolean {
    const bytes = this.#refusedBytes;
    if (bytes < 0) return false;
    return (
      this.#hasRoom(bytes) || (this.#options.dropOldest && !this.#isRendezvous && this.#canMakeRoom(bytes))
    );
  }

  /** Tells owner and consumers. They may call the store meanwhile: what that changes is told by the loop that runs already. */
  #tell(): void {
    if (this.#telling) return;
    this.#telling = true;
    try {
      while (this.#tellOne());
    } finally {
      this.#telling = false;
    }
  }

  #tellOne(): boolean {
    if (this.#untold !== undefined) {
      const untold = this.#untold;
      this.#untold = undefined;
      for (const [reason, count] of untold) this.#events.drop(reason, count);
      return true;
    }
    if (this.#isRoomDue()) {
      this.#refusedBytes = -1;
      this.#events.room();
      return true;
    }
    const queue = this.#changed[this.#changed.length - 1];
    if (queue === undefined) return false;
    const seat = queue.nextCall();
    if (seat === undefined) {
      this.#changed.pop();
      queue.mark(false);
    } else seat.ready();
    return true;
  }
}

function itself<E>(entry: E): E {
  return entry;
}

/** What a consumer holds. */
class Consumer<T> implements Subscription<T> {
  readonly #queue: Queue<T>;
  readonly #seat: Seat<T>;
  readonly #leave: (unseen: ReadonlySet<number>) => void;

  constructor(queue: Queue<T>, seat: Seat<T>, leave: (unseen: ReadonlySet<number>) => void) {
    this.#queue = queue;
    this.#seat = seat;
    this.#leave = leave;
  }

  take(max: number, out: Entry<T>[]): number {
    return this.takeAs(max, out, itself);
  }

  takeAs<D>(max: number, out: D[], make: (entry: Entry<T>) => D): number {
    const seat = this.#seat;
    return seat.closed ? 0 : this.#queue.take(seat, max, out, make);
  }

  want(count: number): void {
    const seat = this.#seat;
    if (!seat.closed) this.#queue.want(seat, count);
  }

  settle(token: number, outcome: SettleOutcome, delayMs: number): boolean {
    return this.#queue.settle(this.#seat, token, outcome, delayMs);
  }

  ackAll(entries: readonly { readonly token: number }[]): void {
    this.#queue.ackAll(this.#seat, entries);
  }

  flight(token: number): Entry<T> | undefined {
    return this.#seat.flights.get(token);
  }

  flights(): Entry<T>[] {
    return this.#seat.flights.list();
  }

  get flying(): number {
    return this.#seat.flights.size;
  }

  extend(token: number, ms: number): boolean {
    return this.#queue.extend(this.#seat, token, ms);
  }

  get ended(): boolean {
    return this.#seat.closed || this.#queue.finished;
  }

  close(unseen?: Iterable<number>): void {
    if (this.#seat.closed) return;
    this.#leave(unseen === undefined ? NOTHING_UNSEEN : new Set(unseen));
  }
}
