// naru/state: from a URL to a shared map. Joins the registry of places with the models in state/; nothing else may know both.

import { NaruError } from './errors/index.ts';
import { type Codec, type CodecName, resolveCodec } from './mailbox/codec.ts';
import type { InputOf, OutputOf, Schema } from './mailbox/schema.ts';
import { openDeadline } from './mailbox/waiting.ts';
import { MAP_PLACES, type MapPlaceTypes } from './places/state-registry.ts';
import { SharedMap } from './state/map.ts';
import type { MapCapabilities, MapFeature, MapFeaturesOf } from './state/map-capabilities.ts';
import {
  checkMapRequest,
  type MapRequest,
  type OpenMapOptions,
  readMapRequest,
} from './state/map-options.ts';
import type { MapPlace } from './state/map-place.ts';
import { MapValues } from './state/map-values.ts';

export type { Frozen } from './state/frozen.ts';
export {
  MAP_FEATURES,
  type MapCapabilities,
  type MapFeature,
  type MapLacks,
} from './state/map-capabilities.ts';
export type { MapVersion } from './state/map-driver.ts';
export type { OpenMapOptions } from './state/map-options.ts';
export type { DeleteOptions, MapChange, MapEntry, SetOptions, SharedMap, WatchOptions } from './state/map.ts';

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

type ValueIn<S, C> = S extends Schema ? InputOf<S> : ValueOf<C>;
type ValueOut<S, C> = S extends Schema ? OutputOf<S> : ValueOf<C>;
// biome-ignore format: one line a codec
type ValueOf<C> =
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

/** What the maps of every place can do, in the registry's order. */
export async function allMapCapabilities(): Promise<readonly MapCapabilities[]> {
  const places = await Promise.all(Object.values(MAP_PLACES).map((load) => load()));
  return places.map(({ mapPlace }) => mapPlace.capabilities);
}

async function openAny(request: MapRequest): Promise<SharedMap> {
  const { url, options } = request;
  const codec = resolveCodec(options.codec);
  const place = await loadPlace(request);
  await checkMapRequest(request, place.capabilities, place.parameters, allMapCapabilities);
  const deadline = openDeadline(options, url.text);
  try {
    const driver = await place.open(url, {
      create: options.create,
      owner: options.owner,
      survives: options.survives,
      capacityBytes: options.capacityBytes,
      maxEntries: options.maxEntries,
      maxValueBytes: options.maxValueBytes,
      signal: deadline.signal,
    });
    return new SharedMap({
      driver,
      values: new MapValues(driver.facts, codec, options.schema),
      ttlMs: options.ttlMs,
      emulate: options.emulate ?? [],
    });
  } catch (error) {
    throw deadline.signal.aborted ? deadline.signal.reason : error;
  } finally {
    deadline.stop();
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
