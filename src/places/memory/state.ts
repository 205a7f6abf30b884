// Maps of memory://name: within one thread, shared by its handles. The smallest driver there can be, and the reference for the others.

import { NaruError } from '../../errors/index.ts';
import { checkName } from '../../mailbox/parse-url.ts';
import type { PlaceUrl } from '../../mailbox/place.ts';
import type { MapCondition, MapDriver, MapFacts, MapItem, MapSetOptions } from '../../state/map-driver.ts';
import type { MapPlace, MapPlaceOptions } from '../../state/map-place.ts';
import { memoryMap } from './map-capabilities.ts';

/** What a map is made with unless more is asked for. */
const MAX_ENTRIES = 1_000_000;
const CAPACITY_BYTES = 64 * 1024 * 1024;
/** Entries given at a time by entries(). */
const BATCH = 256;

interface Contents {
  readonly name: string;
  readonly maxEntries: number;
  readonly capacityBytes: number;
  readonly maxValueBytes: number;
  readonly owner: 'users' | 'system';
  readonly items: Map<string, MapItem>;
  readonly watchers: Set<(key: string | undefined) => void>;
  bytes: number;
  version: number;
  handles: number;
  isUnlinked: boolean;
}

const maps = new Map<string, Contents>();

export const mapPlace: MapPlace = {
  capabilities: memoryMap,
  parameters: [],
  // oxlint-disable-next-line require-await -- the interface is asynchronous
  open: async (url, options) => openNow(url, options),
};

function openNow(url: PlaceUrl, options: MapPlaceOptions): MemoryMap {
  const name = checkName(url.host, url.text);
  const existing = maps.get(name);
  if (existing === undefined && options.create === 'never')
    throw refusal(url, 'NARU_NOT_FOUND', 'there is no such map in this thread, and create is "never"');
  if (existing !== undefined && options.create === 'new')
    throw refusal(url, 'NARU_EXISTS', 'it exists already, and create is "new"; choose another name');
  if (options.owner === 'process')
    throw refusal(url, 'NARU_UNSUPPORTED', 'a map in one thread has no other owner; leave owner out');
  if (existing !== undefined) compare(url, options, existing);
  const contents = existing ?? make(name, options);
  maps.set(name, contents);
  contents.handles += 1;
  return new MemoryMap(contents, url.text, existing === undefined);
}

function make(name: string, options: MapPlaceOptions): Contents {
  return {
    name,
    maxEntries: options.maxEntries ?? MAX_ENTRIES,
    capacityBytes: options.capacityBytes ?? CAPACITY_BYTES,
    maxValueBytes: options.maxValueBytes ?? memoryMap.limits.maxValueBytes,
    owner: options.owner === 'system' ? 'system' : 'users',
    items: new Map(),
    watchers: new Set(),
    bytes: 0,
    version: 0,
    handles: 0,
    isUnlinked: false,
  };
}

function compare(url: PlaceUrl, options: MapPlaceOptions, existing: Contents): void {
  for (const name of ['maxEntries', 'capacityBytes', 'maxValueBytes', 'owner'] as const) {
    const asked = options[name];
    if (asked !== undefined && asked !== existing[name])
      throw refusal(url, 'NARU_EXISTS', `it exists with ${name} ${existing[name]}, asked was ${asked}`);
  }
}

class MemoryMap implements MapDriver {
  readonly facts: MapFacts;
  readonly #contents: Contents;
  readonly #watchers = new Set<(key: string | undefined) => void>();
  #isClosed = false;

  constructor(contents: Contents, text: string, created: boolean) {
    this.#contents = contents;
    this.facts = {
      capabilities: memoryMap,
      text,
      address: `memory://${contents.name}`,
      maxKeyBytes: memoryMap.limits.maxKeyBytes,
      maxValueBytes: contents.maxValueBytes,
      created,
    };
  }

  get(key: string): MapItem | undefined {
    this.#checkOpen();
    return this.#living(key);
  }

  set(key: string, value: Uint8Array, { only, ttlMs }: MapSetOptions): boolean {
    this.#checkOpen();
    const contents = this.#contents;
    const before = this.#living(key);
    if (!holds(only, before)) return false;
    this.#checkRoom(key, value, before);
    contents.version += 1;
    this.#remove(key);
    contents.items.set(key, {
      key,
      value: value.slice(),
      version: contents.version,
      expiresMs: ttlMs === undefined ? undefined : Date.now() + ttlMs,
    });
    contents.bytes += sizeOf(key, value);
    this.#tell(key);
    return true;
  }

