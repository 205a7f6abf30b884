// Who may use a mailbox: its user alone, or the members of a Unix group. Which group a URL means, whether this process is in
// it, and what folders and files must look like before they are trusted. Makes and opens nothing.

import { readFileSync, type Stats } from 'node:fs';
import { NaruError } from '../../errors/index.ts';
import { GROUP_PARAMETER } from './address.ts';

const GROUP_DATABASE = '/etc/group';
/** (gid_t)-1 means "leave it as it is" to chown(2). */
const GID_MAX = 4_294_967_294;

/** The group whose members share a mailbox; undefined: it is its user's alone. */
export type Gid = number | undefined;

export function ownUid(): number {
  return process.getuid?.() ?? 0;
}

/**
 * The group that a URL names.
 *
 * @param name  from the group database, or a gid as digits
 * @param text  the URL as it may be shown
 * @throws NARU_INVALID_ARGUMENT  there is no such group
 * @throws NARU_DENIED            this process is not in it
 */
export function findGroup(name: string, text: string): number {
  const gid = /^\d{1,10}$/.test(name) ? Number(name) : gidOf(name);
  if (gid === undefined || gid > GID_MAX) {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${text}: ${GROUP_DATABASE} has no group "${name.slice(0, 40)}"; ${GROUP_PARAMETER} is a name from there, or a gid ` +
        'as digits ("getent group" shows those of other databases)',
      { place: 'shm', mailbox: text },
    );
  }
  if (mayUse(gid)) return gid;
  const who = `uid ${ownUid()}`;
  throw new NaruError(
    'NARU_DENIED',
    `${text}: this process (${who}) is not in the group ${name === String(gid) ? name : `${name} (gid ${gid})`}; add its user ` +
      'to the group ("usermod -aG") and log in again',
    { place: 'shm', mailbox: text },
  );
}

/** Whether this process is in a group; root needs not be. */
export function mayUse(gid: number): boolean {
  return (
    process.geteuid?.() === 0 || process.getegid?.() === gid || process.getgroups?.().includes(gid) === true
  );
}

function gidOf(name: string): number | undefined {
  let database: string;
  try {
    database = readFileSync(GROUP_DATABASE, 'utf8');
  } catch {
    return undefined;
  }
  for (const line of database.split('\n')) {
    const [found, , gid = ''] = line.split(':');
    if (found === name && /^\d{1,10}$/.test(gid)) return Number(gid);
  }
  return undefined;
}

export function folderMode(gid: Gid): number {
  // With its set-group-ID bit, everything that is made in it belongs to the group from its first moment.
  return gid === undefined ? 0o700 : 0o2770;
}

export function fileMode(gid: Gid): number {
  return gid === undefined ? 0o600 : 0o660;
}

/** Why a folder cannot hold mailboxes, or one of them; undefined when it can. */
export function folderObjection(stat: Stats, gid: Gid): string | undefined {
  return stat.isDirectory() ? objection(stat, gid, folderMode(gid)) : 'it is not a folder';
}

/** Why a regular file is not used; undefined when it is what its maker must have made. */
export function fileObjection(stat: Stats, gid: Gid): string | undefined {
  return stat.isFile() ? objection(stat, gid, fileMode(gid)) : 'it is no regular file';
}

function objection(stat: Stats, gid: Gid, mode: number): string | undefined {
  const wanted = mode.toString(8);
  if (gid === undefined) {
    if (stat.uid !== ownUid()) return `it belongs to uid ${stat.uid}, not ${ownUid()}`;
    if ((stat.mode & 0o077) === 0) return undefined;
    return `its mode is ${(stat.mode & 0o777).toString(8)}, it must be ${wanted}`;
  }
  // Any owner: only a member, or root, can have given it to the group.
  if (stat.gid !== gid) return `it belongs to group ${stat.gid}, not ${gid}`;
  if ((stat.mode & 0o7777) === mode) return undefined;
  return `its mode is ${(stat.mode & 0o7777).toString(8)}, it must be ${wanted}`;
}
