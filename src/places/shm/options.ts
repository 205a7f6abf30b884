// What an shm:// URL means: a name, and the group that shares it. What the options mean is mapped-ring/options.ts's.

import { checkName } from '../../mailbox/parse-url.ts';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { invalid, resolveRing, type RingOptions } from '../../mapped-ring/options.ts';
import type { Gid } from '../../mapped-ring/site.ts';
import { GROUP_PARAMETER } from './address.ts';
import { findGroup } from './group.ts';

/** Checked options of one open(). */
export interface ShmOptions extends RingOptions {
  readonly name: string;
  /** The group whose members may use it; undefined: its user alone. */
  readonly gid: Gid;
}

/** @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED, NARU_DENIED */
export function checkOptions(url: PlaceUrl, options: PlaceOptions): void {
  resolveOptions(url, options);
}

/** @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED, NARU_DENIED (a group that this process is not in) */
export function resolveOptions(url: PlaceUrl, options: PlaceOptions): ShmOptions {
  const name = checkName(url.host, url.text);
  if (url.path !== '' || url.port !== undefined || url.username !== '')
    throw invalid(url, 'an shm mailbox has a name only: shm://name');
  const isOwned = name.startsWith('~');
  // An inbox and a port are their owner's alone.
  const ring = resolveRing(url, options, {
    relation: isOwned ? 'N:1' : 'N:N',
    owner: isOwned ? 'process' : 'users',
  });
  const create = isOwned && ring.create !== 'new' ? 'never' : ring.create;
  return { ...ring, create, isOwned, name, gid: groupOf(url) };
}

/**
 * The group that a URL's parameter names.
 * @throws NARU_INVALID_ARGUMENT, NARU_DENIED
 */
export function groupOf(url: PlaceUrl): Gid {
  const name = url.extra[GROUP_PARAMETER];
  if (name === undefined) return undefined;
  if (url.host.startsWith('~inbox.'))
    throw invalid(url, `an inbox is its user's alone; leave ${GROUP_PARAMETER} out`);
  return findGroup(name, url.text);
}
