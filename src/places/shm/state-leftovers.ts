// What lies in the folder of values, arrays and maps: listing it without disturbing anybody, and removing what the dead left.

import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { removeIfEmpty } from '../../mapped-ring/own-folder.ts';
import type { Site } from '../../mapped-ring/site.ts';
import { checkName } from '../../mailbox/parse-url.ts';
import { defaultEdges } from '../../mapped-ring/edges.ts';
import { describeState, type ListedState, removeDeadState, removeState } from '../../mapped-state/listing.ts';
import { groupOfFolder, runtimeFolder } from './runtime-folder.ts';
import { STATE_FOLDER, stateSiteOf } from './state-site.ts';

/** An object of shared memory as a listing shows it. */
export interface ListedShmState extends ListedState {
  readonly name: string;
  readonly path: string;
}

/** Every value, array and map of this user, or of another runtime folder, such as a group's. Reads only. @throws NARU_NATIVE_MISSING */
export function listStates(folder: string = runtimeFolder()): ListedShmState[] {
  const edges = defaultEdges('shm://');
  const gid = groupOfFolder(folder);
  return namesIn(folder).map((name) => {
    const path = join(folder, STATE_FOLDER, name);
    return { name, path, ...describeState(stateSiteOf(path, gid), edges) };
  });
}

/** Removes what nobody can use any more. @returns the names of what was removed */
export function cleanStates(folder: string = runtimeFolder()): string[] {
  const edges = defaultEdges('shm://');
  const gid = groupOfFolder(folder);
  const removed = namesIn(folder).filter((name) =>
    removeDeadState(stateSiteOf(join(folder, STATE_FOLDER, name), gid), edges),
  );
  removeIfEmpty(join(folder, STATE_FOLDER));
  return removed;
}

/**
 * Removes a value, array or map by name, whatever state it is in.
 * @returns false when there is none
 * @throws NARU_DENIED, NARU_TIMEOUT (its lock is held by a stopped process)
 */
export async function removeStateByName(name: string, folder: string = runtimeFolder()): Promise<boolean> {
  const path = join(folder, STATE_FOLDER, checkName(name, `shm://${name}`));
  const isRemoved = await removeState(stateSiteOf(path, groupOfFolder(folder)), defaultEdges('shm://'));
  removeIfEmpty(join(folder, STATE_FOLDER));
  return isRemoved;
}

/** The same for a few of those beside an object, chosen by chance: what every creation does on its way. */
export function sweepStates(site: Site, most: number): void {
  const folder = dirname(dirname(site.folder));
  const names = namesIn(folder).filter((name) => name !== basename(site.folder));
  const start = Math.floor(Math.random() * names.length);
  for (let i = 0; i < Math.min(most, names.length); i += 1) {
    const path = join(folder, STATE_FOLDER, names[(start + i) % names.length] as string);
    try {
      removeDeadState(stateSiteOf(path, site.gid), defaultEdges('shm://'));
    } catch {
      // Not ours to report: doctor lists it.
    }
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(join(folder, STATE_FOLDER), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}
