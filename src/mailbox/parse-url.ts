// Turns a mailbox URL and the options object into what a place is opened with. Both say the same things; the object wins
// where both speak. Everything is checked here, before a place is loaded or anything is allocated.

import { NaruError, redactUrl } from '../errors/index.ts';
import { BOUNDS, DEFAULTS } from './defaults.ts';
import type { OpenOptions } from './options.ts';
import { checkOption, PARAMETERS, readParameter, relationOf } from './parameters.ts';
import type { PlaceOptions, PlaceUrl } from './place.ts';

/** What the URL and the options say, together. */
export type Stated = { -readonly [K in keyof OpenOptions]?: OpenOptions[K] };

const SHAPE = /^([a-z][a-z0-9+.-]{0,31}):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?$/;

/**
 * Takes a URL apart. `new URL()` is not used: it would lower-case and punycode mailbox names.
 *
 * @returns the parts, and the options that its parameters state
 * @throws NARU_INVALID_ARGUMENT  not a URL, or a parameter with a wrong value
 */
export function parseUrl(url: string): { readonly parts: PlaceUrl; readonly stated: Stated } {
  if (typeof url !== 'string' || url.length > 4096) {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      'a mailbox is named by a URL of at most 4,096 characters, such as shm://orders',
    );
  }
  const match = SHAPE.exec(url);
  if (match === null) {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `"${redactUrl(url)}" is not a mailbox URL such as shm://orders or tcp://host:5000`,
    );
  }
  const [, scheme = '', authority = '', rawPath = '', query = ''] = match;
  const { host, port, username, password } = parseAuthority(authority, url);
  const { stated, extra } = parseQuery(query, url);
  return {
    parts: {
      scheme,
      host,
      port,
      path: decode(rawPath, url),
      username,
      password,
      extra,
      text: redactUrl(url),
    },
    stated,
  };
}

/** Merges the options object over what the URL stated and checks every value. */
export function mergeOptions(stated: Stated, options: OpenOptions, url: string): Stated {
  const merged: Record<string, unknown> = { ...stated };
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    checkOption(name, value, redactUrl(url));
    merged[name] = value;
  }
  if (merged['capacityBytes'] === 0 || merged['capacityMessages'] === 0) {
    merged['capacityBytes'] = undefined;
    merged['capacityMessages'] = 0;
  }
  const result = merged as Stated;
  if (result.settle === 'manual' && result.role === 'producer') {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${redactUrl(url)}: a producer settles nothing; leave settle out`,
    );
  }
  return result;
}

/** The part of the merged options that places get, with the general defaults filled in. */
export function placeOptions(stated: Stated, signal: AbortSignal): PlaceOptions {
  return {
    role: stated.role ?? DEFAULTS.role,
    relation: stated.relation,
    deliver: stated.deliver,
    group: stated.group,
    create: stated.create,
    owner: stated.owner,
    survives: stated.survives,
    capacityBytes: stated.capacityBytes,
    capacityMessages: stated.capacityMessages,
    slotBytes: stated.slotBytes,
    maxMessageBytes: stated.maxMessageBytes,
    priorities: stated.priorities,
    full: stated.full ?? DEFAULTS.full,
    nobody: stated.nobody,
    prefetch: stated.prefetch ?? DEFAULTS.prefetch,
    leaseMs: stated.leaseMs,
    retain: stated.retain,
    from: stated.from,
    dedup: stated.dedup,
    confirm: stated.confirm,
    flushMs: stated.flushMs ?? DEFAULTS.flushMs,
    format: stated.format,
    frame: stated.frame,
    as: stated.as,
    wait: stated.wait ?? {},
    tls: stated.tls,
    key: stated.key,
    signal,
  } satisfies PlaceOptions;
}

/**
 * Checks the name of a mailbox that is named rather than located.
 * @throws NARU_INVALID_ARGUMENT
 */
export function checkName(name: string, text: string): string {
  const plain = name.startsWith('~') ? name.slice(1) : name;
  if (
    new RegExp(`^[A-Za-z0-9._-]{1,${BOUNDS.nameLengthMax}}$`).test(plain) &&
    plain !== '.' &&
    plain !== '..'
  )
    return name;
  throw new NaruError(
    'NARU_INVALID_ARGUMENT',
    `${text}: a mailbox name is 1 to ${BOUNDS.nameLengthMax} of the characters A-Z a-z 0-9 . _ - (got "${name.slice(0, 40)}")`,
  );
}

function parseAuthority(
  authority: string,
  url: string,
): Pick<PlaceUrl, 'host' | 'port' | 'username' | 'password'> {
  const at = authority.lastIndexOf('@');
  const user = at < 0 ? '' : authority.slice(0, at);
  const address = authority.slice(at + 1);
  const match = /^(\[[0-9a-fA-F:.%]+\]|[^:]*)(?::(\d{1,5}))?$/.exec(address);
  const port = match?.[2] === undefined ? undefined : Number(match[2]);
  if (match === null || (port !== undefined && port > 65_535)) {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      // The text itself may be the beginning of a password with a slash in it.
      `"${redactUrl(url)}": what stands after // is no name and no host:port (in a password / ? # are %2F %3F %23)`,
    );
  }
  const colon = user.indexOf(':');
  return {
    host: decode((match[1] ?? '').replace(/^\[|\]$/g, ''), url),
    port,
    username: decode(colon < 0 ? user : user.slice(0, colon), url),
    password: colon < 0 ? '' : decode(user.slice(colon + 1), url),
  };
}

function parseQuery(query: string, url: string): { stated: Stated; extra: Record<string, string> } {
  const stated: Record<string, unknown> = {};
  // Without a prototype: a parameter named __proto__ is unknown like any other.
  const extra = Object.create(null) as Record<string, string>;
  for (const [name, text] of new URLSearchParams(query)) {
    const parameter = Object.hasOwn(PARAMETERS, name) ? PARAMETERS[name] : undefined;
    if (parameter === undefined) extra[name] = text;
    else stated[parameter.option] = readParameter(name, parameter, text, 'parameter');
  }
  const relation = relationOf(extra['producers'], extra['consumers']);
  if (relation !== undefined) {
    if (stated['relation'] !== undefined) {
      throw new NaruError(
        'NARU_INVALID_ARGUMENT',
        `"${redactUrl(url)}": give either relation or producers and consumers`,
      );
    }
    stated['relation'] = relation;
    delete extra['producers'];
    delete extra['consumers'];
  }
  return { stated, extra };
}

function decode(text: string, url: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new NaruError('NARU_INVALID_ARGUMENT', `"${redactUrl(url)}" has a broken percent-encoding`);
  }
}
