// naru/state: from a URL to a shared map, value or array. Joins the registry of places with the models in state/; nothing else may know both.

import { NaruError } from './errors/index.ts';
import { type Codec, type CodecName, resolveCodec } from './mailbox/codec.ts';
import type { InputOf, OutputOf, Schema } from './mailbox/schema.ts';
import type { PlaceUrl } from './mailbox/place.ts';
import { openDeadline } from './mailbox/waiting.ts';
import type { ManagerArray, ManagerValue } from './manager/cells.ts';
import type { ManagerList } from './manager/list.ts';
import {
  CELL_PLACES,
  FAR_CELLS,
  LIST_PLACES,
  MAP_PLACES,
  type MapPlaceTypes,
} from './places/state-registry.ts';
import { SharedArray } from './state/array.ts';
import { checkCellParameters, type OpenCellOptions, readCellRequest } from './state/cell-options.ts';
import type { CellPlaceOptions } from './state/cell-place.ts';
import type { CellDriver } from './state/cells.ts';
import { type NumberCode, parseElement, type TypedArrays, type ValueCode } from './state/elements.ts';
import { SharedMap } from './state/map.ts';
import type { MapCapabilities, MapFeature, MapFeaturesOf } from './state/map-capabilities.ts';
import {
  checkMapRequest,
  type MapRequest,
  type OpenMapOptions,
  readMapRequest,
} from './state/map-options.ts';
import type { MapDriver } from './state/map-driver.ts';
import type { MapPlace, MapPlaceOptions } from './state/map-place.ts';
import { noKey } from './mailbox/no-key.ts';
import { MapValues } from './state/map-values.ts';
import { SharedValue } from './state/value.ts';
import { CONSTRUCTORS } from './state/view.ts';

export type { ManagerArray, ManagerValue } from './manager/cells.ts';
export { Manager, type ManagerOptions, type ManagerStats } from './manager/manager.ts';
export type { ListEntry, ManagerList } from './manager/list.ts';
export type { SharedArray } from './state/array.ts';
export type { OpenCellOptions } from './state/cell-options.ts';
export type { IntegerCode, NumberCode, TypedArrays, ValueCode, ValueOf } from './state/elements.ts';
export type { Frozen } from './state/frozen.ts';
export {
  MAP_FEATURES,
  type MapCapabilities,
  type MapFeature,
  type MapLacks,
} from './state/map-capabilities.ts';
export type { MapVersion } from './state/map-driver.ts';
export type { OpenMapOptions } from './state/map-options.ts';
export type { MapWatcher } from './state/map-watch.ts';
export type { DeleteOptions, MapChange, MapEntry, SetOptions, SharedMap, WatchOptions } from './state/map.ts';

export type { SharedValue } from './state/value.ts';
export type { Lock, LockGuard } from './sync/lock.ts';

type SchemeOf<U extends string> = U extends `${infer S}://${string}` ? S : never;
type FeaturesOfOne<U extends string> =
  SchemeOf<U> extends infer S
    ? S extends keyof MapPlaceTypes
      ? MapFeaturesOf<MapPlaceTypes[S]>
      : never
    : never;
/** Over a union of URLs only what every one of them has remains. */
type LackedBy<U extends string> = U extends unknown ? Exclude<MapFeature, FeaturesOfOne<U>> : never;

/** The features a literal URL's maps are known to have; none for a URL known only at run time (use `needs`). */
export type MapFeaturesOfUrl<U extends string> = string extends U ? never : Exclude<MapFeature, LackedBy<U>>;

type ValueIn<S, C> = S extends Schema ? InputOf<S> : CodecValue<C>;
type ValueOut<S, C> = S extends Schema ? OutputOf<S> : CodecValue<C>;
// biome-ignore format: one line a codec
type CodecValue<C> =
  C extends 'bytes' ? Uint8Array :
  C extends 'text' ? string :
  C extends Codec<infer T> ? T :
  unknown;

