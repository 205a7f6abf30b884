// SharedMap: the one class for maps of every place. Everything that is common stands here and in the files it joins: codec,
// schema, frozen values, update() with its retries, iteration, watch(). A place brings a MapDriver.

import { NaruError } from '../errors/index.ts';
import type { SharedHandle } from '../mailbox/shared-handle.ts';
import { withCodec } from '../mailbox/shared-mailbox.ts';
import { awaitOutcome, checkLimits, within, type WaitLimits } from '../mailbox/waiting.ts';
import type { Frozen } from './frozen.ts';
import { type MapCapabilities, MAP_FEATURES, type MapFeature, type MapNeeds } from './map-capabilities.ts';
import type { MapCondition, MapDriver, MapItem, MapVersion } from './map-driver.ts';
import { hasFeature } from './map-options.ts';
import { type Change, setNow, updateNow, updateSoon } from './map-update.ts';
import type { MapValues } from './map-values.ts';
import { type ItemChange, MapWatch, type MapWatcher } from './map-watch.ts';

/** An entry as it was at one moment. `value` is frozen. */
export interface MapEntry<V> {
  readonly key: string;
  readonly value: Frozen<V>;
  /** Opaque: give it to `set()` or `delete()` as `ifVersion`. */
  readonly version: MapVersion;
  /** When it expires, in milliseconds since the epoch. Undefined: never, or the place cannot tell. */
  readonly expiresMs: number | undefined;
}

/** What watch() gives: the entry as it is now; `entry` undefined: it is gone. */
export interface MapChange<V> {
  readonly key: string;
  readonly entry: MapEntry<V> | undefined;
}

/** How to set an entry. `ifAbsent` and `ifVersion` exclude each other. */
export interface SetOptions {
  /** Time to live in milliseconds, from now. Default: the map's `ttlMs`. Every set() states it anew. */
  readonly ttlMs?: number;
  /** Only where there is no entry. */
  readonly ifAbsent?: boolean;
  /** Only while the entry has this version. */
  readonly ifVersion?: MapVersion;
}

/** How to delete an entry. */
export interface DeleteOptions {
  /** Only while the entry has this version. */
  readonly ifVersion?: MapVersion;
}

/** What to watch, and how long. */
export interface WatchOptions {
  /** `start`: what is there already comes first. Default `now`: what changes after the call. */
  readonly from?: 'now' | 'start';
  /** Ends the loop with its reason. */
  readonly signal?: AbortSignal;
}

/** What openMap() gives to a SharedMap. @internal */
export interface MapSetup {
  readonly driver: MapDriver;
  readonly values: MapValues;
  readonly ttlMs: number | undefined;
  readonly emulate: readonly MapFeature[];
  /** As it was given. */
  readonly codec?: unknown;
}

/**
 * A map that several processes share. Values are copies, frozen all the way down: a change is made with `set()` or `update()`.
 * Made by `openMap()`.
 */
export class SharedMap<In = unknown, Out = In, Has extends MapFeature = MapFeature> {
  readonly #driver: MapDriver;
  readonly #values: MapValues;
  readonly #setup: MapSetup;
  readonly #watches = new Set<MapWatch<MapChange<Out>>>();
  #closing: Promise<void> | undefined;

  /** @internal */
  constructor(setup: MapSetup) {
    this.#setup = setup;
    this.#driver = setup.driver;
    this.#values = setup.values;
  }

  /** What this map can do. */
  get capabilities(): MapCapabilities {
    return this.#driver.facts.capabilities;
  }

  /** A URL by which others open this very map; it holds no password. */
  get address(): string {
    return this.#driver.facts.address;
  }

  /** Whether this handle made the map. */
  get created(): boolean {
    return this.#driver.facts.created;
  }

  /** Longest key and largest value, in bytes. */
  get limits(): { readonly maxKeyBytes: number; readonly maxValueBytes: number } {
    const { maxKeyBytes, maxValueBytes } = this.#driver.facts;
    return { maxKeyBytes, maxValueBytes };
  }

