// One queue with competing consumers: what is ready, parked, delayed and in flight, and how items move between these.
// A store has one (deliver one) or one for each subscription or group (deliver all). Capacity is the store's business.

import type { Deadlines } from './deadlines.ts';
import { Heap } from './heap.ts';
import { Keys } from './keys.ts';
import { Levels } from './levels.ts';
import { Roster } from './roster.ts';
import { FLIGHTS_MAX, Flights, type Seat } from './seat.ts';
import {
  comesBefore,
  forget,
  type Held,
  type KeyState,
  type Level,
  moreOf,
  newSlot,
  type Slot,
  type SlotKeeper,
  SlotState,
} from './slot.ts';
import type { Entry, ItemMeta, SettleOutcome } from './types.ts';

/** More than anybody can have in flight. */
const WANT_MAX = 2 ** 31;

/** What a queue needs of its store. */
export interface Home<T> {
  readonly deadlines: Deadlines<T>;
  readonly leaseMs: number;
  /** Keep the waiting slots by age too (drop-oldest). */
  readonly byAge: boolean;
  isEnded(): boolean;
  now(): number;
  /** Handles every deadline that is reached. */
  runDue(): void;
  /** deliver all: the first copy of an item is in flight, or no copy is any more. */
  pinned(slot: Slot<T>, isPinned: boolean): void;
  /** One copy of an item is gone for good; `reason` = not by an ack. */
  freed(slot: Slot<T>, reason: string | undefined): void;
  dropped(reason: string, count: number): void;
  /** Something changed by itself: whoever runs the deadlines tells it afterwards. */
  touched(queue: Queue<T>): void;
  /** Something changed that somebody may have to be told; called last in every operation. */
  changed(queue: Queue<T>): void;
}

export class Queue<T> implements SlotKeeper<T> {
  readonly #home: Home<T>;
  readonly #levels = new Levels<T>();
  readonly #keys = new Keys<T>();
  readonly #roster = new Roster<T>();
  readonly #ages: Heap<Slot<T>> | undefined;
  #seats = 0;
  #waiting = 0;
  #waitingBytes = 0;
  #flying = 0;
  #marked = false;

  constructor(home: Home<T>) {
    this.#home = home;
    if (home.byAge) this.#ages = new Heap(older, setAgeIndex);
  }

  /** Slots that are ready, parked or delayed. */
  get waiting(): number {
    return this.#waiting;
  }
  get waitingBytes(): number {
    return this.#waitingBytes;
  }
  get flying(): number {
    return this.#flying;
  }
  get seats(): number {
    return this.#seats;
  }
  /** What all its consumers want together. */
  get wanted(): number {
    return this.#roster.wanted;
  }
  /** True when no consumer of this queue can ever get anything more. */
  get finished(): boolean {
    return this.#home.isEnded() && this.#waiting === 0 && this.#flying === 0;
  }
  /** Whether a consumer must be told something. */
  get isCallDue(): boolean {
    return this.#roster.isDue(this.#levels.size, this.finished);
  }

  /** Notes that the store has it on its list of queues to look after. @returns whether that is new */
  mark(marked: boolean): boolean {
    const isNew = this.#marked !== marked;
    this.#marked = marked;
    return isNew;
  }

  /** The next consumer to tell, if any. */
  nextCall(): Seat<T> | undefined {
    return this.#roster.next(this.#levels.size, this.finished);
  }

  level(priority: number): Level<T> {
    return this.#levels.level(priority);
  }

  /** Queues a new item that is younger than all others here. */
  add(
    item: T,
    meta: ItemMeta,
    now: number,
    sequence: number,
    since: number,
    level: Level<T>,
    held: Held | undefined,
  ): void {
    const slot = newSlot(item, meta, 1, sequence, since, level, held);
    const { ttlMs, delayMs, key } = meta;
    if (ttlMs === undefined && delayMs === undefined && key === undefined && this.#ages === undefined) {
      this.#levels.append(slot);
    } else {
      const more = moreOf(slot, this);
      if (ttlMs !== undefined && ttlMs < Number.POSITIVE_INFINITY) more.expiresAt = now + ttlMs;
      if (delayMs !== undefined && delayMs > 0) this.#delay(slot, now + delayMs);
      else {
        this.#admit(slot, true);
        this.#home.deadlines.set(slot, more, more.expiresAt);
      }
      this.#ages?.push(slot);
    }
    this.#waiting += 1;
    this.#waitingBytes += meta.sizeBytes;
  }

  /** add() of a plain item, in a store that keeps nothing by age. */
  addPlain(item: T, meta: ItemMeta, sequence: number, since: number, priority: number): void {
    const levels = this.#levels;
    levels.append(newSlot(item, meta, 1, sequence, since, levels.level(priority), undefined));
    this.#waiting += 1;
    this.#waitingBytes += meta.sizeBytes;
  }