/**
 * Opens a map that several processes share.
 *
 * @param url      where it lives: `shm://name`, `memory://name`, with options as parameters. A literal URL gives a type that only
 *                 has what the place's maps can do.
 * @param options  the same options and more; they win over the URL's
 * @throws NARU_INVALID_ARGUMENT  URL or option is wrong
 * @throws NARU_UNSUPPORTED       the place cannot do what was asked; names everything missing and where it exists
 * @throws NARU_NOT_FOUND, NARU_EXISTS, NARU_DENIED, NARU_LIMIT, NARU_CORRUPT, NARU_DISCONNECTED
 * @throws NARU_TIMEOUT           it took longer than `timeoutMs` (10 s)
 * @throws NARU_NATIVE_MISSING, NARU_PACKAGE_MISSING  the place needs what is not installed
 */
export async function openMap<
  const U extends string,
  const N extends MapFeature = never,
  S extends Schema | undefined = undefined,
  const C extends CodecName | Codec | undefined = undefined,
>(
  url: U,
  options: OpenMapOptions<N, S> & { readonly codec?: C } = {},
): Promise<SharedMap<ValueIn<S, C>, ValueOut<S, C>, MapFeaturesOfUrl<U> | N>> {
  const map = await openAny(readMapRequest(url, options));
  return map as unknown as SharedMap<ValueIn<S, C>, ValueOut<S, C>, MapFeaturesOfUrl<U> | N>;
}

/** What openList() takes beside the URL: the options of openMap() that a list has too. */
export type OpenListOptions<S extends Schema | undefined = Schema | undefined> = Pick<
  OpenMapOptions<never, S>,
  'codec' | 'schema' | 'create' | 'owner' | 'maxEntries' | 'key' | 'signal' | 'timeoutMs'
>;

/**
 * Opens a list that several processes share. Lists live in a Manager.
 *
 * @param url  `unix:///path.sock?name=log`, `tcp://host:port/log`, with options as parameters
 * @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED  URL or option is wrong, or the place has no lists
 * @throws NARU_EXISTS  the name is something else; NARU_NOT_FOUND, NARU_DENIED (the key), NARU_DISCONNECTED, NARU_LIMIT, NARU_TIMEOUT (10 s)
 */
export async function openList<
  S extends Schema | undefined = undefined,
  const C extends CodecName | Codec | undefined = undefined,
>(
  url: string,
  options: OpenListOptions<S> & { readonly codec?: C } = {},
): Promise<ManagerList<ValueIn<S, C>, ValueOut<S, C>>> {
  const { url: parts, options: all } = readMapRequest(url, options);
  const strange = (['needs', 'emulate', 'ttlMs', 'survives', 'capacityBytes', 'maxValueBytes'] as const).find(
    (name) => all[name] !== undefined,
  );
  if (strange !== undefined) throw invalid(parts, `a list has no option ${strange}`);
  const load = Object.hasOwn(LIST_PLACES, parts.scheme) ? LIST_PLACES[parts.scheme] : undefined;
  if (load === undefined)
    throw invalid(parts, 'lists live in a Manager: unix:///path.sock?name=log, tcp://host:port/log');
  const { ManagerList: List, openListHandle, PARAMETERS } = await load();
  const unknown = Object.keys(parts.extra).filter((name) => !PARAMETERS.includes(name));
  if (unknown.length > 0) throw invalid(parts, `unknown parameter ${unknown.join(', ')}`);
  const codec = resolveCodec(all.codec);
  const deadline = openDeadline(all, parts.text);
  try {
    const handle = await openListHandle(parts, { ...placeOptionsOf(all), signal: deadline.signal });
    const list = new List(handle, codec, all.schema, all.codec);
    return list as ManagerList<ValueIn<S, C>, ValueOut<S, C>>;
  } catch (error) {
    throw deadline.signal.aborted ? deadline.signal.reason : error;
  } finally {
    deadline.stop();
  }
}

function placeOptionsOf(options: OpenMapOptions): Omit<MapPlaceOptions, 'signal'> {
  return {
    create: options.create,
    owner: options.owner,
    survives: options.survives,
    capacityBytes: options.capacityBytes,
    maxEntries: options.maxEntries,
    maxValueBytes: options.maxValueBytes,
    key: options.key,
  };
}

