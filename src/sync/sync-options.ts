// The options of openLock(), openSemaphore() and openEvent(), and the URL parameters of the same names: merging and checks. Knows no place.

import { NaruError } from '../errors/index.ts';
import type { Owner } from '../mailbox/capabilities.ts';
import type { Create, WaitOptions } from '../mailbox/options.ts';
import { checkOption, count, type Parameter, readParameter } from '../mailbox/parameters.ts';
import { noKey } from '../mailbox/no-key.ts';
import { parseUrl } from '../mailbox/parse-url.ts';
import type { PlaceUrl } from '../mailbox/place.ts';

/** What all three take beside the URL. `create` and `owner` may stand in the URL. */
export interface OpenSyncOptions {
  /** Default `if-missing`. */
  readonly create?: Create;
  /** How long it lives: with its `users` (default), with the `process` that made it, or until it is removed (`system`). */
  readonly owner?: Owner;
  /** How it waits: spins, yields, then sleeps. */
  readonly wait?: WaitOptions;
  /** Key of the Manager where it lives. Default: of the URL's `keyFile`, or of NARU_MANAGER_KEY. */
  readonly key?: string;
  /** Aborts opening. */
  readonly signal?: AbortSignal;
  /** Longest time opening may take, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
}

export interface OpenLockOptions extends OpenSyncOptions {
  /** The handle that has the lock may take it again, and lets go as often. Default false. */
  readonly reentrant?: boolean;
}

/** May stand in the URL: `?count=3&bounded`. */
export interface OpenSemaphoreOptions extends OpenSyncOptions {
  /** Permits at first, when it is made here; 0 to 2,147,483,647. Default 1. */
  readonly count?: number;
  /** Only a handle that has a permit gives one back, so that there are never more than at first. Default false. */
  readonly bounded?: boolean;
}

/** Options after URL and object were merged and checked. Undefined = not stated: a default, or what exists. */
export interface SyncOptions {
  readonly url: PlaceUrl;
  readonly create: Create;
  readonly owner: Owner | undefined;
  readonly wait: WaitOptions;
  readonly count: number | undefined;
  readonly bounded: boolean | undefined;
  /** Of a Manager. */
  readonly key: string | undefined;
  /** Aborts opening. */
  readonly signal: AbortSignal;
}

/** Everything that was said. */
export type SyncRequest = Omit<SyncOptions, 'signal'> & { readonly reentrant: boolean };

export type SyncKind = 'lock' | 'semaphore' | 'event';

const COUNT_MAX = 2 ** 31 - 1;
/** Those of every mailbox's parameters that these have too. */
const SHARED: readonly string[] = ['create', 'owner'];
const OBJECTS: readonly string[] = ['wait', 'signal', 'timeoutMs', 'key'];
const flag = (text: string): boolean => {
  if (text === '' || text === 'true') return true;
  if (text === 'false') return false;
  throw new Error('must be true or false');
};
/** What each kind has beside what all have. */
const OWN: Readonly<Record<SyncKind, Readonly<Record<string, Parameter>>>> = {
  lock: { reentrant: { option: 'reentrant', read: flag } },
  semaphore: {
    count: { option: 'count', read: count(0, COUNT_MAX) },
    bounded: { option: 'bounded', read: flag },
  },
  event: {},
};

/**
 * Reads URL and options; the options win.
 * @throws NARU_INVALID_ARGUMENT  not a URL, an unknown option or parameter, a wrong value
 */
export function readSyncRequest(
  kind: SyncKind,
  url: string,
  given: OpenLockOptions & OpenSemaphoreOptions,
): SyncRequest {
  const { parts, stated } = parseUrl(url);
  const strange = Object.keys(stated).find((option) => !SHARED.includes(option));
  if (strange !== undefined) throw invalid(parts.text, `a ${kind} has no parameter "${strange}"`);
  const merged: Record<string, unknown> = { ...stated };
  const extra = Object.create(null) as Record<string, string>;
  for (const [name, text] of Object.entries(parts.extra)) {
    const parameter = Object.hasOwn(OWN[kind], name) ? OWN[kind][name] : undefined;
    if (parameter === undefined) extra[name] = text;
    else merged[name] = readParameter(name, parameter, text, 'parameter');
  }
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    checkOne(kind, name, value, parts.text);
    merged[name] = value;
  }
  const options = merged as OpenLockOptions & OpenSemaphoreOptions;
  return {
    url: { ...parts, extra },
    create: options.create ?? 'if-missing',
    owner: options.owner,
    wait: options.wait ?? {},
    count: options.count,
    bounded: options.bounded,
    key: options.key,
    reentrant: options.reentrant ?? false,
  };
}

function checkOne(kind: SyncKind, name: string, value: unknown, text: string): void {
  if (OBJECTS.includes(name)) return;
  if (SHARED.includes(name)) {
    checkOption(name, value, text);
    return;
  }
  const parameter = Object.hasOwn(OWN[kind], name) ? OWN[kind][name] : undefined;
  if (parameter === undefined) throw invalid(text, `a ${kind} has no option "${name.slice(0, 80)}"`);
  const wanted = name === 'count' ? 'number' : 'boolean';
  if (typeof value !== wanted) throw invalid(text, `option ${name} is a ${wanted}, not ${typeof value}`);
  readParameter(name, parameter, String(value), 'option');
}

/** @throws NARU_INVALID_ARGUMENT  a parameter that the place does not know */
export function checkSyncParameters(
  { url, key }: SyncRequest,
  kind: SyncKind,
  known: readonly string[],
  takesKey = false,
): void {
  if (key !== undefined && !takesKey) throw noKey(url);
  const unknown = Object.keys(url.extra).filter((name) => !known.includes(name));
  if (unknown.length > 0) throw invalid(url.text, `a ${kind} has no parameter ${unknown.join(', ')}`);
}

function invalid(text: string, what: string): NaruError {
  return new NaruError('NARU_INVALID_ARGUMENT', `${text}: ${what}`, { mailbox: text });
}
