// Maps of redis://host:6379/0?map=name, Valkey and rediss:// (TLS) too. Reading and writing are the server's plain GET and SET, sent together when
// several are called in one turn; only conditions are scripts. Where the map's mark lies and what removes it: map-link.ts.

import { randomBytes } from 'node:crypto';
import { checkEngineMap } from '../../client/map-settings.ts';
import { versionBytes, Versions } from '../../client/versions.ts';
import { isNaruError } from '../../errors/index.ts';
import type { PlaceUrl } from '../../mailbox/place.ts';
import type { MapCapabilities } from '../../state/map-capabilities.ts';
import type { MapDriver, MapFacts, MapItem, MapSetOptions, MapVersion } from '../../state/map-driver.ts';
import type { MapPlace } from '../../state/map-place.ts';
import type { RedisConnection } from './client.ts';
import { redisMap } from './map-capabilities.ts';
import { DELETE, markKey, packEntry, REMOVE, REPLACE, unpackEntry, versionOf } from './map-keys.ts';
import { MapLink } from './map-link.ts';
import { TLS_PARAMETERS, tlsQuery } from './tls.ts';
import { openWatch } from './watch-link.ts';

/** How many keys the server looks at for one answer. */
const SCAN_COUNT = '500';

export const mapPlace: MapPlace = {
  capabilities: redisMap,
  parameters: ['map', ...TLS_PARAMETERS],
  async open(url, options) {
    const name = checkEngineMap(url, options);
    const link = await MapLink.open(url, name, options);
    try {
      const capabilities = await link.run((connection) => capabilitiesOf(connection));
      return new RedisMap(link, factsOf(url, link, capabilities));
    } catch (error) {
      link.close();
      throw error;
    }
  },
};

function factsOf(url: PlaceUrl, link: MapLink, capabilities: MapCapabilities): MapFacts {
  const port = url.port === undefined ? '' : `:${url.port}`;
  return {
    capabilities,
    text: url.text,
    address: `${url.scheme}://${url.host}${port}${url.path}?map=${link.name}${tlsQuery(url)}`,
    maxKeyBytes: redisMap.limits.maxKeyBytes,
    maxValueBytes: link.mark.maxValueBytes,
    created: link.created,
  };
}

/** A server that may evict keeps not all. */
async function capabilitiesOf(connection: RedisConnection): Promise<MapCapabilities> {
  // A user who may not ask is told what servers do unless they are set up otherwise.
  const memory = String(await connection.read('INFO', 'memory').catch(() => ''));
  const evicts = !/maxmemory:0\s/.test(memory) && /maxmemory_policy:(?!noeviction)/.test(memory);
  return evicts ? { ...redisMap, features: { ...redisMap.features, keepsAll: 'none' } } : redisMap;
}

class RedisMap implements MapDriver {
  readonly facts: MapFacts;
  readonly #link: MapLink;
  readonly #versions = new Versions(randomBytes);
  readonly #watchers = new Set<(key: string | undefined) => void>();
  #watch: Promise<{ close(): void }> | undefined;

  constructor(link: MapLink, facts: MapFacts) {
    this.#link = link;
    this.facts = facts;
  }