function invalid({ text }: PlaceUrl, what: string): NaruError {
  return new NaruError('NARU_INVALID_ARGUMENT', `${text}: ${what}`, { mailbox: text });
}

/**
 * Opens a number, boolean, text or piece of bytes that several processes share.
 *
 * In memory its operations are done at once; in a Manager (`unix:`, `tcp:`) each gives a promise.
 *
 * @param url   `shm://name`, `unix:///path.sock?name=total`, `tcp://host:port/total`, with options as parameters
 * @param type  `i8` to `u64`, `f32`, `f64`, `bool`, `text:N` or `bytes:N` (at most N bytes). The type of the value follows from it.
 * @throws NARU_INVALID_ARGUMENT  URL, type or option is wrong
 * @throws NARU_EXISTS            there is an array or a map, or a value of another type
 * @throws NARU_NOT_FOUND, NARU_DENIED, NARU_LIMIT, NARU_CORRUPT, NARU_UNSUPPORTED, NARU_NATIVE_MISSING, NARU_TIMEOUT (10 s)
 */
export async function openValue<const U extends string, const C extends ValueCode>(
  url: U,
  type: C,
  options: OpenCellOptions = {},
): Promise<ValueAt<U, C>> {
  const value = await openCells(url, 'value', type, undefined, options);
  return value as unknown as ValueAt<U, C>;
}

/** What openValue() gives for a literal URL; for one known only at run time either. */
export type ValueAt<U extends string, C extends ValueCode> = At<U, SharedValue<C>, ManagerValue<C>>;
/** What openArray() gives for a literal URL; for one known only at run time either. */
export type ArrayAt<U extends string, C extends NumberCode> = At<U, SharedArray<C>, ManagerArray<C>>;
type At<U extends string, Near, Far> = string extends U
  ? Near | Far
  : U extends `unix://${string}` | `tcp://${string}`
    ? Far
    : Near;

/** A class of typed arrays, and the code of its elements. */
type CodeOf<T> = { [C in NumberCode]: T extends TypedArrays[C] ? C : never }[NumberCode];

/**
 * Opens an array of numbers that several processes share.
 *
 * @param url     `shm://name`, with options as parameters
 * @param type    a class of typed arrays, `Float64Array`, or its code, `f64`
 * @param length  how many elements; leave it out to take what exists
 * @throws NARU_INVALID_ARGUMENT  URL, type, length or option is wrong
 * @throws NARU_EXISTS            there is a value or a map, or an array of another type or length
 * @throws NARU_NOT_FOUND, NARU_DENIED, NARU_LIMIT, NARU_CORRUPT, NARU_UNSUPPORTED, NARU_NATIVE_MISSING, NARU_TIMEOUT (10 s)
 */
