// A mailbox's contents as naively as can be: one list, everything looked up by walking it. What the store must be equal to.

import type { ItemMeta, SettleOutcome, StoreOptions } from './types.ts';

/** An item, in one queue. */
export interface ModelItem {
  readonly name: string;
  readonly meta: ItemMeta;
  readonly sequence: number;
  readonly priority: number;
  readonly expiresAt: number;
  deliveries: number;
  /** Not before; 0 = now. */
  dueAt: number;
  /** Came back with a delay: nobody else of its key may go first. */
  keepsKey: boolean;
  holder: ModelSeat | undefined;
  leaseUntil: number;
}

export interface ModelSeat {
  readonly queue: ModelQueue;
  want: number;
}

export interface ModelQueue {
  readonly group: string | undefined;
  readonly items: ModelItem[];
  readonly seats: Set<ModelSeat>;
}

/** The naive store. Time is given to every call. */
export class Model {
  readonly queues: ModelQueue[] = [];
  readonly dropped: Record<string, number> = {};
  readonly #options: StoreOptions;
  readonly #ids: string[] = [];
  readonly #retained: { item: ModelItem; isLost: () => boolean }[] = [];
  /** Items of a topic that some consumer took, or whose loss was counted. */
  readonly #accounted = new Set<number>();
  #kept: ModelQueue | undefined;
  #sequence = 0;
  ended = false;

  constructor(options: StoreOptions) {
    this.#options = options;
    if (options.deliver === 'one') this.queues.push({ group: undefined, items: [], seats: new Set() });
  }

  /** Everything that time does by itself. */
  pass(now: number): void {
    for (const queue of this.queues) {
      for (const item of queue.items) {
        if (item.holder === undefined || item.leaseUntil > now) continue;
        item.holder = undefined;
        item.deliveries += 1;
      }
      for (const item of queue.items.slice()) {
        if (item.holder !== undefined) continue;
        if (item.expiresAt <= now) {
          this.#remove(queue, item);
          this.#drop('expired', item);
        } else if (item.dueAt <= now) {
          item.dueAt = 0;
          item.keepsKey = false;
        }
      }
    }
  }

