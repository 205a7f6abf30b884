// Maps of memcached://host:11211?map=name. A version is memcached's own cas, with the run of the server that gave it. memcached expires by
// whole seconds, so an entry carries the millisecond at which it expires in its 32 flag bits, and its readers look at that.

import { NaruError } from '../../errors/index.ts';
import type { PlaceUrl } from '../../mailbox/place.ts';
import { checkEngineMap } from '../../client/map-settings.ts';
import { Reconnecting } from '../../client/reconnecting.ts';
import type { MapDriver, MapFacts, MapItem, MapSetOptions, MapVersion } from '../../state/map-driver.ts';
import type { MapPlace, MapPlaceOptions } from '../../state/map-place.ts';
import { MemcachedConnection, memcachedTarget } from './client.ts';
import { memcachedMap } from './map-capabilities.ts';
import { type Answer, deleteRequest, getRequest, lookRequest, part, setRequest } from './protocol.ts';

/** So that the prefix leaves room for keys: a key of the server has at most 250 bytes, as base64. */
const NAME_LENGTH_MAX = 64;
/** What an item needs beside its value: its key and memcached's own part. */
const ITEM_OVERHEAD_BYTES = 1024;
/** An exptime of more seconds is a Unix time. */
const RELATIVE_SECONDS_MAX = 30 * 24 * 3600;

export const mapPlace: MapPlace = {
  capabilities: memcachedMap,
  parameters: ['map'],
  async open(url, options) {
    const name = checkOptions(url, options);
    const target = memcachedTarget(url);
    const link = await Reconnecting.open(
      (lost) => MemcachedConnection.connect(target, lost),
      { place: 'memcached', text: url.text },
      options.signal,
    );
    const room = (link.current?.itemBytesMax ?? 0) - ITEM_OVERHEAD_BYTES;
    return new MemcachedMap(link, name, factsOf(url, name, options.maxValueBytes, room));
  },
};

function checkOptions(url: PlaceUrl, options: MapPlaceOptions): string {
  const name = checkEngineMap(url, options);
  if (options.create !== undefined && options.create !== 'if-missing')
    throw refusal(
      url,
      'NARU_UNSUPPORTED',
      `a cache cannot tell whether a map is there, which create "${options.create}" needs; leave create out`,
    );
  if (name.length <= NAME_LENGTH_MAX) return name;
  throw refusal(
    url,
    'NARU_INVALID_ARGUMENT',
    `a map of memcached has a name of at most ${NAME_LENGTH_MAX} characters, got ${name.length}`,
  );
}

function factsOf(url: PlaceUrl, name: string, asked: number | undefined, room: number): MapFacts {
  if (asked !== undefined && asked > room)
    throw refusal(
      url,
      'NARU_LIMIT',
      `maxValueBytes ${asked} is more than the ${room} bytes that this server takes; start it with a larger -I`,
    );
  const user = url.username === '' ? '' : `${encodeURIComponent(url.username)}@`;
  const port = url.port === undefined ? '' : `:${url.port}`;
  return {
    capabilities: memcachedMap,
    text: url.text,
    address: `memcached://${user}${url.host}${port}?map=${name}`,
    maxKeyBytes: memcachedMap.limits.maxKeyBytes,
    maxValueBytes: asked ?? room,
    created: false,
  };
}

class MemcachedMap implements MapDriver {
  readonly facts: MapFacts;
  readonly #link: Reconnecting<MemcachedConnection>;
  readonly #prefix: string;

  constructor(link: Reconnecting<MemcachedConnection>, name: string, facts: MapFacts) {
    this.#link = link;
    this.#prefix = `naru:${name}:`;
    this.facts = facts;
  }

