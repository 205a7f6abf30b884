// What places say about a URL that they do not take, and the parameter that several of them read alike. Names no place.

import { NaruError, type NaruErrorCode } from '../errors/index.ts';
import type { PlaceUrl } from './place.ts';

/** An error about one URL of one place. */
export function refusal(
  code: NaruErrorCode,
  { scheme, text }: Pick<PlaceUrl, 'scheme' | 'text'>,
  what: string,
  cause?: unknown,
): NaruError {
  return new NaruError(code, `${text}: ${what}`, { place: scheme, mailbox: text, cause });
}

/** `?mode=0660`: permission bits in octal. @throws NARU_INVALID_ARGUMENT */
export function readMode(url: PlaceUrl): number | undefined {
  const text = url.extra['mode'];
  if (text === undefined) return undefined;
  if (/^0?[0-7]{3}$/.test(text)) return Number.parseInt(text, 8);
  throw refusal(
    'NARU_INVALID_ARGUMENT',
    url,
    `mode is three octal digits such as 660, got "${text.slice(0, 40)}"`,
  );
}