  offer(name: string, meta: ItemMeta, now: number): string {
    if (this.ended) return 'ended';
    this.pass(now);
    const { deliver, keepForNobody, dedup, dropOldest, retain } = this.#options;
    if (dedup > 0 && meta.id !== undefined && this.#ids.slice(-dedup).includes(meta.id)) {
      this.#drop('duplicate');
      return 'dropped';
    }
    if (this.queues.length === 0) {
      if (keepForNobody) {
        this.#kept = { group: undefined, items: [], seats: new Set() };
        this.queues.push(this.#kept);
      } else if (retain === 0) {
        this.#drop('nobody');
        return 'dropped';
      }
    }
    while (this.queues.length > 0 && !this.hasRoom(meta.sizeBytes)) {
      const waiting = this.queues.flatMap((queue) => queue.items.filter((item) => item.holder === undefined));
      const oldest = Math.min(...waiting.map((item) => item.sequence));
      if (!dropOldest || waiting.length === 0 || !this.#canMakeRoom(meta.sizeBytes)) return 'full';
      for (const queue of this.queues) {
        const item = queue.items.find((one) => one.sequence === oldest && one.holder === undefined);
        if (item === undefined) continue;
        this.#remove(queue, item);
        this.#drop('full', item);
      }
    }
    if (dedup > 0 && meta.id !== undefined) this.#ids.push(meta.id);
    this.#sequence += 1;
    const item = newItem(name, meta, this.#sequence, now);
    for (const queue of this.queues) queue.items.push({ ...item });
    if (deliver === 'all' && retain > 0) this.#retain(item);
    return 'taken';
  }

  subscribe(group: string | undefined, from: 'now' | 'start', now: number): ModelSeat {
    let queue =
      this.#options.deliver === 'one'
        ? this.queues[0]
        : this.queues.find((one) => group !== undefined && one.group === group);
    if (queue === undefined) {
      queue = { group, items: this.#kept?.items ?? [], seats: new Set() };
      if (this.#kept !== undefined) this.queues.splice(this.queues.indexOf(this.#kept), 1);
      else if (from === 'start') {
        for (const { item } of this.#retained) {
          if (item.expiresAt > now) queue.items.push({ ...item, dueAt: item.dueAt > now ? item.dueAt : 0 });
        }
      }
      this.#kept = undefined;
      this.queues.push(queue);
    }
    const seat = { queue, want: 0 };
    queue.seats.add(seat);
    return seat;
  }

  take(seat: ModelSeat, max: number, now: number): ModelItem[] {
    this.pass(now);
    const taken: ModelItem[] = [];
    for (let item = best(seat.queue); item !== undefined && taken.length < max; item = best(seat.queue)) {
      item.holder = seat;
      item.leaseUntil = this.#options.leaseMs > 0 ? now + this.#options.leaseMs : Number.POSITIVE_INFINITY;
      this.#accounted.add(item.sequence);
      taken.push(item);
    }
    return taken;
  }

  settle(seat: ModelSeat, sequence: number, outcome: SettleOutcome, delayMs: number, now: number): void {
    const item = seat.queue.items.find((one) => one.sequence === sequence);
    if (item === undefined) return;
    item.holder = undefined;
    if (outcome === 'ack' || outcome === 'reject') {
      this.#remove(seat.queue, item);
      if (outcome === 'reject') this.#drop('rejected', item);
      return;
    }
    if (outcome === 'requeue') item.deliveries += 1;
    item.dueAt = delayMs > 0 ? now + delayMs : 0;
    item.keepsKey = delayMs > 0;
  }

  close(seat: ModelSeat, unseen: ReadonlySet<number>): void {
    const { queue } = seat;
    for (const item of queue.items) {
      if (item.holder !== seat) continue;
      item.holder = undefined;
      item.dueAt = 0;
      if (!unseen.has(item.sequence)) item.deliveries += 1;
    }
    queue.seats.delete(seat);
    if (this.#options.deliver === 'one' || queue.seats.size > 0) return;
    if (this.#options.keepForNobody && this.queues.length === 1) {
      this.#kept = queue;
      this.queues[0] = { ...queue, group: undefined };
      this.#kept = this.queues[0];
      return;
    }
    this.queues.splice(this.queues.indexOf(queue), 1);
    for (const item of queue.items) {
      if (!this.#isHeld(item) && !this.#isRetained(item) && !this.#accounted.has(item.sequence))
        this.#drop('nobody', item);
    }
  }

  purge(): number {
    const gone = new Set<number>();
    for (const queue of this.queues) {
      for (const item of queue.items.filter((one) => one.holder === undefined)) {
        this.#remove(queue, item);
        gone.add(item.sequence);
      }
    }
    this.#retained.length = 0;
    return gone.size;
  }

  hasRoom(sizeBytes: number): boolean {
    const { capacityMessages, capacityBytes } = this.#options;
    if (capacityMessages === 0) {
      return this.queues.every((queue) => waitingOf(queue).length < wantedOf(queue));
    }
    const held = new Map(
      this.queues.flatMap((queue) => queue.items.map((item) => [item.sequence, item] as const)),
    );
    const bytes = [...held.values()].reduce((sum, item) => sum + item.meta.sizeBytes, 0);
    return held.size < capacityMessages && bytes + sizeBytes <= capacityBytes;
  }

  /** Whether dropping everything that nobody has in flight would be enough. */
  #canMakeRoom(sizeBytes: number): boolean {
    const flying = this.queues.flatMap((queue) => queue.items.filter((item) => item.holder !== undefined));
    const sizes = new Map(flying.map((item) => [item.sequence, item.meta.sizeBytes]));
    const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    return sizes.size < this.#options.capacityMessages && bytes + sizeBytes <= this.#options.capacityBytes;
  }

  #retain(item: ModelItem): void {
    this.#retained.push({ item, isLost: () => !this.#isHeld(item) && !this.#accounted.has(item.sequence) });
    const bytes = (): number => this.#retained.reduce((sum, one) => sum + one.item.meta.sizeBytes, 0);
    while (
      this.#retained.length > this.#options.retain ||
      (bytes() > this.#options.capacityBytes && this.#retained.length > 1)
    ) {
      const oldest = this.#retained.shift();
      if (oldest?.isLost() === true) this.#drop('nobody');
    }
  }

  #isHeld(item: ModelItem): boolean {
    return this.queues.some((queue) => queue.items.some((one) => one.sequence === item.sequence));
  }

  #isRetained(item: ModelItem): boolean {
    return this.#retained.some((one) => one.item.sequence === item.sequence);
  }

  #remove(queue: ModelQueue, item: ModelItem): void {
    queue.items.splice(queue.items.indexOf(item), 1);
  }

  #drop(reason: string, item?: ModelItem): void {
    this.dropped[reason] = (this.dropped[reason] ?? 0) + 1;
    if (item !== undefined) this.#accounted.add(item.sequence);
  }
}

/** Items that are ready, parked or delayed. */
export function waitingOf(queue: ModelQueue): ModelItem[] {
  return queue.items.filter((item) => item.holder === undefined);
}

/** Items that take() would give now, one after the other, if nothing were settled meanwhile. */
export function readyOf(queue: ModelQueue): ModelItem[] {
  const busy = new Set(
    queue.items.filter((item) => item.holder !== undefined || item.keepsKey).map((item) => item.meta.key),
  );
  const ready: ModelItem[] = [];
  const order = queue.items
    .filter((item) => item.holder === undefined && item.dueAt === 0)
    .sort((a, b) => b.priority - a.priority || a.sequence - b.sequence);
  for (const item of order) {
    const { key } = item.meta;
    if (key !== undefined && busy.has(key)) continue;
    if (key !== undefined) busy.add(key);
    ready.push(item);
  }
  return ready;
}

export function wantedOf(queue: ModelQueue): number {
  return [...queue.seats].reduce((sum, seat) => sum + seat.want, 0);
}

function best(queue: ModelQueue): ModelItem | undefined {
  return readyOf(queue)[0];
}

function newItem(name: string, meta: ItemMeta, sequence: number, now: number): ModelItem {
  return {
    name,
    meta,
    sequence,
    priority: meta.priority ?? 0,
    expiresAt: now + (meta.ttlMs ?? Number.POSITIVE_INFINITY),
    deliveries: 1,
    dueAt: (meta.delayMs ?? 0) > 0 ? now + (meta.delayMs ?? 0) : 0,
    keepsKey: false,
    holder: undefined,
    leaseUntil: Number.POSITIVE_INFINITY,
  };
}