  join(ready: () => void): Seat<T> {
    this.#seats += 1;
    return {
      ready,
      flights: new Flights<T>(),
      want: 0,
      called: false,
      toldEnd: false,
      closed: false,
      lined: false,
      before: undefined,
      after: undefined,
    };
  }

  /** A consumer leaves; what it has in flight goes back, counted as delivered unless its token is in `unseen`. */
  leave(seat: Seat<T>, unseen: ReadonlySet<number>): void {
    seat.closed = true;
    this.#seats -= 1;
    this.#roster.leave(seat);
    for (const slot of seat.flights.drain()) {
      this.#land(slot);
      this.#putBack(slot, unseen.has(slot.token) ? 0 : 1, 0);
    }
  }

  want(seat: Seat<T>, count: number): void {
    // Infinity would make the sum of all wants NaN once it is taken off again.
    this.#roster.want(seat, Math.min(count, WANT_MAX), this.finished);
    this.#home.changed(this);
  }

  take<D>(seat: Seat<T>, max: number, out: D[], make: (entry: Entry<T>) => D): number {
    const home = this.#home;
    if (home.deadlines.size > 0) home.runDue();
    let count = 0;
    while (count < max && seat.flights.size < FLIGHTS_MAX) {
      const slot = this.#levels.pop();
      if (slot === undefined) break;
      this.#waiting -= 1;
      this.#waitingBytes -= slot.meta.sizeBytes;
      this.#flying += 1;
      slot.state = SlotState.flying;
      seat.flights.add(slot);
      if (slot.held !== undefined) this.#pin(slot, slot.held);
      if (slot.more !== undefined || home.leaseMs > 0) this.#takeOff(slot, seat);
      out.push(make(slot));
      count += 1;
    }
    this.#roster.took(seat, this.finished);
    home.changed(this);
    return count;
  }

  settle(seat: Seat<T>, token: number, outcome: SettleOutcome, delayMs: number): boolean {
    const slot = seat.flights.remove(token);
    if (slot === undefined) return false;
    this.#land(slot);
    if (outcome === 'ack' || outcome === 'reject') {
      slot.state = SlotState.gone;
      if (outcome === 'reject') this.#home.dropped('rejected', 1);
      if (slot.more?.key !== undefined) this.#freeKey(slot.more.key);
      this.#home.freed(slot, outcome === 'reject' ? 'rejected' : undefined);
    } else {
      this.#putBack(slot, outcome === 'requeue' ? 1 : 0, delayMs);
    }
    this.#home.changed(this);
    return true;
  }

  /** Acks many, and looks once whom to tell. */
  ackAll(seat: Seat<T>, entries: readonly { readonly token: number }[]): void {
    const home = this.#home;
    for (let index = 0; index < entries.length; index += 1) {
      const slot = seat.flights.remove((entries[index] as { readonly token: number }).token);
      if (slot === undefined) continue;
      this.#land(slot);
      slot.state = SlotState.gone;
      if (slot.more?.key !== undefined) this.#freeKey(slot.more.key);
      home.freed(slot, undefined);
    }
    home.changed(this);
  }

  extend(seat: Seat<T>, token: number, ms: number): boolean {
    const slot = seat.flights.get(token);
    if (slot === undefined) return false;
    if (this.#home.leaseMs > 0) {
      this.#home.deadlines.set(slot, moreOf(slot, this), this.#home.now() + ms);
    }
    return true;
  }

  /** A deadline of a slot of this queue is reached; it is out of the heap of deadlines already. */
  due(slot: Slot<T>, now: number): void {
    const { more } = slot;
    if (more === undefined) return;
    this.#home.touched(this);
    if (slot.state === SlotState.flying) {
      more.flights?.remove(slot.token);
      this.#land(slot);
      this.#putBack(slot, 1, 0);
    } else if (more.expiresAt <= now) {
      this.discard(slot, 'expired');
      if (slot.held !== undefined) slot.held.accounted = true;
      this.#home.dropped('expired', 1);
    } else if (slot.state === SlotState.delayed) {
      const { key } = more;
      if (key?.current === slot) {
        // It kept its key while it was away; now the best of the key goes first, which may be another.
        this.#keys.park(key, slot);
        this.#freeKey(key);
      } else this.#admit(slot, false);
      this.#home.deadlines.set(slot, more, more.expiresAt);
    }
  }

  /** Removes a slot that waits; the caller counts the drop. */
  discard(slot: Slot<T>, reason: string): void {
    const { more } = slot;
    const key = more?.key;
    if (slot.state === SlotState.ready) this.#levels.remove(slot);
    else if (slot.state === SlotState.parked && more !== undefined) key?.parked?.remove(more.orderIndex);
    slot.state = SlotState.gone;
    if (key !== undefined && key.current === slot) this.#freeKey(key);
    this.#home.deadlines.clear(slot);
    if (more !== undefined && more.ageIndex >= 0) this.#ages?.remove(more.ageIndex);
    this.#waiting -= 1;
    this.#waitingBytes -= slot.meta.sizeBytes;
    this.#home.freed(slot, reason);
    forget(slot);
  }