  delete(key: string, version: MapItem['version'] | undefined): boolean {
    this.#checkOpen();
    const item = this.#living(key);
    if (item === undefined || (version !== undefined && item.version !== version)) return false;
    this.#remove(key);
    this.#tell(key);
    return true;
  }

  *entries(): Generator<readonly MapItem[]> {
    this.#checkOpen();
    const items = this.#allLiving();
    for (let at = 0; at < items.length; at += BATCH) yield items.slice(at, at + BATCH);
  }

  clear(): void {
    this.#checkOpen();
    this.#contents.items.clear();
    this.#contents.bytes = 0;
    this.#tell(undefined);
  }

  size(): number {
    this.#checkOpen();
    return this.#allLiving().length;
  }

  watch(changed: (key: string | undefined) => void): () => void {
    this.#checkOpen();
    this.#watchers.add(changed);
    this.#contents.watchers.add(changed);
    return () => {
      this.#watchers.delete(changed);
      this.#contents.watchers.delete(changed);
    };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const contents = this.#contents;
    for (const watcher of this.#watchers) contents.watchers.delete(watcher);
    contents.handles -= 1;
    if (contents.handles === 0 && contents.owner === 'users' && !contents.isUnlinked)
      maps.delete(contents.name);
  }

  unlink(): void {
    this.#checkOpen();
    this.#contents.isUnlinked = true;
    maps.delete(this.#contents.name);
    this.#tell(undefined);
  }

  #tell(key: string | undefined): void {
    for (const watcher of this.#contents.watchers) watcher(key);
  }

  #living(key: string): MapItem | undefined {
    const item = this.#contents.items.get(key);
    if (item === undefined || item.expiresMs === undefined || item.expiresMs > Date.now()) return item;
    this.#remove(key);
    return undefined;
  }

  #allLiving(): MapItem[] {
    return [...this.#contents.items.keys()].flatMap((key) => this.#living(key) ?? []);
  }

  #remove(key: string): void {
    const { items } = this.#contents;
    const item = items.get(key);
    if (item === undefined) return;
    items.delete(key);
    this.#contents.bytes -= sizeOf(key, item.value);
  }

  #checkRoom(key: string, value: Uint8Array, before: MapItem | undefined): void {
    const contents = this.#contents;
    const { items, maxEntries, capacityBytes } = contents;
    const more = sizeOf(key, value) - (before === undefined ? 0 : sizeOf(key, before.value));
    const fits = (): boolean =>
      (before !== undefined || items.size < maxEntries) && contents.bytes + more <= capacityBytes;
    if (fits()) return;
    // What has expired without anybody asking for it takes no room from the living.
    this.#allLiving();
    if (fits()) return;
    const { bytes } = contents;
    throw new NaruError(
      'NARU_FULL',
      `${this.facts.text}: no room for "${key.slice(0, 40)}": ${items.size} entries of ${maxEntries}, ${bytes} bytes of ` +
        `${capacityBytes}; delete some, or make the map larger`,
      { place: 'memory', mailbox: this.facts.text },
    );
  }

  #checkOpen(): void {
    const { isUnlinked } = this.#contents;
    if (!this.#isClosed && !isUnlinked) return;
    throw new NaruError(
      'NARU_CLOSED',
      `${this.facts.text}: the map was ${isUnlinked ? 'removed' : 'closed'}`,
      {
        place: 'memory',
        mailbox: this.facts.text,
      },
    );
  }
}

function holds(only: MapCondition | undefined, item: MapItem | undefined): boolean {
  if (only === undefined) return true;
  return 'absent' in only ? item === undefined : item?.version === only.version;
}

function sizeOf(key: string, value: Uint8Array): number {
  return Buffer.byteLength(key) + value.byteLength;
}

function refusal(
  url: PlaceUrl,
  code: 'NARU_NOT_FOUND' | 'NARU_EXISTS' | 'NARU_UNSUPPORTED',
  what: string,
): NaruError {
  return new NaruError(code, `${url.text}: ${what}`, { place: 'memory', mailbox: url.text });
}
