// The options of openMap() and the URL parameters of the same names: merging, checks, and the comparison of what is asked for
// with what a place's maps can do. Knows no place.

import { NaruError, redactUrl } from '../errors/index.ts';
import { BOUNDS, DEFAULTS } from '../mailbox/defaults.ts';
import type { Codec, CodecName } from '../mailbox/codec.ts';
import type { Owner } from '../mailbox/capabilities.ts';
import type { Create, Survives } from '../mailbox/options.ts';
import { byteCount, checkOption, count, type Parameter, readParameter } from '../mailbox/parameters.ts';
import { parseUrl } from '../mailbox/parse-url.ts';
import type { PlaceUrl } from '../mailbox/place.ts';
import type { Schema } from '../mailbox/schema.ts';
import type { MapPlace } from './map-place.ts';
import { noKey } from '../mailbox/no-key.ts';
import { MAP_FEATURES, type MapCapabilities, type MapFeature } from './map-capabilities.ts';

/** What openMap() takes beside the URL. All but `needs`, `emulate`, `schema`, `key`, `signal` and `timeoutMs` may stand in the URL. */
export interface OpenMapOptions<
  N extends MapFeature = MapFeature,
  S extends Schema | undefined = Schema | undefined,
> {
  /** Features that must be there; checked before anything is created. For URLs known only at run time. */
  readonly needs?: readonly N[];
  /** Features that may be emulated where the place has none of its own. */
  readonly emulate?: readonly MapFeature[];
  /** How values become bytes. Default json. */
  readonly codec?: CodecName | Codec;
  /** Every value is checked with it when it is set and when it is read. */
  readonly schema?: S;
  /** Default `if-missing`. */
  readonly create?: Create;
  /** How long the map lives: `users`, `process` or `system`. The place says which is its default. */
  readonly owner?: Owner;
  readonly survives?: Survives;
  /** Room for all entries together, in bytes. */
  readonly capacityBytes?: number;
  /** How many entries there may be. */
  readonly maxEntries?: number;
  /** Largest value in bytes. */
  readonly maxValueBytes?: number;
  /** Time to live of entries that are set without one, in milliseconds. Default: for ever. */
  readonly ttlMs?: number;
  /** Key of the Manager where the map lives. Default: of the URL's `keyFile`, or of NARU_MANAGER_KEY. */
  readonly key?: string;
  /** Aborts opening. */
  readonly signal?: AbortSignal;
  /** Longest time opening may take, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
}

/** Everything that was said, in URL and options, and the URL's parts. */
export interface MapRequest {
  readonly url: PlaceUrl;
  readonly options: OpenMapOptions;
}

/** Those of every mailbox's parameters that maps have too, by the option they set. */
const SHARED: readonly string[] = ['create', 'owner', 'survives', 'capacityBytes', 'codec'];
const OWN: Readonly<Record<string, Parameter>> = {
  maxEntries: { option: 'maxEntries', read: count(1, BOUNDS.capacityMessagesMax) },
  maxValueBytes: { option: 'maxValueBytes', read: byteCount(1, BOUNDS.maxMessageBytesMax) },
  ttlMs: { option: 'ttlMs', read: count(1, BOUNDS.durationMsMax) },
};
const OBJECTS: readonly string[] = ['needs', 'emulate', 'schema', 'signal', 'timeoutMs', 'key'];

/**
 * Reads URL and options; the options win.
 * @throws NARU_INVALID_ARGUMENT  not a URL, an unknown option, a wrong value
 */
export function readMapRequest(url: string, given: OpenMapOptions): MapRequest {
  const { parts, stated } = parseUrl(url);
  const strange = Object.keys(stated).find((option) => !SHARED.includes(option));
  if (strange !== undefined) throw invalid(parts.text, `maps have no parameter "${strange}"`);
  const options: Record<string, unknown> = { timeoutMs: DEFAULTS.openTimeoutMs, ...stated };
  const extra = Object.create(null) as Record<string, string>;
  for (const [name, text] of Object.entries(parts.extra)) {
    const parameter = Object.hasOwn(OWN, name) ? OWN[name] : undefined;
    if (parameter === undefined) extra[name] = text;
    else options[name] = readParameter(name, parameter, text, 'parameter');
  }
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    checkOne(name, value, parts.text);
    options[name] = value;
  }
  return { url: { ...parts, extra }, options };
}

function checkOne(name: string, value: unknown, text: string): void {
  if (OBJECTS.includes(name)) return;
  if (SHARED.includes(name)) {
    checkOption(name, value, text);
    return;
  }
  const parameter = Object.hasOwn(OWN, name) ? OWN[name] : undefined;
  if (parameter === undefined) throw invalid(text, `openMap() has no option "${name.slice(0, 80)}"`);
  if (typeof value !== 'number') throw invalid(text, `option ${name} is a number, not ${typeof value}`);
  readParameter(name, parameter, String(value), 'option');
}

/**
 * @param others  capabilities of every place that has maps, to say where what is missing exists
 * @throws NARU_UNSUPPORTED       naming every missing feature and the places that have all of them
 * @throws NARU_INVALID_ARGUMENT  `needs` or `emulate` names no feature; a parameter that the place does not know
 */
export async function checkMapRequest(
  request: MapRequest,
  capabilities: MapCapabilities,
  { parameters, takesKey }: Pick<MapPlace, 'parameters' | 'takesKey'>,
  others: () => Promise<readonly MapCapabilities[]>,
): Promise<void> {
  const { url, options } = request;
  const unknown = Object.keys(url.extra).filter((name) => !parameters.includes(name));
  if (unknown.length > 0) throw invalid(url.text, `unknown parameter ${unknown.join(', ')}`);
  if (options.key !== undefined && takesKey !== true) throw noKey(url);
  const required = new Set<MapFeature>(options.needs ?? []);
  if (options.ttlMs !== undefined) required.add('ttl');
  if (options.survives === 'restart') required.add('durable');
  for (const name of [...required, ...(options.emulate ?? [])])
    if (!Object.hasOwn(MAP_FEATURES, name))
      throw invalid(url.text, `maps have no feature "${String(name).slice(0, 80)}"`);
  const missing = [...required].filter((feature) => !hasFeature(capabilities, feature, options.emulate));
  if (missing.length === 0) return;
  const elsewhere = (await others()).filter((one) => missing.every((f) => one.features[f] === 'native'));
  const hint = missing.every((f) => capabilities.features[f] === 'emulated')
    ? `opt in with emulate: [${missing.map((f) => `'${f}'`).join(', ')}]`
    : elsewhere.length > 0
      ? `places that have it: ${elsewhere.map((one) => `${one.scheme}://`).join(', ')}`
      : 'no place has all of it';
  throw new NaruError(
    'NARU_UNSUPPORTED',
    `${url.text}: maps of ${url.scheme}:// cannot do ${missing.map((f) => `${f} (${MAP_FEATURES[f]})`).join(', ')}; ${hint}`,
    { place: url.scheme, mailbox: url.text },
  );
}

/** Whether a feature may be used. */
export function hasFeature(
  capabilities: MapCapabilities,
  feature: MapFeature,
  emulate: readonly MapFeature[] | undefined,
): boolean {
  const level = capabilities.features[feature];
  return level === 'native' || (level === 'emulated' && emulate?.includes(feature) === true);
}

function invalid(text: string, what: string): NaruError {
  return new NaruError('NARU_INVALID_ARGUMENT', `${redactUrl(text)}: ${what}`, { mailbox: text });
}
