// Options that mean nothing where the kernel keeps the mailbox or are wrong there, and finding or making what several such places have.

import { isNaruError } from '../errors/index.ts';
import { checkYields } from '../kernel/linger.ts';
import type { PlaceOptions, PlaceUrl } from '../mailbox/place.ts';
import { refusal } from '../mailbox/refusal.ts';

/** @throws NARU_UNSUPPORTED, NARU_INVALID_ARGUMENT */
export function refuseMeaningless(url: PlaceUrl, options: PlaceOptions): void {
  const { owner, nobody, tls, frame, wait } = options;
  checkYields(url.text, wait);
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

/**
 * Finds or makes a queue, and knows which of both it was.
 * @throws NARU_EXISTS, NARU_NOT_FOUND  as `create` says; what making and finding raise
 */
export function findOrMake<T>(
  url: PlaceUrl,
  { create = 'if-missing' }: PlaceOptions,
  make: () => T,
  find: () => T,
): { readonly queue: T; readonly created: boolean } {
  for (;;) {
    if (create !== 'never') {
      try {
        return { queue: make(), created: true };
      } catch (error) {
        if (!isNaruError(error, 'NARU_EXISTS')) throw error;
        if (create === 'new') {
          throw refusal('NARU_EXISTS', url, 'the queue exists already (create: "new")', error);
        }
      }
    }
    try {
      return { queue: find(), created: false };
    } catch (error) {
      if (!isNaruError(error, 'NARU_NOT_FOUND')) throw error;
      if (create === 'never') {
        throw refusal('NARU_NOT_FOUND', url, 'there is no such queue (create: "never")', error);
      }
    }
  }
}

/** @throws NARU_EXISTS  what was stated differs from what is */
export function refuseDifferences(url: PlaceUrl, differences: readonly string[]): void {
  if (differences.length === 0) return;
  const what = `the queue exists with other options (${differences.join('; ')}); leave them out to adopt what is there`;
  throw refusal('NARU_EXISTS', url, what);
}
