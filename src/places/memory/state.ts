// Maps of memory://name: within one thread, shared by its handles. The smallest driver there can be, and the reference for the others.

import { NaruError } from '../../errors/index.ts';
import { checkName } from '../../mailbox/parse-url.ts';
import type { PlaceUrl } from '../../mailbox/place.ts';
import { MAP_CONTENTS, MapContents } from '../../state/map-contents.ts';
import type { MapDriver, MapFacts, MapItem, MapSetOptions } from '../../state/map-driver.ts';
import type { MapPlace, MapPlaceOptions } from '../../state/map-place.ts';
import { memoryMap } from './map-capabilities.ts';

/** Entries given at a time by entries(). */
const BATCH = 256;

interface Shared {
  readonly name: string;
  readonly maxEntries: number;
  readonly capacityBytes: number;
  readonly maxValueBytes: number;
  readonly owner: 'users' | 'system';
  readonly contents: MapContents;
  handles: number;
  isUnlinked: boolean;
}

const maps = new Map<string, Shared>();

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
  const shared = existing ?? make(name, options);
  maps.set(name, shared);
  shared.handles += 1;
  return new MemoryMap(shared, url.text, existing === undefined);
}

function make(name: string, options: MapPlaceOptions): Shared {
  const limits = {
    maxEntries: options.maxEntries ?? MAP_CONTENTS.maxEntries,
    capacityBytes: options.capacityBytes ?? MAP_CONTENTS.capacityBytes,
  };
  return {
    name,
    ...limits,
    maxValueBytes: options.maxValueBytes ?? memoryMap.limits.maxValueBytes,
    owner: options.owner === 'system' ? 'system' : 'users',
    contents: new MapContents({ place: 'memory', ...limits, now: () => Date.now() }),
    handles: 0,
    isUnlinked: false,
  };
}

function compare(url: PlaceUrl, options: MapPlaceOptions, existing: Shared): void {
  for (const name of ['maxEntries', 'capacityBytes', 'maxValueBytes', 'owner'] as const) {
    const asked = options[name];
    if (asked !== undefined && asked !== existing[name])
      throw refusal(url, 'NARU_EXISTS', `it exists with ${name} ${existing[name]}, asked was ${asked}`);
  }
}

class MemoryMap implements MapDriver {
  readonly facts: MapFacts;
  readonly #shared: Shared;
  readonly #watchers = new Set<(key: string | undefined) => void>();
  #isClosed = false;

  constructor(shared: Shared, text: string, created: boolean) {
    this.#shared = shared;
    this.facts = {
      capabilities: memoryMap,
      text,
      address: `memory://${shared.name}`,
      maxKeyBytes: memoryMap.limits.maxKeyBytes,
      maxValueBytes: shared.maxValueBytes,
      created,
    };
  }

  get(key: string): MapItem | undefined {
    const item = this.#open().get(key);
    return item === undefined ? undefined : copyOf(item);
  }

  set(key: string, value: Uint8Array, options: MapSetOptions): boolean {
    return this.#open().set(key, value, options, this.facts.text);
  }

  delete(key: string, version: MapItem['version'] | undefined): boolean {
    return this.#open().delete(key, version);
  }

  *entries(): Generator<readonly MapItem[]> {
    for (const page of this.#open().pages(BATCH, Number.POSITIVE_INFINITY)) yield page.map(copyOf);
  }

  clear(): void {
    this.#open().clear();
  }

  size(): number {
    return this.#open().size;
  }

  watch(changed: (key: string | undefined) => void): () => void {
    const { watchers } = this.#open();
    this.#watchers.add(changed);
    watchers.add(changed);
    return () => {
      this.#watchers.delete(changed);
      watchers.delete(changed);
    };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const shared = this.#shared;
    for (const watcher of this.#watchers) shared.contents.watchers.delete(watcher);
    shared.handles -= 1;
    if (shared.handles === 0 && shared.owner === 'users' && !shared.isUnlinked) maps.delete(shared.name);
  }

  unlink(): void {
    const contents = this.#open();
    this.#shared.isUnlinked = true;
    maps.delete(this.#shared.name);
    contents.tellAll();
  }

  #open(): MapContents {
    const { isUnlinked, contents } = this.#shared;
    if (!this.#isClosed && !isUnlinked) return contents;
    const what = isUnlinked ? 'removed' : 'closed';
    throw new NaruError('NARU_CLOSED', `${this.facts.text}: the map was ${what}`, {
      place: 'memory',
      mailbox: this.facts.text,
    });
  }
}

function refusal(
  url: PlaceUrl,
  code: 'NARU_NOT_FOUND' | 'NARU_EXISTS' | 'NARU_UNSUPPORTED',
  what: string,
): NaruError {
  return new NaruError(code, `${url.text}: ${what}`, { place: 'memory', mailbox: url.text });
}

/** Bytes are the caller's own: changing them changes no entry. */
function copyOf(item: MapItem): MapItem {
  return { ...item, value: Uint8Array.prototype.slice.call(item.value) };
}
