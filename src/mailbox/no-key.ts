// The option `key` where no key is asked for.

import { NaruError } from '../errors/index.ts';
import type { PlaceUrl } from './place.ts';

export function noKey({ scheme, text }: PlaceUrl): NaruError {
  return new NaruError(
    'NARU_INVALID_ARGUMENT',
    `${text}: the option key is for objects of a Manager and for listeners that ask for one, ${scheme}:// has none; leave it out`,
    { place: scheme, mailbox: text },
  );
}
