// What maps on engines have in common when they are opened: the name in `?map=`, and the options that an engine cannot follow
// because its own settings decide.

import { NaruError } from '../errors/index.ts';
import { checkName } from '../mailbox/parse-url.ts';
import type { PlaceUrl } from '../mailbox/place.ts';
import type { MapPlaceOptions } from '../state/map-place.ts';

/** The map that a URL without `?map=` means. */
const DEFAULT_MAP = 'default';

/**
 * @returns the name of the map
 * @throws NARU_INVALID_ARGUMENT (the name), NARU_UNSUPPORTED (owner, capacityBytes, maxEntries)
 */
export function checkEngineMap(url: PlaceUrl, options: MapPlaceOptions): string {
  for (const option of ['capacityBytes', 'maxEntries'] as const) {
    if (options[option] === undefined) continue;
    throw new NaruError(
      'NARU_UNSUPPORTED',
      `${url.text}: ${url.scheme}:// knows no ${option} of one map; limit the engine itself, and leave the option out`,
      { place: url.scheme, mailbox: url.text },
    );
  }
  if (options.owner !== undefined && options.owner !== 'system') {
    throw new NaruError(
      'NARU_UNSUPPORTED',
      `${url.text}: maps of ${url.scheme}:// stay until they are removed (owner "system"), not with owner "${options.owner}"`,
      { place: url.scheme, mailbox: url.text },
    );
  }
  return checkName(url.extra['map'] ?? DEFAULT_MAP, url.text);
}

/**
 * What the creator fixed and what is stated now must agree.
 * @throws NARU_EXISTS
 */
export function checkMaxValueBytes(url: PlaceUrl, asked: number | undefined, existing: number): void {
  if (asked === undefined || asked === existing) return;
  throw new NaruError(
    'NARU_EXISTS',
    `${url.text}: it exists with maxValueBytes ${existing}, asked was ${asked}`,
    { place: url.scheme, mailbox: url.text },
  );
}

/** create: 'never', and it is not there. */
export function missingMap(url: PlaceUrl, name: string): NaruError {
  return new NaruError('NARU_NOT_FOUND', `${url.text}: there is no map "${name}", and create is "never"`, {
    place: url.scheme,
    mailbox: url.text,
  });
}

/** create: 'new', and it is there. */
export function existingMap(url: PlaceUrl, name: string): NaruError {
  return new NaruError(
    'NARU_EXISTS',
    `${url.text}: the map "${name}" exists already, and create is "new"; choose another name`,
    { place: url.scheme, mailbox: url.text },
  );
}

/** The handle was closed, or the map removed by somebody. */
export function closedMap(place: string, text: string, what: 'closed' | 'removed'): NaruError {
  return new NaruError('NARU_CLOSED', `${text}: the map was ${what}`, { place, mailbox: text });
}
