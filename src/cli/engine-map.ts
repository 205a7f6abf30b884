// Maps on engines, for the commands that look at and remove things by URL. Most of these places have mailboxes as well: `?map=` says that a map is
// meant, as everything without it is a mailbox.

import { NaruError } from '../errors/index.ts';
import type { PlaceUrl } from '../mailbox/place.ts';
import type { SharedMap } from '../open-state.ts';
import type { Ending } from './exit.ts';
import type { Target } from './url.ts';

const ENGINES = new Set(['sqlite', 'postgres', 'redis', 'rediss', 'memcached']);

/**
 * The map of a URL on an engine; undefined: the URL means something else.
 * @throws NARU_NOT_FOUND  there is none; what openMap() throws; NARU_UNSUPPORTED  a cache does not know which maps there are
 */
export async function engineMapOf(
  target: Target,
  url: PlaceUrl,
  ending: Ending,
): Promise<SharedMap | undefined> {
  if (!ENGINES.has(url.scheme)) return undefined;
  if (url.scheme !== 'memcached' && url.extra['map'] === undefined) return undefined;
  if (url.scheme === 'memcached')
    throw new NaruError(
      'NARU_UNSUPPORTED',
      `${url.text}: a cache does not know which maps and entries it has; "naru get" and "naru set --delete" take one key, ` +
        'and flush_all of the server forgets all of them',
      { place: url.scheme, mailbox: url.text },
    );
  const { openMap } = await import('../open-state.ts');
  const map = await openMap(target.url, { create: 'never', signal: ending.signal });
  return map as unknown as SharedMap;
}