  /** Up to `max` ready slots of each level, and all that are parked, delayed or came back; in no order. */
  visit(max: number, see: (slot: Slot<T>) => void): void {
    this.#levels.visit(max, see);
    this.#keys.visit(see);
    for (const slot of this.#home.deadlines.slots) {
      if (slot.state === SlotState.delayed && slot.more?.keeper === this) see(slot);
    }
  }

  /** The waiting slot that was offered first; only in a store that keeps slots by age. */
  eldest(): Slot<T> | undefined {
    return this.#ages?.top();
  }

  /** The ready slot that was offered first. O(levels in use). */
  oldestReady(): Slot<T> | undefined {
    return this.#levels.oldest();
  }

  /** In flight: its deadline is now the lease, and it is not among the waiting any more. */
  #takeOff(slot: Slot<T>, seat: Seat<T>): void {
    const { deadlines, leaseMs } = this.#home;
    const more = moreOf(slot, this);
    more.flights = seat.flights;
    if (more.ageIndex >= 0) this.#ages?.remove(more.ageIndex);
    if (leaseMs > 0) deadlines.set(slot, more, this.#home.now() + leaseMs);
    else deadlines.clear(slot);
  }

  #land(slot: Slot<T>): void {
    this.#flying -= 1;
    this.#home.deadlines.clear(slot);
    if (slot.held === undefined) return;
    slot.held.flying -= 1;
    if (slot.held.flying === 0) this.#home.pinned(slot, false);
  }

  #pin(slot: Slot<T>, held: Held): void {
    held.accounted = true;
    held.flying += 1;
    if (held.flying === 1) this.#home.pinned(slot, true);
  }

  /** Back to its old place, as a new slot: the consumer keeps the old one. A key stays taken during a delay. */
  #putBack(slot: Slot<T>, counted: number, delayMs: number): void {
    const { item, meta, sequence, since, level, held } = slot;
    const back = newSlot(item, meta, slot.deliveries + counted, sequence, since, level, held);
    const more = moreOf(back, this);
    slot.state = SlotState.gone;
    if (slot.more !== undefined) more.expiresAt = slot.more.expiresAt;
    this.#waiting += 1;
    this.#waitingBytes += meta.sizeBytes;
    this.#ages?.push(back);
    const key = slot.more?.key;
    more.key = key;
    if (delayMs > 0) {
      if (key !== undefined) key.current = back;
      this.#delay(back, this.#home.now() + delayMs);
      return;
    }
    if (key === undefined) this.#levels.restore(back);
    else {
      this.#keys.park(key, back);
      this.#freeKey(key);
    }
    this.#home.deadlines.set(back, more, more.expiresAt);
  }

  #delay(slot: Slot<T>, until: number): void {
    const more = moreOf(slot, this);
    slot.state = SlotState.delayed;
    more.dueAt = until;
    this.#home.deadlines.set(slot, more, Math.min(until, more.expiresAt));
  }

  /** Makes a slot ready, or parks it behind its key. */
  #admit(slot: Slot<T>, isNew: boolean): void {
    const name = slot.meta.key;
    if (name !== undefined) {
      const more = moreOf(slot, this);
      const key = this.#keys.of(name);
      more.key = key;
      if (key.current !== undefined) {
        if (key.current.state !== SlotState.ready || !comesBefore(slot, key.current)) {
          this.#keys.park(key, slot);
          return;
        }
        this.#displace(key, key.current);
      }
      key.current = slot;
    }
    if (isNew) this.#levels.append(slot);
    else this.#levels.restore(slot);
  }

  /** A more urgent slot of the same key came: the one that was ready is parked, as a new slot. */
  #displace(key: KeyState<T>, slot: Slot<T>): void {
    const { item, meta, deliveries, sequence, since, level, held, more } = slot;
    const parked = newSlot(item, meta, deliveries, sequence, since, level, held);
    const rest = moreOf(parked, this);
    rest.key = key;
    rest.expiresAt = more?.expiresAt ?? Number.POSITIVE_INFINITY;
    this.#levels.remove(slot);
    this.#home.deadlines.clear(slot);
    if (more !== undefined && more.ageIndex >= 0) this.#ages?.remove(more.ageIndex);
    this.#keys.park(key, parked);
    this.#home.deadlines.set(parked, rest, rest.expiresAt);
    this.#ages?.push(parked);
    forget(slot);
  }

  #freeKey(key: KeyState<T>): void {
    const next = this.#keys.next(key);
    if (next !== undefined) this.#levels.restore(next);
  }
}

function older<T>(a: Slot<T>, b: Slot<T>): boolean {
  return a.sequence < b.sequence;
}

function setAgeIndex<T>(slot: Slot<T>, index: number): void {
  if (slot.more !== undefined) slot.more.ageIndex = index;
}
