// watch(): what became of entries, for a loop. The driver only says that something changed; what changed is found by comparing
// versions, so that a watcher that is slow, or was disconnected, misses states in between but never the last one.

import { Hold } from '../mailbox/keep-alive.ts';
import type { MapDriver, MapItem, MapVersion } from './map-driver.ts';

/** What to watch. */
export interface WatchTarget {
  /** One key; undefined: all of them. */
  readonly key: string | undefined;
  /** `start`: what is there already comes first. `now`: what changes after the call of watch(). */
  readonly from: 'now' | 'start';
  /** Ends the loop with its reason as the error. */
  readonly signal: AbortSignal | undefined;
}

/** What watch() of a map gives: a loop over changes. */
export interface MapWatcher<T> extends AsyncIterableIterator<T> {
  /**
   * Resolves when the place tells this watch of every change from then on, whoever makes it; also when the watch is ended before. Rejects with what the first
   * `next()` would reject with. Need not be awaited.
   */
  readonly ready: Promise<void>;
}

/** An entry that changed; `item` undefined: it is gone. */
export interface ItemChange {
  readonly key: string;
  readonly item: MapItem | undefined;
}

const TIMER_MS_MAX = 2 ** 31 - 1;

export class MapWatch<T> implements MapWatcher<T> {
  readonly ready: Promise<void>;
  readonly #driver: MapDriver;
  readonly #target: WatchTarget;
  readonly #give: (change: ItemChange) => T | Promise<T>;
  readonly #onEnd: () => void;
  /** Of each entry that is there; undefined: it changed, whatever its version is. */
  readonly #seen = new Map<string, MapVersion | undefined>();
  #changes: ItemChange[] = [];
  #dirty = new Set<string>();
  #isAllDirty = false;
  #ended: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;
  #stop: (() => void) | undefined;
  #expiry: NodeJS.Timeout | undefined;
  #expiresMs: number = Number.POSITIVE_INFINITY;

  /**
   * @param give   turns a change into what the loop gets
   * @param onEnd  called once when the watch is over
   */
  constructor(
    driver: MapDriver,
    target: WatchTarget,
    give: (change: ItemChange) => T | Promise<T>,
    onEnd: () => void,
  ) {
    this.#driver = driver;
    this.#target = target;
    this.#give = give;
    this.#onEnd = onEnd;
    target.signal?.addEventListener('abort', this.#abort, { once: true });
    this.ready = this.#start();
    // Reported by the first next().
    this.ready.catch(() => undefined);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Waits for the next change; a waiting one keeps the process alive. */
  async next(): Promise<IteratorResult<T>> {
    const alive = new Hold();
    alive.set(true);
    try {
      await this.ready;
      for (;;) {
        if (this.#ended !== undefined) return this.#result();
        const change = this.#changes.shift();
        if (change !== undefined) return { done: false, value: await this.#give(change) };
        if (this.#isAllDirty || this.#dirty.size > 0) await this.#look();
        else await this.#sleep();
      }
    } catch (error) {
      this.end(undefined);
      throw error;
    } finally {
      alive.set(false);
    }
  }

  async return(): Promise<IteratorResult<T>> {
    this.end(undefined);
    return { done: true, value: undefined };
  }

  /** Ends the loop: with an error, or quietly. */
  end(error: unknown): void {
    if (this.#ended !== undefined) return;
    this.#ended = { error };
    clearTimeout(this.#expiry);
    this.#target.signal?.removeEventListener('abort', this.#abort);
    this.#stop?.();
    this.#wake?.();
    this.#onEnd();
  }

  readonly #abort = (): void => this.end(this.#target.signal?.reason);

  #result(): IteratorResult<T> {
    const error = this.#ended?.error;
    // Thrown once, as a generator does.
    this.#ended = { error: undefined };
    if (error !== undefined) throw error;
    return { done: true, value: undefined };
  }

  async #start(): Promise<void> {
    if (this.#target.signal?.aborted === true) {
      this.#abort();
      return;
    }
    const { key } = this.#target;
    const setUp = this.#driver.watch(this.#noteChange);
    const isSetUp = !(setUp instanceof Promise);
    // What can be seen in one step is asked for in the call of watch(): whatever this thread does next comes after it.
    const looked = isSetUp || key !== undefined ? this.#lookFirst() : undefined;
    looked?.catch(() => undefined);
    const stop = isSetUp ? setUp : await setUp;
    this.#stop = stop;
    // Ended while it was being set up.
    if (this.#ended !== undefined) return stop();
    await (looked ?? this.#lookFirst());
    // It may have changed between that look and the moment from which the place tells.
    if (!isSetUp && looked !== undefined) this.#noteChange(key);
  }

  /** Everything that is there counts as a change, and is then kept or forgotten. */
  async #lookFirst(): Promise<void> {
    const { key, from } = this.#target;
    const told = [...this.#dirty];
    this.#noteChange(key);
    await this.#look();
    if (from !== 'now') return;
    this.#changes = [];
    if (key !== undefined) return;
    // Looking at all of them takes a while: what the place told since the call may have been seen as it is already, or as gone.
    for (const changed of told) this.#dirty.add(changed);
    for (const changed of this.#dirty) this.#seen.set(changed, undefined);
  }

  readonly #noteChange = (key: string | undefined): void => {
    const wanted = this.#target.key;
    if (wanted !== undefined && key !== undefined && key !== wanted) return;
    if (key !== undefined) this.#dirty.add(key);
    else if (wanted !== undefined) this.#dirty.add(wanted);
    else this.#isAllDirty = true;
    this.#wake?.();
  };

  /** Finds out what changed. What changes from now on makes the next look necessary. */
  async #look(): Promise<void> {
    const [isAll, keys] = [this.#isAllDirty, this.#dirty];
    this.#isAllDirty = false;
    this.#dirty = new Set();
    if (isAll) await this.#compareAll();
    else
      for (const key of keys) {
        const item = this.#driver.get(key);
        this.#compare(key, item instanceof Promise ? await item : item);
      }
  }

  async #compareAll(): Promise<void> {
    const gone = new Set(this.#seen.keys());
    const compare = (batch: readonly MapItem[]): void => {
      for (const item of batch) {
        gone.delete(item.key);
        this.#compare(item.key, item);
      }
    };
    const batches = this.#driver.entries();
    // In one step where that can be: nothing changes between two batches.
    if (Symbol.iterator in batches) for (const batch of batches) compare(batch);
    else for await (const batch of batches) compare(batch);
    for (const key of gone) this.#compare(key, undefined);
  }

  #compare(key: string, item: MapItem | undefined): void {
    if (item === undefined) {
      if (this.#seen.delete(key)) this.#changes.push({ key, item });
      return;
    }
    if (item.expiresMs !== undefined) this.#lookAt(item.expiresMs);
    if (this.#seen.get(key) === item.version) return;
    this.#seen.set(key, item.version);
    this.#changes.push({ key, item });
  }

  /** No driver calls for what expires: it is looked at when its time has come, the nearest first. */
  #lookAt(expiresMs: number): void {
    if (expiresMs >= this.#expiresMs) return;
    this.#expiresMs = expiresMs;
    clearTimeout(this.#expiry);
    const inMs = Math.min(Math.max(expiresMs - Date.now(), 0) + 1, TIMER_MS_MAX);
    this.#expiry = setTimeout(() => {
      this.#expiresMs = Number.POSITIVE_INFINITY;
      this.#noteChange(this.#target.key);
    }, inMs).unref();
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