export function openArray<const U extends string, const C extends NumberCode>(
  url: U,
  type: C,
  length?: number,
  options?: OpenCellOptions,
): Promise<ArrayAt<U, C>>;
export function openArray<const U extends string, T>(
  url: U,
  type: new (length: number) => T,
  length?: number,
  options?: OpenCellOptions,
): Promise<ArrayAt<U, CodeOf<T>>>;
export async function openArray(
  url: string,
  type: unknown,
  length?: number,
  options: OpenCellOptions = {},
): Promise<SharedArray | ManagerArray> {
  if (length !== undefined && !(Number.isInteger(length) && length >= 1 && length <= 2 ** 28))
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${String(url)}: length is a whole number from 1 to ${2 ** 28}`,
    );
  return openCells(url, 'array', arrayCode(type), length, options) as Promise<SharedArray | ManagerArray>;
}

/**
 * Opens a value that exists, whatever its type is. @internal
 * @throws as openValue()
 */
export async function openAnyValue(
  url: string,
  options: OpenCellOptions = {},
): Promise<SharedValue | ManagerValue> {
  return (await openCells(url, 'value', undefined, undefined, options)) as SharedValue | ManagerValue;
}

function arrayCode(type: unknown): unknown {
  const found = Object.entries(CONSTRUCTORS).find(([code, one]) => one === type && code !== 'bool');
  const code = found?.[0] ?? type;
  // Texts and booleans have no array: their elements would be neither checked nor views.
  return typeof code === 'string' && /^[iuf]\d+$/.test(code) ? code : `array of ${String(code)}`;
}

async function openCells(
  url: string,
  type: 'value' | 'array',
  code: unknown,
  length: number | undefined,
  given: OpenCellOptions,
): Promise<SharedValue | SharedArray | ManagerValue | ManagerArray> {
  const { url: parts, options } = readCellRequest(url, given);
  const element = code === undefined ? undefined : parseElement(code, parts.text);
  const deadline = openDeadline(options, parts.text);
  const { create, owner, key } = options;
  const asked = { type, element, length, create, owner, signal: deadline.signal };
  try {
    const far = Object.hasOwn(FAR_CELLS, parts.scheme) ? FAR_CELLS[parts.scheme] : undefined;
    if (far !== undefined) return await (await far()).openManagerCells(parts, { ...asked, key });
    if (key !== undefined) throw noKey(parts);
    const driver = await openCellDriver(parts, asked);
    return type === 'value' ? new SharedValue(driver) : new SharedArray(driver);
  } catch (error) {
    throw deadline.signal.aborted ? deadline.signal.reason : error;
  } finally {
    deadline.stop();
  }
}

async function openCellDriver(parts: PlaceUrl, asked: CellPlaceOptions): Promise<CellDriver> {
  const load = Object.hasOwn(CELL_PLACES, parts.scheme) ? CELL_PLACES[parts.scheme] : undefined;
  if (load === undefined)
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${parts.text}: ${parts.scheme}:// has no values and arrays; places that have: ${[...Object.keys(CELL_PLACES), ...Object.keys(FAR_CELLS)].join(', ')}`,
      { mailbox: parts.text },
    );
  const { cellPlace } = await load();
  checkCellParameters(parts, cellPlace.parameters);
  return await cellPlace.open(parts, asked);
}

/** What the maps of every place can do, in the registry's order. */
export async function allMapCapabilities(): Promise<readonly MapCapabilities[]> {
  const places = await Promise.all(Object.values(MAP_PLACES).map((load) => load()));
  // Two schemes may be one place.
  return [...new Set(places.map(({ mapPlace }) => mapPlace.capabilities))];
}

async function openAny(request: MapRequest): Promise<SharedMap> {
  const { url, options } = request;
  const codec = resolveCodec(options.codec);
  const place = await loadPlace(request);
  await checkMapRequest(request, place.capabilities, place, allMapCapabilities);
  const deadline = openDeadline(options, url.text);
  try {
    const driver = await place.open(url, { ...placeOptionsOf(options), signal: deadline.signal });
    await checkAgain(request, place, driver);
    return new SharedMap({
      driver,
      values: new MapValues(driver.facts, codec, options.schema),
      ttlMs: options.ttlMs,
      emulate: options.emulate ?? [],
      codec: options.codec,
    });
  } catch (error) {
    throw deadline.signal.aborted ? deadline.signal.reason : error;
  } finally {
    deadline.stop();
  }
}

/** A server may be set up to do less than its kind can. @throws NARU_UNSUPPORTED */
async function checkAgain(request: MapRequest, place: MapPlace, driver: MapDriver): Promise<void> {
  const { capabilities } = driver.facts;
  if (capabilities === place.capabilities) return;
  try {
    await checkMapRequest(request, capabilities, place, allMapCapabilities);
  } catch (error) {
    await driver.close();
    throw error;
  }
}

async function loadPlace({ url }: MapRequest): Promise<MapPlace> {
  const load = Object.hasOwn(MAP_PLACES, url.scheme) ? MAP_PLACES[url.scheme] : undefined;
  if (load !== undefined) return (await load()).mapPlace;
  throw new NaruError(
    'NARU_INVALID_ARGUMENT',
    `${url.text}: ${url.scheme}:// has no maps; places that have: ${Object.keys(MAP_PLACES).join(', ')}`,
    { mailbox: url.text },
  );
}