  get(key: string): Promise<MapItem | undefined> {
    return this.#link.call(['GET', this.#link.prefix + key], false, (bytes) =>
      bytes === null ? undefined : unpackEntry(key, bytes as Buffer, this.facts.text),
    );
  }

  set(key: string, value: Uint8Array, { only, ttlMs }: MapSetOptions): Promise<boolean> {
    const name = this.#link.prefix + key;
    const bytes = packEntry(value, this.#versions, ttlMs === undefined ? undefined : Date.now() + ttlMs);
    const undo = (connection: RedisConnection): Promise<unknown> =>
      connection.script(DELETE, name, versionOf(bytes));
    if (only !== undefined && 'version' in only) {
      const expected = versionBytes(only.version);
      const life = ttlMs === undefined ? '' : String(ttlMs);
      return this.#link.run(
        async (connection) => (await connection.script(REPLACE, name, expected, bytes, life)) === 1,
        undo,
      );
    }
    const command = ['SET', name, bytes];
    if (only !== undefined) command.push('NX');
    if (ttlMs !== undefined) command.push('PX', String(ttlMs));
    return this.#link.call(command, true, isStored, undo);
  }

  delete(key: string, version: MapVersion | undefined): Promise<boolean> {
    const name = this.#link.prefix + key;
    return this.#link.run(async (connection) => {
      if (version === undefined) return (await connection.write('DEL', name)) === 1;
      return (await connection.script(DELETE, name, versionBytes(version))) === 1;
    });
  }

  async *entries(): AsyncGenerator<readonly MapItem[]> {
    const { prefix } = this.#link;
    for await (const names of this.#scan()) {
      const values = await this.#link.run((connection) => connection.read('MGET', ...names));
      const items: MapItem[] = [];
      for (const [at, bytes] of (values as (Buffer | null)[]).entries()) {
        const name = names[at] as string;
        // Deleted or expired since its name was given.
        if (bytes !== null) items.push(unpackEntry(name.slice(prefix.length), bytes, this.facts.text));
      }
      if (items.length > 0) yield items;
    }
  }

  async clear(): Promise<void> {
    for await (const names of this.#scan())
      await this.#link.run((connection) => connection.write('UNLINK', ...names));
  }

  async size(): Promise<number> {
    let size = 0;
    for await (const names of this.#scan()) size += names.length;
    return size;
  }

  async watch(changed: (key: string | undefined) => void): Promise<() => void> {
    this.#watchers.add(changed);
    this.#watch ??= openWatch(this.#link.target, this.#link.prefix, (key) => {
      for (const watcher of this.#watchers) watcher(key);
    });
    const stop = (): void => {
      if (!this.#watchers.delete(changed) || this.#watchers.size > 0) return;
      this.#stopWatching();
    };
    try {
      await this.#watch;
      return stop;
    } catch (error) {
      stop();
      throw error;
    }
  }

  close(): void {
    this.#stopWatching();
    this.#link.close();
  }

  async unlink(): Promise<void> {
    const { name, mark, prefix } = this.#link;
    await this.#link
      .run(async (connection) => {
        await connection.script(REMOVE, markKey(name), mark.generation);
        for await (const names of scan(connection, prefix)) await connection.write('UNLINK', ...names);
      })
      .catch((error: unknown) => {
        // That it is gone is what was wanted.
        if (!isNaruError(error, 'NARU_CLOSED')) throw error;
      });
  }

  #stopWatching(): void {
    const watch = this.#watch;
    this.#watch = undefined;
    watch?.then(
      (link) => link.close(),
      () => undefined,
    );
  }

  async *#scan(): AsyncGenerator<string[]> {
    const { prefix } = this.#link;
    const seen = new Set<string>();
    let cursor = '0';
    do {
      const from = cursor;
      const [next, names] = await this.#link.run((connection) => scanOnce(connection, prefix, from));
      cursor = next;
      const fresh = names.filter((name) => !seen.has(name));
      for (const name of fresh) seen.add(name);
      if (fresh.length > 0) yield fresh;
    } while (cursor !== '0');
  }
}

/** SET NX answers nothing where there is an entry. */
function isStored(answer: unknown): boolean {
  return answer !== null;
}

async function scanOnce(
  connection: RedisConnection,
  prefix: string,
  cursor: string,
): Promise<readonly [string, string[]]> {
  const answer = await connection.read('SCAN', cursor, 'MATCH', `${prefix}*`, 'COUNT', SCAN_COUNT);
  const [next, names] = answer as [Buffer, Buffer[]];
  return [next.toString(), names.map((name) => name.toString())];
}

/** All names, some of them perhaps twice. */
async function* scan(connection: RedisConnection, prefix: string): AsyncGenerator<string[]> {
  let cursor = '0';
  do {
    const [next, names] = await scanOnce(connection, prefix, cursor);
    cursor = next;
    if (names.length > 0) yield names;
  } while (cursor !== '0');
}
