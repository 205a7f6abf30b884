// Options that mean nothing where the kernel keeps the mailbox, and the reading of parameters that several such places have.

import { NaruError, type NaruErrorCode } from '../errors/index.ts';
import type { PlaceOptions, PlaceUrl } from '../mailbox/place.ts';

/** An error about one URL of one place. */
export function refusal(code: NaruErrorCode, url: PlaceUrl, what: string, cause?: unknown): NaruError {
  return new NaruError(code, `${url.text}: ${what}`, { place: url.scheme, mailbox: url.text, cause });
}

/** @throws NARU_UNSUPPORTED, NARU_INVALID_ARGUMENT */
export function refuseMeaningless(url: PlaceUrl, options: PlaceOptions): void {
  const { owner, nobody, tls, frame } = options;
  if (owner === 'users' || owner === 'process') {
    const what = `the kernel keeps a queue until it is removed and does not say who uses it; owner "${owner}" is not possible`;
    throw refusal('NARU_UNSUPPORTED', url, what);
  }
  if (nobody !== undefined && nobody !== 'keep') {
    const what = `the kernel does not say whether anybody reads a queue; nobody "${nobody}" is not possible`;
    throw refusal('NARU_UNSUPPORTED', url, what);
  }
  if (tls !== undefined)
    throw refusal('NARU_UNSUPPORTED', url, 'the option tls has no meaning for a queue of the kernel');
  if (frame !== undefined) {
    throw refusal('NARU_INVALID_ARGUMENT', url, `frame=${frame} cuts streams; a queue has messages already`);
  }
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
