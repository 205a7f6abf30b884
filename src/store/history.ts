// The last n items of a topic, for subscribers that come late. Bounded in items and in bytes.

import { Deque } from './deque.ts';
import type { Held } from './slot.ts';
import type { ItemMeta } from './types.ts';

/** An item that is kept for late subscribers. */
export interface Past<T> {
  readonly item: T;
  readonly meta: ItemMeta;
  readonly sequence: number;
  readonly since: number;
  /** Infinity = never. */
  readonly expiresAt: number;
  readonly held: Held;
}

export class History<T> {
  readonly #limit: number;
  readonly #limitBytes: number;
  readonly #items = new Deque<Past<T>>();
  #bytes = 0;

  constructor(limit: number, limitBytes: number) {
    this.#limit = limit;
    this.#limitBytes = limitBytes;
  }

  /** Keeps an item. @returns those pushed out for it that no consumer ever took or will take */
  add(past: Past<T>): T[] {
    this.#items.push(past);
    this.#bytes += past.meta.sizeBytes;
    const lost: T[] = [];
    while (this.#items.size > this.#limit || (this.#bytes > this.#limitBytes && this.#items.size > 1)) {
      const oldest = this.#items.shift();
      if (oldest === undefined) break;
      this.#bytes -= oldest.meta.sizeBytes;
      oldest.held.retained = false;
      if (!oldest.held.accounted && oldest.held.copies === 0) lost.push(oldest.item);
    }
    return lost;
  }

  /** What a late subscriber gets: oldest first, without what has expired. */
  replay(now: number): Past<T>[] {
    const list: Past<T>[] = [];
    for (let index = 0; index < this.#items.size; index += 1) {
      const past = this.#items.at(index);
      if (past !== undefined && past.expiresAt > now) list.push(past);
    }
    return list;
  }

  clear(): void {
    this.#items.clear();
    this.#bytes = 0;
  }
}
