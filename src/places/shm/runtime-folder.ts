// The runtime folder: where the mailboxes of this user are, or those of a group. Finding it, making it, and checking that it
// is nobody else's. What lies in it is folder.ts's business.

import * as fs from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ioError } from '../../mapped-ring/io-error.ts';
import { checkedFolder, giveToGroup, makeFolder, removeIfEmpty } from '../../mapped-ring/own-folder.ts';
import { folderObjection, type Gid, ownUid, type Site, type Where } from '../../mapped-ring/site.ts';
import { mayUse } from './group.ts';

/** How errors about the files of mailboxes in shared memory speak. */
const SHM: Where = {
  place: 'shm',
  fullText: 'the file system of the runtime folder (/dev/shm unless NARU_RUNTIME_DIR says otherwise) is full',
};

/** The object in a mailbox's folder. */
const RING_FILE = 'ring';

/** The files of the mailbox whose folder this is. */
export function siteOf(folder: string, gid: Gid): Site {
  return { ...SHM, ring: join(folder, RING_FILE), folder, isBeside: false, gid };
}

/**
 * Where this user's mailboxes are: `$NARU_RUNTIME_DIR` or `/dev/shm/naru-<uid>`. Those of a group: `$NARU_RUNTIME_DIR-g<gid>`
 * or `/dev/shm/naru-g<gid>`.
 */
export function runtimeFolder(gid?: number): string {
  const chosen = process.env['NARU_RUNTIME_DIR'];
  const base = chosen !== undefined && chosen !== '' ? resolve(chosen) : undefined;
  if (gid !== undefined) return `${base ?? '/dev/shm/naru'}-g${gid}`;
  return base ?? `/dev/shm/naru-${ownUid()}`;
}

/**
 * Makes the runtime folder, or checks the one that is there.
 * @throws NARU_DENIED  it is a link, somebody else's, or open to others
 */
export function ensureRuntimeFolder(gid?: number): string {
  const folder = runtimeFolder(gid);
  if (gid === undefined) makeFolder(SHM, folder, 'making the runtime folder');
  else if (fs.lstatSync(folder, { throwIfNoEntry: false }) === undefined) makeGroupFolder(folder, gid);
  return checkedFolder(SHM, folder, gid);
}

/** The runtime folder, if it is there; a group's is checked, so that nobody else's takes its place. @throws NARU_DENIED */
export function existingRuntimeFolder(gid: Gid): string {
  const folder = runtimeFolder(gid);
  return gid === undefined ? folder : checkedFolder(SHM, folder, gid);
}

/** A group's folder that lies beside the user's own. */
export interface GroupFolder {
  readonly path: string;
  readonly gid: number;
  /** Why it cannot be used; undefined when it can. */
  readonly problem: string | undefined;
}

/** Every folder that may hold mailboxes of this process: its user's own (no gid), and those of its groups that can be used. */
export function mailboxFolders(): { readonly path: string; readonly gid: number | undefined }[] {
  const groups = groupFolders().filter(({ problem }) => problem === undefined);
  return [{ path: runtimeFolder(), gid: undefined }, ...groups];
}

/** Folders of the groups that this process is in; somebody else's in the place of one is among them. */
export function groupFolders(): GroupFolder[] {
  const start = runtimeFolder(0).slice(0, -1);
  const parent = dirname(start);
  let names: string[];
  try {
    names = fs.readdirSync(parent);
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    const path = join(parent, name);
    const gid = gidInName(path);
    if (gid === undefined || path !== `${start}${gid}` || !mayUse(gid)) return [];
    const stat = fs.lstatSync(path, { throwIfNoEntry: false });
    return stat === undefined ? [] : [{ path, gid, problem: folderObjection(stat, gid) }];
  });
}

/** The group that a folder is for: its name says so, and it looks like it. */
export function groupOfFolder(folder: string): Gid {
  const gid = gidInName(folder);
  const stat = gid === undefined ? undefined : fs.lstatSync(folder, { throwIfNoEntry: false });
  return stat !== undefined && folderObjection(stat, gid) === undefined ? gid : undefined;
}

function gidInName(folder: string): Gid {
  const digits = /-g(\d{1,10})$/.exec(folder)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/**
 * A folder gets its group and its mode before it gets its name: its maker may die at any step, and nobody else could then
 * repair or remove it in /dev/shm. The draft of a dead process is finished by the next one of the same user.
 */
function makeGroupFolder(folder: string, gid: number): void {
  const draft = `${folder}.${ownUid()}`;
  makeFolder(SHM, draft, 'making the runtime folder');
  try {
    giveToGroup(SHM, draft, gid);
    fs.renameSync(draft, folder);
  } catch (error) {
    if (fs.lstatSync(folder, { throwIfNoEntry: false }) === undefined)
      throw ioError(SHM, error, 'making the runtime folder', folder);
    // Somebody else was faster.
    removeIfEmpty(draft);
  }
}
