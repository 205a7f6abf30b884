// What lies in the runtime folder: listing mailboxes without disturbing them (read-only), and removing what the dead left.

import * as fs from 'node:fs';
import { join } from 'node:path';
import { checkName } from '../../mailbox/parse-url.ts';
import { defaultEdges, type RingEdges } from '../../mapped-ring/edges.ts';
import {
  type HeldLock,
  removeEmptyFolder,
  removeMailboxFiles,
  tryLockFolder,
} from '../../mapped-ring/folder.ts';
import { describeRing, isDeadObject, type ListedRing, removeObject } from '../../mapped-ring/listing.ts';
import { objectKind } from '../../mapped-ring/object-file.ts';
import { readTables } from '../../mapped-ring/object.ts';
import type { Gid, Site } from '../../mapped-ring/site.ts';
import { openSync } from '../../mapped-sync/attach.ts';
import { describeSync, type ListedSync, readSync } from '../../mapped-sync/listing.ts';
import { SYNC_KIND } from '../../ring/sync-layout.ts';
import { groupOfFolder, runtimeFolder, siteOf } from './runtime-folder.ts';

export type { ListedParticipant } from '../../mapped-ring/listing.ts';

/** A mailbox in shared memory as a listing shows it. */
export interface ListedMailbox extends ListedRing {
  readonly name: string;
  /** Its folder. */
  readonly path: string;
}

/** A lock, semaphore or event in shared memory as a listing shows it. */
export interface ListedSharedSync extends ListedSync {
  readonly name: string;
  /** Its folder. */
  readonly path: string;
}

/** Every mailbox of this user, or of `folder`: another, or a group's. Reads only. @throws NARU_NATIVE_MISSING, NARU_DENIED */
export function listMailboxes(folder: string = runtimeFolder()): ListedMailbox[] {
  const edges = defaultEdges('shm://');
  const gid = groupOfFolder(folder);
  return objectNames(folder).flatMap((name) => {
    const path = join(folder, name);
    const site = siteOf(path, gid);
    return isSync(site) ? [] : [{ name, path, ...describeRing(site, edges) }];
  });
}

/** Every lock, semaphore and event of this user, or of `folder`. Reads only. @throws NARU_NATIVE_MISSING, NARU_DENIED */
export function listSyncs(folder: string = runtimeFolder()): ListedSharedSync[] {
  const edges = defaultEdges('shm://');
  const gid = groupOfFolder(folder);
  return objectNames(folder).flatMap((name) => {
    const path = join(folder, name);
    const site = siteOf(path, gid);
    return isSync(site) ? [{ name, path, ...describeSync(site, edges) }] : [];
  });
}

/**
 * Removes what nobody can use any more: half-made mailboxes, locks, semaphores and events, and those of dead users or a dead owner. Never one with
 * owner `system`, a damaged one, or one that somebody alive takes part in.
 *
 * @returns the names of what was removed
 */
export function cleanLeftovers(folder: string = runtimeFolder()): string[] {
  const edges = defaultEdges('shm://');
  const gid = groupOfFolder(folder);
  return objectNames(folder).filter((name) => removeIfDead(siteOf(join(folder, name), gid), edges));
}

/**
 * Removes a mailbox, lock, semaphore or event by name, whatever state it is in: also one too damaged to be opened. Those who use it get NARU_CLOSED.
 *
 * @returns false when there is none
 * @throws NARU_DENIED, NARU_TIMEOUT (its lock is held by a stopped process)
 */
export async function removeMailbox(name: string, folder: string = runtimeFolder()): Promise<boolean> {
  const path = join(folder, checkName(name, `shm://${name}`));
  const site = siteOf(path, groupOfFolder(folder));
  return removeObject(site, defaultEdges('shm://'), isSync(site) ? openSync : undefined);
}

/** The same for a few mailboxes, chosen by chance: what every creation does on its way. */
export function sweepSome(folder: string, gid: Gid, keep: string, most: number, edges: RingEdges): void {
  const names = objectNames(folder).filter((name) => name !== keep);
  const start = Math.floor(Math.random() * names.length);
  for (let i = 0; i < Math.min(most, names.length); i += 1) {
    const name = names[(start + i) % names.length] as string;
    try {
      removeIfDead(siteOf(join(folder, name), gid), edges);
    } catch {
      // Not ours to report: doctor lists it.
    }
  }
}

function isSync(site: Site): boolean {
  return objectKind(site) === SYNC_KIND;
}

function objectNames(folder: string): string[] {
  try {
    return (
      fs
        .readdirSync(folder, { withFileTypes: true })
        // What is not a name of a mailbox (the folder of values, arrays and maps) is not ours to look into.
        .filter((entry) => entry.isDirectory() && !entry.name.startsWith('+'))
        .map((entry) => entry.name)
    );
  } catch {
    return [];
  }
}

function removeIfDead(site: Site, edges: RingEdges): boolean {
  let lock: HeldLock | 'busy' | 'absent';
  try {
    lock = tryLockFolder(site, false, edges);
  } catch (error) {
    if (site.gid === undefined) throw error;
    // Half-made by another member, or closed to us: one entry must not keep a group from clearing the others.
    lock = 'absent';
  }
  if (lock === 'absent') return removeEmptyFolder(site);
  if (lock === 'busy') return false;
  try {
    const tables = isSync(site) ? readSync(site) : readTables(site);
    if (typeof tables === 'object' && !isDeadObject(site, tables, edges)) return false;
    removeMailboxFiles(site, edges.failpoint);
    return true;
  } catch {
    // Damaged: it stays until somebody removes it by name.
    return false;
  } finally {
    lock.release();
  }
}
