// Which mapped files are in use on this machine, read from /proc without touching them; and removing one by its path.

import { readdirSync, readFileSync } from 'node:fs';
import type { PlaceUrl } from '../../mailbox/place.ts';
import { defaultEdges } from '../../mapped-ring/edges.ts';
import { describeRing, type ListedRing, removeObject } from '../../mapped-ring/listing.ts';
import { describeState, type ListedState, removeState } from '../../mapped-state/listing.ts';
import { checkRemovable, isState, kindOf, siteOf } from './file.ts';
import { addressOf, pathOf } from './options.ts';

/** A mailbox in a mapped file as a listing shows it. */
export interface ListedFile extends ListedRing {
  /** Its URL. */
  readonly address: string;
  readonly path: string;
}

/**
 * The mailboxes that processes of this user have mapped now. Where nobody has one open there is no list of it: a file can be
 * anywhere.
 * @throws NARU_NATIVE_MISSING
 */
export function listMapped(): ListedFile[] {
  const edges = defaultEdges('mmap://');
  return [...mappedPaths()].flatMap((path) => {
    const site = siteOf(path);
    return kindOf(site) === 'ring' ? [{ address: addressOf(path), path, ...describeRing(site, edges) }] : [];
  });
}

/** A value, array or map in a mapped file as a listing shows it. */
export interface ListedStateFile extends ListedState {
  /** Its URL. */
  readonly address: string;
  readonly path: string;
}

/** The values, arrays and maps that processes of this user have mapped now. @throws NARU_NATIVE_MISSING */
export function listMappedStates(): ListedStateFile[] {
  const edges = defaultEdges('mmap://');
  return [...mappedPaths()].flatMap((path) => {
    const site = siteOf(path);
    return kindOf(site) === 'state'
      ? [{ address: addressOf(path), path, ...describeState(site, edges) }]
      : [];
  });
}

/** The value, array or map of a URL, whether anybody uses it or not; undefined: its file is something else, or not there. */
export function findMappedState(url: PlaceUrl): ListedStateFile | undefined {
  const path = pathOf(url);
  const site = siteOf(path);
  if (!isState(site)) return undefined;
  return { address: addressOf(path), path, ...describeState(site, defaultEdges('mmap://')) };
}

/**
 * Removes the mailbox of a URL, also one too damaged to be opened; never a file that is no mailbox. Those who use it get NARU_CLOSED.
 *
 * @returns false when there is none
 * @throws NARU_INVALID_ARGUMENT, NARU_CORRUPT (no mailbox), NARU_DENIED, NARU_TIMEOUT (its lock is held by a stopped process)
 */
export async function removeMapped(url: PlaceUrl): Promise<boolean> {
  const edges = defaultEdges('mmap://');
  const site = siteOf(pathOf(url));
  return checkRemovable(site, url.text) === 'state' ? removeState(site, edges) : removeObject(site, edges);
}

/** Files mapped as shared memory by processes that may be looked at. */
function mappedPaths(): Set<string> {
  const paths = new Set<string>();
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    let maps: string;
    try {
      maps = readFileSync(`/proc/${pid}/maps`, 'latin1');
    } catch {
      // Gone, or another user's.
      continue;
    }
    for (const [, path = ''] of maps.matchAll(/^\S+ r.-s \S+ \S+ [1-9]\d* +(\/.*)$/gm))
      paths.add(Buffer.from(unescaped(path), 'latin1').toString('utf8'));
  }
  return paths;
}

/** proc_pid_maps(5): a line feed in a name is shown as \012. */
function unescaped(path: string): string {
  return path.replaceAll('\\012', '\n');
}
