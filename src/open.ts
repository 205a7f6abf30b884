// open(): from a URL to a mailbox. Joins the registry of places with the model; nothing else may know both.

import { isNaruError, NaruError } from './errors/index.ts';
import type { Capabilities, Feature, FeaturesOf } from './mailbox/capabilities.ts';
import type { Codec, CodecName } from './mailbox/codec.ts';
import type { Driver } from './mailbox/driver.ts';
import { HookRelay } from './mailbox/hooks.ts';
import { Mailbox } from './mailbox/mailbox.ts';
import type { OpenOptions } from './mailbox/options.ts';
import { mergeOptions, parseUrl, placeOptions, type Stated } from './mailbox/parse-url.ts';
import type { Place, PlaceUrl } from './mailbox/place.ts';
import { checkRequirements } from './mailbox/requirements.ts';
import type { InputOf, OutputOf, Schema } from './mailbox/schema.ts';
import { noKey } from './mailbox/no-key.ts';
import { openDeadline } from './mailbox/waiting.ts';
import { ALIASES, MANAGED, namesObject, PLACES, type PlaceTypes } from './places/registry.ts';

type SchemeOf<U extends string> = U extends `${infer S}://${string}` ? S : never;
type ModeOf<U extends string, P> = U extends `${string}format=raw${string}`
  ? 'raw'
  : U extends `${string}format=envelope${string}`
    ? 'envelope'
    : P extends { default: infer M }
      ? M
      : 'envelope';
type FeaturesOfOne<U extends string> =
  SchemeOf<U> extends infer S
    ? S extends keyof PlaceTypes
      ? FeaturesOf<PlaceTypes[S][ModeOf<U, PlaceTypes[S]> & keyof PlaceTypes[S]]>
      : never
    : never;
/** Over a union of URLs only what every one of them has remains. */
type LackedBy<U extends string> = U extends unknown ? Exclude<Feature, FeaturesOfOne<U>> : never;

/** The features a literal URL is known to have; none for a URL known only at run time (use `needs`). */
export type FeaturesOfUrl<U extends string> = string extends U ? never : Exclude<Feature, LackedBy<U>>;

/** What may be sent and what is received, from schema and codec. */
type DataIn<S, C> = S extends Schema ? InputOf<S> : DataOf<C>;
type DataOut<S, C> = S extends Schema ? OutputOf<S> : DataOf<C>;
// biome-ignore format: one line a codec
type DataOf<C> =
  C extends 'bytes' ? Uint8Array :
  C extends 'text' ? string :
  C extends Codec<infer T> ? T :
  unknown;

/**
 * Opens a mailbox.
 *
 * @param url      where it lives: `memory://name`, `shm://name`, `unix:///path.sock`, `tcp://host:port`, with options as
 *                 parameters. A literal URL gives a type that only has what the place can do.
 * @param options  the same options and more; they win over the URL's
 * @throws NARU_INVALID_ARGUMENT  URL or option is wrong
 * @throws NARU_UNSUPPORTED       the place cannot do what was asked; names everything missing and where it exists
 * @throws NARU_NOT_FOUND, NARU_EXISTS, NARU_DENIED, NARU_LIMIT, NARU_CORRUPT, NARU_DISCONNECTED, NARU_PEER_GONE
 * @throws NARU_TIMEOUT           it took longer than `timeoutMs` (10 s)
 * @throws NARU_NATIVE_MISSING, NARU_PACKAGE_MISSING  the place needs what is not installed
 */
export async function open<
  const U extends string,
  const N extends Feature = never,
  S extends Schema | undefined = undefined,
  const C extends CodecName | Codec | undefined = undefined,
>(
  url: U,
  options: OpenOptions<N, S> & { readonly codec?: C } = {},
): Promise<Mailbox<DataIn<S, C>, DataOut<S, C>, FeaturesOfUrl<U> | N>> {
  const mailbox = await openMailbox(url, options);
  return mailbox as unknown as Mailbox<DataIn<S, C>, DataOut<S, C>, FeaturesOfUrl<U> | N>;
}

/** Every capabilities object of every place, in the registry's order. */
export async function allCapabilities(): Promise<readonly Capabilities[]> {
  const places = await Promise.all(Object.values(PLACES).map((load) => load()));
  return places.flatMap(({ place }) => place.modes);
}

