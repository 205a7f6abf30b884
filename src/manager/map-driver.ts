// Maps in a Manager, from a client's side: the driver behind openMap('unix:///path.sock?name=…').

import type { MapCapabilities } from '../state/map-capabilities.ts';
import type { MapDriver, MapFacts, MapItem, MapSetOptions, MapVersion } from '../state/map-driver.ts';
import type { MapPlace } from '../state/map-place.ts';
import type { FrameRecord } from '../wire/frames.ts';
import { PARAMETERS, readTarget } from './address.ts';
import { Handle } from './handle.ts';
import { tcpMap, unixMap } from './map-capabilities.ts';
import { checkOwner } from './owner.ts';
import { decodePage } from './pages.ts';
import { Verb } from './protocol.ts';

const NO_LEAVE = (): void => undefined;

function placeOf(capabilities: MapCapabilities): MapPlace {
  return {
    capabilities,
    parameters: PARAMETERS,
    takesKey: true,
    async open(url, options) {
      const { create = 'if-missing', maxEntries, capacityBytes, maxValueBytes, signal } = options;
      const target = readTarget(url, options.key);
      const owner = checkOwner(options.owner, target.text);
      const settings = { maxEntries, capacityBytes, maxValueBytes };
      const map: ManagerMap = new ManagerMap();
      const handle = await Handle.open(target, { kind: 'map', create, owner, settings }, signal, map);
      map.begin(handle, capabilities);
      return map;
    },
  };
}

export const unixMapPlace: MapPlace = placeOf(unixMap);
export const tcpMapPlace: MapPlace = placeOf(tcpMap);

class ManagerMap implements MapDriver {
  readonly #watchers = new Set<(key: string | undefined) => void>();
  #handle: Handle | undefined;
  #facts: MapFacts | undefined;

  begin(handle: Handle, capabilities: MapCapabilities): void {
    const { target, told } = handle;
    this.#handle = handle;
    this.#facts = {
      capabilities,
      text: target.text,
      address: target.address,
      secrets: target.secrets,
      maxKeyBytes: capabilities.limits.maxKeyBytes,
      maxValueBytes: told.settings['maxValueBytes'] as number,
      created: told.created,
    };
  }

  get facts(): MapFacts {
    return this.#facts as MapFacts;
  }

  async get(key: string): Promise<MapItem | undefined> {
    const { ref, x, y, body } = await this.#open().call(Verb.get, { text: key }, false);
    if (ref === 0) return undefined;
    return { key, value: body, version: this.#open().versionOf(x), expiresMs: y === 0 ? undefined : y };
  }

  async set(key: string, value: Uint8Array, { only, ttlMs }: MapSetOptions): Promise<boolean> {
    const handle = this.#open();
    const y = only === undefined ? 0 : 'absent' in only ? -1 : this.#open().numberOf(only.version);
    // Of another object than this: no entry here has it.
    if (y === undefined) return false;
    const { ref } = await handle.call(Verb.set, { text: key, body: value, x: ttlMs ?? 0, y }, true);
    return ref === 1;
  }

  async delete(key: string, version: MapVersion | undefined): Promise<boolean> {
    const handle = this.#open();
    const y = version === undefined ? 0 : this.#open().numberOf(version);
    if (y === undefined) return false;
    const { ref } = await handle.call(Verb.delete, { text: key, y }, true);
    return ref === 1;
  }

  async *entries(): AsyncGenerator<readonly MapItem[]> {
    const handle = this.#open();
    let number = 0;
    let leave = NO_LEAVE;
    try {
      for (;;) {
        const { x, body } = await handle.call(Verb.page, { x: number }, false);
        if (x === 0) {
          leave = NO_LEAVE;
          return;
        }
        number = x;
        leave = () => handle.tell(Verb.leave, { x });
        yield decodePage(body).map(({ key, value, version, expiresMs }) => ({
          key,
          value,
          version: this.#open().versionOf(version),
          expiresMs: expiresMs === 0 ? undefined : expiresMs,
        }));
      }
    } finally {
      leave();
    }
  }

  async clear(): Promise<void> {
    await this.#open().call(Verb.clear, {}, true);
  }

  async size(): Promise<number> {
    return (await this.#open().call(Verb.size, {}, false)).x;
  }

  async watch(changed: (key: string | undefined) => void): Promise<() => void> {
    const handle = this.#open();
    this.#watchers.add(changed);
    try {
      await handle.call(Verb.watch, {}, false);
    } catch (error) {
      this.#watchers.delete(changed);
      throw error;
    }
    return () => {
      if (this.#watchers.delete(changed) && this.#watchers.size === 0) handle.tell(Verb.unwatch, {});
    };
  }

  async close(): Promise<void> {
    await this.#open().close();
  }

  async unlink(): Promise<void> {
    await this.#open().unlink();
  }

  /** From the handle. */
  news(type: number, { text }: FrameRecord): void {
    if (type === Verb.changed) this.#tell(text === '' ? undefined : text);
  }

  back(): void {
    if (this.#watchers.size === 0) return;
    const failed = (): void => undefined;
    this.#open()
      .call(Verb.watch, {}, false)
      .then(() => this.#tell(undefined), failed);
  }

  failed(): void {
    // Who watches looks, and finds out.
    this.#tell(undefined);
  }

  #tell(key: string | undefined): void {
    for (const watcher of this.#watchers) watcher(key);
  }

  #open(): Handle {
    return this.#handle as Handle;
  }
}
