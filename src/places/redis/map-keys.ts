// How a map lies in a Redis database. `naru:map:{name}` says that it exists and which generation it is; each entry is a key of its
// own, `naru:map:{name}:<generation>:<key>`, whose value starts with format, version and time of expiry. A map that was removed leaves a
// mark for a minute, by which handles that were away see that it is gone. Documented in docs/internals/redis-map.md.

import { VERSION_BYTES, type Versions, versionText } from '../../client/versions.ts';
import { NaruError } from '../../errors/index.ts';
import type { MapItem } from '../../state/map-driver.ts';
import { type Script, script } from './script.ts';

const FORMAT = 1;
/** Format (1), version (16), expiry in milliseconds since the epoch as a float (8; 0: never). */
const HEADER_BYTES = 1 + VERSION_BYTES + 8;
const REMOVED_MARK_MS = 60_000;

/** What `naru:map:{name}` holds, as JSON. */
export interface MapMark {
  readonly format: number;
  readonly generation: string;
  readonly maxValueBytes: number;
  readonly removed?: true;
}

export function markKey(name: string): string {
  return `naru:map:{${name}}`;
}

export function entryPrefix(name: string, generation: string): string {
  return `naru:map:{${name}}:${generation}:`;
}

/** @throws NARU_CORRUPT */
export function readMark(bytes: unknown, text: string): MapMark | undefined {
  if (bytes === null || bytes === undefined) return undefined;
  try {
    const mark = JSON.parse((bytes as Buffer).toString()) as MapMark;
    if (mark.format === FORMAT && /^[0-9a-f]{16}$/.test(mark.generation)) return mark;
  } catch {
    // Not ours.
  }
  throw new NaruError(
    'NARU_CORRUPT',
    `${text}: its mark in the database is not of format ${FORMAT}; update Naru, or choose another name`,
    { place: 'redis', mailbox: text },
  );
}

export function newMark(generation: string, maxValueBytes: number): string {
  return JSON.stringify({ format: FORMAT, generation, maxValueBytes } satisfies MapMark);
}

/** An entry's bytes in the database. */
export function packEntry(value: Uint8Array, versions: Versions, expiresMs: number | undefined): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + value.byteLength);
  bytes[0] = FORMAT;
  versions.write(bytes, 1);
  bytes.writeDoubleBE(expiresMs ?? 0, 1 + VERSION_BYTES);
  bytes.set(value, HEADER_BYTES);
  return bytes;
}

/** @throws NARU_CORRUPT */
export function unpackEntry(key: string, bytes: Buffer, text: string): MapItem {
  if (bytes.byteLength < HEADER_BYTES || bytes[0] !== FORMAT)
    throw new NaruError(
      'NARU_CORRUPT',
      `${text}: what the database holds for "${key.slice(0, 40)}" was not written by a map of format ${FORMAT}`,
      { place: 'redis', mailbox: text },
    );
  return new Entry(key, bytes);
}

/** The version in an entry's bytes. */
export function versionOf(bytes: Buffer): Buffer {
  return bytes.subarray(1, 1 + VERSION_BYTES);
}

/** Version and expiry are taken out of the bytes when somebody asks: most readers do not. */
class Entry implements MapItem {
  readonly key: string;
  readonly value: Uint8Array;
  readonly #bytes: Buffer;

  constructor(key: string, bytes: Buffer) {
    this.key = key;
    this.value = bytes.subarray(HEADER_BYTES);
    this.#bytes = bytes;
  }

  get version(): string {
    return versionText(versionOf(this.#bytes));
  }

  get expiresMs(): number | undefined {
    const expiresMs = this.#bytes.readDoubleBE(1 + VERSION_BYTES);
    return expiresMs === 0 ? undefined : expiresMs;
  }
}

/** Makes the map unless it is there. ARGV: the new mark. @returns the mark that holds now */
export const MAKE: Script = script(`
local mark = redis.call('GET', KEYS[1])
if mark and not cjson.decode(mark).removed then return mark end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]`);

/** Puts a mark back that the server lost, without taking the place of another. @returns the mark that holds now */
export const REVIVE: Script = script(`
local mark = redis.call('GET', KEYS[1])
if mark then return mark end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]`);

/** ARGV: the generation, the mark of a removed map. @returns 1 when it was there */
export const REMOVE: Script = script(`
local mark = redis.call('GET', KEYS[1])
if not mark then return 0 end
local held = cjson.decode(mark)
if held.removed or held.generation ~= ARGV[1] then return 0 end
held.removed = true
redis.call('SET', KEYS[1], cjson.encode(held), 'PX', ${REMOVED_MARK_MS})
return 1`);

/** ARGV: version, new bytes, time to live or ''. */
export const REPLACE: Script = script(`
if redis.call('GETRANGE', KEYS[1], 1, ${VERSION_BYTES}) ~= ARGV[1] then return 0 end
if ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1`);

/** ARGV: version. */
export const DELETE: Script = script(`
if redis.call('GETRANGE', KEYS[1], 1, ${VERSION_BYTES}) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`);