async function openMailbox(url: string, options: OpenOptions): Promise<Mailbox> {
  const { parts, stated: fromUrl } = parseUrl(url);
  const stated = mergeOptions(fromUrl, options, url);
  const place = await loadPlace(parts);
  checkParameters(parts, place);
  const capabilities = await capabilitiesFor(place, parts, stated);
  await checkRequirements(stated, capabilities, parts.text, allCapabilities);
  const timeout = openDeadline(options, parts.text);
  try {
    const resolved = placeOptions(stated, timeout.signal);
    if (stated.key !== undefined && place.takesKey !== true) throw noKey(parts);
    place.check?.(parts, resolved);
    const hooks = new HookRelay();
    const driver = await place.open(parts, resolved, { hooks, capabilitiesOf });
    return await finishOpening(driver, hooks, stated, parts.text, timeout.signal);
  } catch (error) {
    // A place that was interrupted reports the reason in its own words; the caller's signal or the deadline has the last one.
    throw timeout.signal.aborted ? whyItEnded(timeout.signal.reason, error) : error;
  } finally {
    timeout.stop();
  }
}

/** The deadline's error says what the last attempt failed with: "could not be opened" alone helps nobody. */
function whyItEnded(reason: unknown, last: unknown): unknown {
  if (!isNaruError(reason, 'NARU_TIMEOUT') || !isNaruError(last) || last === reason) return reason;
  const { place, mailbox } = last;
  return new NaruError('NARU_TIMEOUT', `${reason.message}; the last attempt: ${last.message}`, {
    place,
    mailbox,
    cause: last,
  });
}

async function finishOpening(
  driver: Driver,
  hooks: HookRelay,
  stated: Stated,
  text: string,
  signal: AbortSignal,
): Promise<Mailbox> {
  let mailbox: Mailbox | undefined;
  try {
    await checkRequirements(stated, driver.facts.capabilities, text, allCapabilities);
    mailbox = new Mailbox({
      driver,
      hooks,
      stated,
      text,
      openDeadLetter: (target) => openDeadLetter(target, stated.key),
    });
    const { role } = stated;
    // A seat is waited for through reconnections, for ever if need be: the time for opening ends that too.
    if (role === 'producer' || role === 'consumer') await mailbox.connect(role, { signal });
    return mailbox;
  } catch (error) {
    const late = signal.aborted ? driver.late?.() : undefined;
    await (mailbox === undefined ? driver.close(0) : mailbox.close({ flushMs: 0 }));
    throw late ?? error;
  }
}

/** One in a Manager is reached with the key of this mailbox. */
function openDeadLetter(target: string, key: string | undefined) {
  const isManaged = key !== undefined && namesObject(parseUrl(target).parts);
  const options = { codec: 'bytes', role: 'producer', needs: ['headers'] } as const;
  return open(target, isManaged ? { ...options, key } : options);
}

async function loadPlace(parts: PlaceUrl): Promise<Place> {
  const places = namesObject(parts) ? MANAGED : PLACES;
  const scheme = Object.hasOwn(ALIASES, parts.scheme) ? (ALIASES[parts.scheme] as string) : parts.scheme;
  const load = Object.hasOwn(places, scheme) ? places[scheme] : undefined;
  if (load === undefined) {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${parts.text}: there is no place "${parts.scheme}://"; places: ${Object.keys(PLACES).join(', ')}`,
    );
  }
  return (await load()).place;
}

async function capabilitiesOf(scheme: string): Promise<Capabilities> {
  const place = await loadPlace({ scheme, path: '', extra: {}, text: `as=${scheme}` } as unknown as PlaceUrl);
  return place.modes[0] as Capabilities;
}

/** @throws NARU_INVALID_ARGUMENT  the URL has a parameter that neither every place nor this one knows */
export function checkParameters(parts: PlaceUrl, place: Place): void {
  const unknown = Object.keys(parts.extra).filter((name) => !place.parameters.includes(name));
  if (unknown.length === 0) return;
  const own =
    place.parameters.length === 0 ? '' : `; ${parts.scheme}:// also knows ${place.parameters.join(', ')}`;
  throw new NaruError(
    'NARU_INVALID_ARGUMENT',
    `${parts.text}: unknown parameter ${unknown.join(', ')}${own}`,
  );
}

/** Before anything is created: also what a twin of another place lacks must be refused by then. */
async function capabilitiesFor(place: Place, parts: PlaceUrl, stated: Stated): Promise<Capabilities> {
  const mode = modeOf(place, parts, stated);
  if (stated.as === undefined) return mode;
  if (place.twin !== undefined) return place.twin(await capabilitiesOf(stated.as));
  throw new NaruError(
    'NARU_UNSUPPORTED',
    `${parts.text}: ${parts.scheme}:// cannot stand in for another place; as=${stated.as} works with memory://`,
    { place: parts.scheme, mailbox: parts.text },
  );
}

function modeOf(place: Place, parts: PlaceUrl, stated: Stated): Capabilities {
  const wanted = stated.format ?? place.modes[0]?.mode;
  const found = place.modes.find((mode) => mode.mode === wanted);
  if (found !== undefined) return place.narrow?.(found, parts) ?? found;
  throw new NaruError('NARU_UNSUPPORTED', `${parts.text}: ${parts.scheme}:// has no format "${wanted}"`, {
    place: parts.scheme,
    mailbox: parts.text,
  });
}