  get(key: string): Promise<MapItem | undefined> {
    const request = getRequest(this.#prefix + key);
    return this.#link.run(async (connection) => {
      const answer = await connection.request(request, false);
      return itemOf(key, answer, connection.boot);
    });
  }

  set(key: string, value: Uint8Array, { only, ttlMs }: MapSetOptions): Promise<boolean> {
    const name = this.#prefix + key;
    const life = lifeOf(ttlMs);
    return this.#link.run(async (connection) => {
      if (only === undefined)
        return isDone(await connection.request(setRequest(name, value, { ...life, only }), true));
      if ('version' in only) {
        const cas = casOf(only.version, connection.boot);
        if (cas === undefined) return false;
        return isDone(await connection.request(setRequest(name, value, { ...life, only: cas }), true));
      }
      if (isDone(await connection.request(setRequest(name, value, { ...life, only: 'absent' }), true)))
        return true;
      const held = await connection.request(lookRequest(name), false);
      const cas = part(held, 'c');
      // In memcached's eyes an entry lives for up to two seconds more.
      if (cas === undefined || !isExpired(Number(part(held, 'f')))) return false;
      return isDone(await connection.request(setRequest(name, value, { ...life, only: BigInt(cas) }), true));
    });
  }

  delete(key: string, version: MapVersion | undefined): Promise<boolean> {
    const name = this.#prefix + key;
    return this.#link.run(async (connection) => {
      if (version !== undefined) {
        const cas = casOf(version, connection.boot);
        return cas !== undefined && isDone(await connection.request(deleteRequest(name, cas), true));
      }
      const held = await connection.request(lookRequest(name), false);
      if (held.words[0] !== 'HD' || isExpired(Number(part(held, 'f')))) return false;
      return isDone(await connection.request(deleteRequest(name, undefined), true));
    });
  }

  entries(): never {
    throw this.#lacks('iteration');
  }

  clear(): never {
    throw this.#lacks('iteration');
  }

  size(): never {
    throw this.#lacks('iteration');
  }

  watch(): never {
    throw this.#lacks('watch');
  }

  close(): void {
    this.#link.close();
  }

  unlink(): never {
    throw this.#lacks('iteration, so a map cannot be removed: let its entries expire, or flush the server');
  }

  #lacks(what: string): NaruError {
    return new NaruError('NARU_UNSUPPORTED', `${this.facts.text}: memcached has no ${what}`, {
      place: 'memcached',
      mailbox: this.facts.text,
    });
  }
}

/** `HD`: done. `NS`, `EX`, `NF`: the condition did not hold. */
function isDone({ words }: Answer): boolean {
  return words[0] === 'HD';
}

function itemOf(key: string, answer: Answer, boot: string): MapItem | undefined {
  if (answer.value === undefined) return undefined;
  const flags = Number(part(answer, 'f'));
  if (isExpired(flags)) return undefined;
  const expiresMs = expiryOf(flags);
  return {
    key,
    value: answer.value,
    version: `${part(answer, 'c')}@${boot}${expiresMs === undefined ? '' : `/${expiresMs}`}`,
    expiresMs,
  };
}

/** @returns the cas of a version; undefined when no entry can have that version any more */
function casOf(version: MapVersion, boot: string): bigint | undefined {
  const match = /^(\d{1,20})@([^/]+)(?:\/(\d+))?$/.exec(String(version));
  if (match === null || match[2] !== boot) return undefined;
  if (match[3] !== undefined && Number(match[3]) <= Date.now()) return undefined;
  return BigInt(match[1] as string);
}

/** Flags and exptime of an entry. Flags: the time of expiry in ms, its lower 32 bits; 0: never. */
function lifeOf(ttlMs: number | undefined): { readonly flags: number; readonly exptime: number } {
  if (ttlMs === undefined) return { flags: 0, exptime: 0 };
  const expiresMs = Date.now() + ttlMs;
  const seconds = Math.ceil(ttlMs / 1000) + 1;
  return {
    flags: expiresMs % 2 ** 32 || 1,
    exptime: seconds <= RELATIVE_SECONDS_MAX ? seconds : Math.ceil(expiresMs / 1000) + 1,
  };
}

/** A time to live is below 2³¹ ms and memcached forgets soon after, so the lower bits tell the whole time. */
function expiryOf(flags: number): number | undefined {
  if (flags === 0) return undefined;
  const now = Date.now();
  return now + ((flags - (now % 2 ** 32)) | 0);
}

function isExpired(flags: number): boolean {
  const expiresMs = expiryOf(flags);
  return expiresMs !== undefined && expiresMs <= Date.now();
}

function refusal(
  url: PlaceUrl,
  code: 'NARU_UNSUPPORTED' | 'NARU_INVALID_ARGUMENT' | 'NARU_LIMIT',
  what: string,
): NaruError {
  return new NaruError(code, `${url.text}: ${what}`, { place: 'memcached', mailbox: url.text });
}
