// The group of users who share a mailbox: which one a URL means, and whether this process is in it.

import { readFileSync } from 'node:fs';
import { NaruError } from '../../errors/index.ts';
import { ownUid } from '../../mapped-ring/site.ts';
import { GROUP_PARAMETER } from './address.ts';

const GROUP_DATABASE = '/etc/group';
/** (gid_t)-1 means "leave it as it is" to chown(2). */
const GID_MAX = 4_294_967_294;

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
