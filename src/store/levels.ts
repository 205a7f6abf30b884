// The ready items of one queue: a level for each priority in use, first in first out within a level, the most urgent
// level first. What came back (requeue, delay over) stands in a heap beside the ring and is merged by sequence.

import { Deque } from './deque.ts';
import { Heap } from './heap.ts';
import { comesBefore, type Level, type Slot, SlotState, setOrderIndex } from './slot.ts';

export class Levels<T> {
  readonly #all = new Map<number, Level<T>>();
  readonly #active = new Heap<Level<T>>(moreUrgent, setLevelIndex);
  #last: Level<T> | undefined;
  #size = 0;

  /** How many slots are ready. */
  get size(): number {
    return this.#size;
  }

  /** The level of a priority, made at first use. */
  level(priority: number): Level<T> {
    if (this.#last !== undefined && this.#last.priority === priority) return this.#last;
    let level = this.#all.get(priority);
    if (level === undefined) {
      const returned = new Heap<Slot<T>>(comesBefore, setOrderIndex);
      level = { priority, fresh: new Deque(), returned, live: 0, index: -1 };
      this.#all.set(priority, level);
    }
    this.#last = level;
    return level;
  }

  /** Queues a slot that is younger than all in its level. */
  append(slot: Slot<T>): void {
    slot.level.fresh.push(slot);
    this.#count(slot);
  }

  /** Queues a slot at its old place. It must have `more`. */
  restore(slot: Slot<T>): void {
    slot.level.returned.push(slot);
    this.#count(slot);
  }

  /** The next slot to deliver, taken out; undefined when nothing is ready. */
  pop(): Slot<T> | undefined {
    if (this.#size === 0) return undefined;
    let level = this.#active.top();
    while (level !== undefined && level.live === 0) {
      this.#active.pop();
      level = this.#active.top();
    }
    if (level === undefined) return undefined;
    const slot = level.returned.size === 0 ? firstFresh(level.fresh) : this.#takeFirst(level);
    if (slot === undefined) return undefined;
    level.live -= 1;
    this.#size -= 1;
    return slot;
  }

  #takeFirst(level: Level<T>): Slot<T> | undefined {
    const slot = this.#first(level);
    if (slot?.more !== undefined && slot.more.orderIndex >= 0) level.returned.pop();
    else level.fresh.shift();
    return slot;
  }

  /** Takes a ready slot out of the middle; its state becomes `gone`, so whoever goes on with it makes a new slot. */
  remove(slot: Slot<T>): void {
    const { level } = slot;
    slot.state = SlotState.gone;
    level.live -= 1;
    this.#size -= 1;
    if (slot.more !== undefined && slot.more.orderIndex >= 0) level.returned.remove(slot.more.orderIndex);
    else if (level.fresh.size > 64 && level.fresh.size > 2 * level.live) level.fresh.retain(isReady);
  }

  /** Calls `see` with up to `max` slots of each level's ring, oldest first, and with all that came back. */
  visit(max: number, see: (slot: Slot<T>) => void): void {
    for (const level of this.#all.values()) {
      let seen = 0;
      for (let index = 0; index < level.fresh.size && seen < max; index += 1) {
        const slot = level.fresh.at(index);
        if (slot === undefined || slot.state !== SlotState.ready) continue;
        see(slot);
        seen += 1;
      }
      level.returned.items.forEach(see);
    }
  }

  /** The ready slot that was offered first. O(levels in use). */
  oldest(): Slot<T> | undefined {
    let oldest: Slot<T> | undefined;
    for (const level of this.#active.items) {
      const slot = level.live === 0 ? undefined : this.#first(level);
      if (slot !== undefined && (oldest === undefined || slot.sequence < oldest.sequence)) oldest = slot;
    }
    return oldest;
  }

  #count(slot: Slot<T>): void {
    slot.state = SlotState.ready;
    const { level } = slot;
    level.live += 1;
    this.#size += 1;
    if (level.index < 0) this.#active.push(level);
  }

  /** The first ready slot of a level; sweeps what stands before it in the ring and is not ready any more. */
  #first(level: Level<T>): Slot<T> | undefined {
    let fresh = level.fresh.front();
    while (fresh !== undefined && fresh.state !== SlotState.ready) {
      level.fresh.shift();
      fresh = level.fresh.front();
    }
    const returned = level.returned.top();
    if (returned === undefined) return fresh;
    return fresh === undefined || returned.sequence < fresh.sequence ? returned : fresh;
  }
}

/** Takes out the first ready slot, and what stands before it. */
function firstFresh<T>(fresh: Deque<Slot<T>>): Slot<T> | undefined {
  let slot = fresh.shift();
  while (slot !== undefined && slot.state !== SlotState.ready) slot = fresh.shift();
  return slot;
}

function moreUrgent<T>(a: Level<T>, b: Level<T>): boolean {
  return a.priority > b.priority;
}

function setLevelIndex<T>(level: Level<T>, index: number): void {
  level.index = index;
}

function isReady<T>(slot: Slot<T>): boolean {
  return slot.state === SlotState.ready;
}