  /**
   * @returns the value, frozen; undefined when there is none
   * @throws NARU_INVALID_ARGUMENT, NARU_TOO_LARGE (the key), NARU_INVALID_MESSAGE (codec, schema), NARU_CLOSED, NARU_TIMEOUT, NARU_CORRUPT
   */
  async get(key: string, limits?: WaitLimits): Promise<Frozen<Out> | undefined> {
    const asked = this.#read(key, limits);
    const item = asked instanceof Promise ? await asked : asked;
    // Returned as it is: another await would cost each call a turn of the microtasks.
    return (item === undefined ? undefined : this.#values.decode(key, item.value)) as Frozen<Out> | undefined;
  }

  /** The value with its version, for `ifVersion`. @throws as get() */
  async getEntry(key: string, limits?: WaitLimits): Promise<MapEntry<Out> | undefined> {
    const item = await this.#read(key, limits);
    return item === undefined ? undefined : this.#entry(item);
  }

  /** @throws as get() */
  async has(key: string, limits?: WaitLimits): Promise<boolean> {
    return (await this.#read(key, limits)) !== undefined;
  }

  /**
   * Stores a value.
   *
   * @returns false when `ifAbsent` or `ifVersion` did not hold; nothing was changed then
   * @throws NARU_FULL             there is no room for it; nothing was changed
   * @throws NARU_TOO_LARGE        key or value is over the limit
   * @throws NARU_INVALID_MESSAGE  codec or schema refused the value
   * @throws NARU_OUTCOME_UNKNOWN  `timeoutMs` was over before the place answered
   * @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED (ttlMs where there is none), NARU_CLOSED, NARU_CORRUPT
   */
  async set(key: string, value: In, options: SetOptions & WaitLimits = {}): Promise<boolean> {
    const { text } = this.#driver.facts;
    checkLimits(options, text);
    const settings = this.#setSettings(key, options);
    const encoded = this.#values.encode(key, value);
    // Not awaited where it is there: calls of one handle reach the place in the order in which they were made.
    const body = encoded instanceof Promise ? await encoded : encoded;
    const stored = this.#open().set(key, body, settings);
    return stored instanceof Promise
      ? this.#outcome(stored, options, () => `"${key}" was not stored`)
      : stored;
  }

  /** @returns false when there was no entry, or `ifVersion` did not hold @throws as set() */
  async delete(key: string, options: DeleteOptions & WaitLimits = {}): Promise<boolean> {
    checkLimits(options, this.#driver.facts.text);
    this.#values.checkKey(key);
    const gone = this.#open().delete(key, options.ifVersion);
    return gone instanceof Promise ? this.#outcome(gone, options, () => `"${key}" was not deleted`) : gone;
  }

  /**
   * Changes an entry by a function of its value, which may be asynchronous. When somebody else changed the entry meanwhile, the function is
   * called again with the new value: it must do nothing but compute. Returning the very value it got leaves the entry as it is.
   *
   * @param change  gets the value, frozen, or undefined; must not return undefined (`delete()` deletes)
   * @returns the value that was stored, frozen
   * @throws NARU_INVALID_ARGUMENT (the function returned undefined), NARU_TIMEOUT, as get() and set(), and what the function throws
   */
  update(
    key: string,
    change: (value: Frozen<Out> | undefined) => In | Frozen<Out> | Promise<In | Frozen<Out>>,
    options: Pick<SetOptions, 'ttlMs'> & WaitLimits = {},
  ): Promise<Frozen<Out>> {
    const run = async (): Promise<unknown> => {
      checkLimits(options, this.#driver.facts.text);
      const { ttlMs } = this.#setSettings(key, options);
      return updateSoon(this.#open(), this.#values, key, change as Change, ttlMs, options);
    };
    return run() as Promise<Frozen<Out>>;
  }

  /** Every entry, in no order. What changes meanwhile may be given or not. Needs `iterate`. @throws as get() */
  entries(...needs: MapNeeds<'iterate', Has, []>): AsyncGenerator<MapEntry<Out>, void, undefined> {
    void needs;
    return this.#iterate((item) => this.#entry(item));
  }

  /** Every key, in no order. Needs `iterate`. @throws as get() */
  keys(...needs: MapNeeds<'iterate', Has, []>): AsyncGenerator<string, void, undefined> {
    void needs;
    return this.#iterate((item) => item.key);
  }

  /** How many entries there are. Needs `iterate`. @throws NARU_UNSUPPORTED, NARU_CLOSED, NARU_TIMEOUT, NARU_CORRUPT */
  async size(...[limits]: MapNeeds<'iterate', Has, [limits?: WaitLimits]>): Promise<number> {
    this.#require('iterate');
    return this.#waited(
      () => this.#open().size(),
      limits as WaitLimits | undefined,
      () => 'no answer',
    );
  }

  /** Deletes every entry. Needs `iterate`. @throws as set() */
  async clear(...[limits]: MapNeeds<'iterate', Has, [limits?: WaitLimits]>): Promise<void> {
    this.#require('iterate');
    const cleared = this.#open().clear();
    if (cleared instanceof Promise)
      await this.#outcome(cleared, (limits ?? {}) as WaitLimits, () => 'not cleared');
  }

  /**
   * Changes of one entry, or of all, from the call on: each as it is when the loop comes to it. A slow loop misses states in between,
   * never the last one. Waiting costs no CPU and keeps the process alive. Needs `watch`; all entries: `iterate` too.
   * A place behind a connection hears of the watch a moment later: await `ready` before somebody else is told to change something.
   * What changed a moment before the call may be given too when all entries are watched.
   *
   * @throws from the loop: the signal's reason, NARU_CLOSED, NARU_INVALID_MESSAGE, NARU_CORRUPT, NARU_DISCONNECTED
   */
  watch(
    ...[key, options]: MapNeeds<'watch', Has, [key?: string | undefined, options?: WatchOptions]>
  ): MapWatcher<MapChange<Out>> {
    const { from = 'now', signal } = options ?? {};
    const one = key as string | undefined;
    this.#require('watch');
    if (one === undefined) this.#require('iterate');
    else this.#values.checkKey(one);
    const watch: MapWatch<MapChange<Out>> = new MapWatch(
      this.#open(),
      { key: one, from, signal },
      (change) => this.#change(change),
      () => this.#watches.delete(watch),
    );
    this.#watches.add(watch);
    return watch;
  }

  /** get() at once. Needs `sync`. @throws as get() */
  getSync(...[key]: MapNeeds<'sync', Has, [key: string]>): Frozen<Out> | undefined {
    const item = this.#readNow(key as string);
    return (item === undefined ? undefined : this.#values.decodeSync(item.key, item.value)) as
      | Frozen<Out>
      | undefined;
  }

  /** has() at once. Needs `sync`. @throws as get() */
  hasSync(...[key]: MapNeeds<'sync', Has, [key: string]>): boolean {
    return this.#readNow(key as string) !== undefined;
  }

  /** set() at once. Needs `sync`. @throws as set() */
  setSync(...args: MapNeeds<'sync', Has, [key: string, value: In, options?: SetOptions]>): boolean {
    this.#require('sync');
    const [key, value, options] = args as [string, In, SetOptions?];
    const settings = this.#setSettings(key, options);
    return setNow(this.#open(), key, this.#values.encodeSync(key, value), settings);
  }

  /** delete() at once. Needs `sync`. @throws as delete() */
  deleteSync(...args: MapNeeds<'sync', Has, [key: string, options?: DeleteOptions]>): boolean {
    this.#require('sync');
    const [key, options] = args as [string, DeleteOptions?];
    const driver = this.#open();
    this.#values.checkKey(key);
    const gone = driver.deleteSync?.(key, options?.ifVersion) ?? driver.delete(key, options?.ifVersion);
    return gone as boolean;
  }

  /** update() at once, with a function that is not asynchronous. Needs `sync`. @throws as update() */
  updateSync(
    ...args: MapNeeds<
      'sync',
      Has,
      [
        key: string,
        change: (value: Frozen<Out> | undefined) => In | Frozen<Out>,
        options?: Pick<SetOptions, 'ttlMs'>,
      ]
    >
  ): Frozen<Out> {
    this.#require('sync');
    const [key, change, options] = args as [string, Change, SetOptions?];
    const { ttlMs } = this.#setSettings(key, options);
    return updateNow(this.#open(), this.#values, key, change, ttlMs) as Frozen<Out>;
  }

  /** Lets the map go; ends every watch. The map itself stays, as its `owner` says. Repeated calls do nothing. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      for (const watch of this.#watches) watch.end(undefined);
      await this.#driver.close();
    })();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Removes the map itself, for everybody: other handles get NARU_CLOSED. @throws NARU_CLOSED, NARU_DENIED, NARU_TIMEOUT */
  async unlink(): Promise<void> {
    await this.#open().unlink();
  }

  /** What `spawn()` hands over. @internal */
  toShared(): SharedHandle {
    const { ttlMs, emulate, codec } = this.#setup;
    const options = { emulate, ...(ttlMs === undefined ? {} : { ttlMs }), ...this.#driver.facts.secrets };
    const shapes = this.capabilities.features.crossProcess === 'none' ? [] : (['worker', 'child'] as const);
    return withCodec({ kind: 'map', url: this.address, options, shapes }, codec);
  }

  /** @throws NARU_CLOSED */
  #open(): MapDriver {
    if (this.#closing === undefined) return this.#driver;
    const { text } = this.#driver.facts;
    throw new NaruError('NARU_CLOSED', `${text}: this handle of the map was closed`, { mailbox: text });
  }

  /** Not asynchronous itself: a place that answers at once costs no promise, and another only its own. */
  #read(key: string, limits: WaitLimits | undefined): MapItem | undefined | Promise<MapItem | undefined> {
    this.#values.checkKey(key);
    return this.#waited(
      () => this.#open().get(key),
      limits,
      () => `no answer for "${key}"`,
    );
  }

  #readNow(key: string): MapItem | undefined {
    this.#require('sync');
    return this.#open().get(this.#values.checkKey(key)) as MapItem | undefined;
  }

  #waited<T>(call: () => T | Promise<T>, limits: WaitLimits | undefined, what: () => string): T | Promise<T> {
    if (limits === undefined) return call();
    const { text } = this.#driver.facts;
    checkLimits(limits, text);
    const answer = call();
    return answer instanceof Promise ? within(answer, limits, what(), text) : answer;
  }

  /** A write that takes too long may have happened all the same. */
  #outcome<T>(answer: Promise<T>, limits: WaitLimits, what: () => string): Promise<T> {
    if (limits.signal === undefined && limits.timeoutMs === undefined) return answer;
    const done = answer.then(() => undefined);
    return awaitOutcome(done, limits, what(), this.#driver.facts.text).then(() => answer);
  }

  #setSettings(
    key: string,
    options: SetOptions | undefined,
  ): { only: MapCondition | undefined; ttlMs: number | undefined } {
    this.#values.checkKey(key);
    const ttlMs = options?.ttlMs ?? this.#setup.ttlMs;
    if (ttlMs !== undefined) this.#checkTtl(ttlMs);
    if (options === undefined || (options.ifAbsent !== true && options.ifVersion === undefined))
      return { only: undefined, ttlMs };
    if (options.ifAbsent === true && options.ifVersion !== undefined)
      throw this.#error('NARU_INVALID_ARGUMENT', 'give either ifAbsent or ifVersion');
    const { ifVersion } = options;
    return { only: ifVersion === undefined ? { absent: true } : { version: ifVersion }, ttlMs };
  }

  #checkTtl(ttlMs: number): void {
    this.#require('ttl');
    if (Number.isInteger(ttlMs) && ttlMs >= 1 && ttlMs <= 2 ** 31 - 1) return;
    throw this.#error('NARU_INVALID_ARGUMENT', `ttlMs is a whole number from 1 to 2147483647, got ${ttlMs}`);
  }

  async *#iterate<T>(give: (item: MapItem) => T | Promise<T>): AsyncGenerator<T, void, undefined> {
    this.#require('iterate');
    for await (const batch of this.#open().entries())
      for (const item of batch) {
        this.#open();
        yield await give(item);
      }
  }

  async #entry(item: MapItem): Promise<MapEntry<Out>> {
    const { key, version, expiresMs } = item;
    return { key, value: (await this.#values.decode(key, item.value)) as Frozen<Out>, version, expiresMs };
  }

  async #change({ key, item }: ItemChange): Promise<MapChange<Out>> {
    return { key, entry: item === undefined ? undefined : await this.#entry(item) };
  }

  /** @throws NARU_UNSUPPORTED  for programs whose types did not say so */
  #require(feature: MapFeature): void {
    if (hasFeature(this.capabilities, feature, this.#setup.emulate)) return;
    throw this.#error(
      'NARU_UNSUPPORTED',
      `maps of ${this.capabilities.scheme}:// have no ${feature} (${MAP_FEATURES[feature]})`,
    );
  }

  #error(code: 'NARU_INVALID_ARGUMENT' | 'NARU_UNSUPPORTED', what: string): NaruError {
    const { text } = this.#driver.facts;
    return new NaruError(code, `${text}: ${what}`, { mailbox: text, place: this.capabilities.scheme });
  }
}
