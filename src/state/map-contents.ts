// The entries of a map that lives in one process: conditions, expiry, room, pages, watchers. Who may use it, and from where, is its place's
// business; the clock is an argument.

import { NaruError } from '../errors/index.ts';
import type { MapCondition, MapItem, MapSetOptions } from './map-driver.ts';

/** What a map is made with unless more is asked for. */
export const MAP_CONTENTS: { readonly maxEntries: number; readonly capacityBytes: number } = {
  maxEntries: 1_000_000,
  capacityBytes: 67_108_864,
};

/** What is fixed when a map is made. */
export interface MapContentsInit {
  readonly place: string;
  readonly maxEntries: number;
  readonly capacityBytes: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Room that several maps share. */
  readonly budget?: Budget;
}

/** Bytes that several things share. */
export interface Budget {
  used: number;
  readonly max: number;
}

/** An entry, and when its key came into the map: what came later than an iteration is not given by it. */
interface Held extends MapItem {
  readonly version: number;
  readonly order: number;
}

export class MapContents {
  readonly watchers: Set<(key: string | undefined) => void> = new Set();
  readonly #init: MapContentsInit;
  readonly #items = new Map<string, Held>();
  #bytes = 0;
  #version = 0;
  #order = 0;
  /** No entry expires before. */
  #expiresMs = Number.POSITIVE_INFINITY;

  constructor(init: MapContentsInit) {
    this.#init = init;
  }

  get(key: string): MapItem | undefined {
    const item = this.#items.get(key);
    if (item === undefined || !this.#isOver(item)) return item;
    this.#remove(item);
    return undefined;
  }

  /** How many entries there are. */
  get size(): number {
    this.#sweep();
    return this.#items.size;
  }

  /**
   * @param text  the map, for errors
   * @returns whether the condition held
   * @throws NARU_FULL
   */
  set(key: string, value: Uint8Array, { only, ttlMs }: MapSetOptions, text: string): boolean {
    const before = this.get(key) as Held | undefined;
    if (!holds(only, before)) return false;
    this.#takeRoom(key, value, before, text);
    const expiresMs = ttlMs === undefined ? undefined : this.#init.now() + ttlMs;
    if (expiresMs !== undefined) this.#expiresMs = Math.min(this.#expiresMs, expiresMs);
    this.#version += 1;
    this.#order += 1;
    const order = before?.order ?? this.#order;
    // A Buffer's own slice() would copy nothing: the caller could change the entry, and a short one would hold all that it came with in memory.
    const kept = Uint8Array.prototype.slice.call(value);
    // A key that is there keeps its turn in the order of iteration.
    this.#items.set(key, { key, value: kept, version: this.#version, expiresMs, order });
    this.#tell(key);
    return true;
  }

  delete(key: string, version: MapItem['version'] | undefined): boolean {
    const item = this.get(key) as Held | undefined;
    if (item === undefined || (version !== undefined && item.version !== version)) return false;
    this.#remove(item);
    this.#tell(key);
    return true;
  }

  clear(): void {
    this.#items.clear();
    this.#give(this.#bytes);
    this.#tell(undefined);
  }

  /** What is there now, in pages; what came since is not given. The last entry of a page may exceed `bytesMax`. */
  *pages(entriesMax: number, bytesMax: number): Generator<readonly MapItem[], void, undefined> {
    const last = this.#order;
    let page: MapItem[] = [];
    let bytes = 0;
    for (const item of this.#items.values()) {
      // In the order of coming.
      if (item.order > last) break;
      if (this.#isOver(item)) continue;
      page.push(item);
      bytes += sizeOf(item.key, item.value);
      if (page.length < entriesMax && bytes < bytesMax) continue;
      yield page;
      page = [];
      bytes = 0;
    }
    if (page.length > 0) yield page;
  }

  /** Tells every watcher that anything may have changed; to be called, too, when the map is removed. */
  tellAll(): void {
    this.#tell(undefined);
  }

  /** Gives its room back: nobody uses it any more. */
  dispose(): void {
    this.#items.clear();
    this.#give(this.#bytes);
  }

  #tell(key: string | undefined): void {
    for (const watcher of this.watchers) watcher(key);
  }

  #isOver({ expiresMs }: MapItem): boolean {
    return expiresMs !== undefined && expiresMs <= this.#init.now();
  }

  #remove(item: MapItem): void {
    this.#items.delete(item.key);
    this.#give(sizeOf(item.key, item.value));
  }

  #give(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#init.budget !== undefined) this.#init.budget.used -= bytes;
  }

  /** Removes what has expired, if anything can have. */
  #sweep(): void {
    if (this.#init.now() < this.#expiresMs) return;
    let next = Number.POSITIVE_INFINITY;
    for (const item of this.#items.values())
      if (this.#isOver(item)) this.#remove(item);
      else next = Math.min(next, item.expiresMs ?? next);
    this.#expiresMs = next;
  }

  #takeRoom(key: string, value: Uint8Array, before: MapItem | undefined, text: string): void {
    const { maxEntries, capacityBytes, budget, place } = this.#init;
    const more = sizeOf(key, value) - (before === undefined ? 0 : sizeOf(key, before.value));
    const isFull = (): boolean =>
      (before === undefined && this.#items.size >= maxEntries) || this.#bytes + more > capacityBytes;
    // What has expired without anybody asking for it takes no room from the living.
    if (isFull()) this.#sweep();
    const isBudgetSpent = budget !== undefined && budget.used + more > budget.max;
    if (isFull() || isBudgetSpent) {
      const room = isFull() ? { used: this.#bytes, max: capacityBytes } : (budget as Budget);
      throw new NaruError(
        'NARU_FULL',
        `${text}: no room for "${key.slice(0, 40)}": ${this.#items.size} entries of ${maxEntries}, ${room.used} bytes of ` +
          `${room.max}${isFull() ? '' : ' of all objects together'}; delete some, or make it larger`,
        { place, mailbox: text },
      );
    }
    this.#give(-more);
  }
}

function holds(only: MapCondition | undefined, item: MapItem | undefined): boolean {
  if (only === undefined) return true;
  return 'absent' in only ? item === undefined : item?.version === only.version;
}

function sizeOf(key: string, value: Uint8Array): number {
  return Buffer.byteLength(key) + value.byteLength;
}
