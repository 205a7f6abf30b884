// Folders that belong to this user alone, or to a group: making them, giving them their mode, and checking that nobody else's is
// in their place.

import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { NaruError } from '../errors/index.ts';
import { attempt, errnoOf, ioError } from './io-error.ts';
import { folderMode, folderObjection, type Gid, ownUid, type Where } from './site.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = fs.constants;

/** Makes a folder unless something is there. @throws NARU_DENIED, NARU_LIMIT */
export function makeFolder(where: Where, path: string, what: string): void {
  try {
    fs.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw ioError(where, error, what, path);
  }
}

/** @returns whether there was an empty folder */
export function removeIfEmpty(path: string): boolean {
  try {
    fs.rmdirSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Sets group and mode of a folder of our own, whatever the umask was when it was made. */
export function giveToGroup(where: Where, path: string, gid: number): void {
  const fd = fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    const stat = fs.fstatSync(fd);
    if (stat.uid !== ownUid()) throw denied(where, path, `it belongs to uid ${stat.uid}, not ${ownUid()}`);
    if (stat.gid !== gid) fs.fchownSync(fd, -1, gid);
    fs.fchmodSync(fd, folderMode(gid));
  } finally {
    fs.closeSync(fd);
  }
}

/** Nothing to object to in a folder that is not there (any more). */
export function checkedFolder(where: Where, folder: string, gid: Gid): string {
  const stat = attempt(where, 'reading', folder, () => fs.lstatSync(folder, { throwIfNoEntry: false }));
  const problem = stat === undefined ? undefined : folderObjection(stat, gid);
  if (problem !== undefined) throw denied(where, folder, problem);
  if (gid !== undefined && stat !== undefined && inheritsFrom(dirname(folder), gid))
    throw denied(where, folder, `anybody can make folders of group ${gid} in ${dirname(folder)}`);
  return folder;
}

/** Whether a folder made in this one belongs to the group whoever makes it. */
function inheritsFrom(parent: string, gid: number): boolean {
  const stat = fs.statSync(parent, { throwIfNoEntry: false });
  return stat !== undefined && stat.gid === gid && (stat.mode & 0o2002) === 0o2002;
}

function denied(where: Where, folder: string, problem: string): NaruError {
  return new NaruError('NARU_DENIED', `${folder} cannot hold mailboxes of ${where.place}://: ${problem}`, {
    place: where.place,
  });
}
