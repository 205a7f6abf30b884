// The URL of a mailbox in shared memory, as others open it: built here and taken apart here.

/** The URL parameter that names the group of users who share a mailbox. */
export const GROUP_PARAMETER = 'accessGroup';
const SCHEME = 'shm://';

/** The group is a number here: it means the same in every process, whatever the group database in its container says. */
export function addressOf(name: string, gid: number | undefined): string {
  return `${SCHEME}${name}${query(gid)}`;
}

/** The name in an address of the same group; undefined when it is anything else. */
export function nameIn(address: string, gid: number | undefined): string | undefined {
  const end = query(gid);
  if (!address.startsWith(SCHEME) || !address.endsWith(end)) return undefined;
  return address.slice(SCHEME.length, address.length - end.length);
}

function query(gid: number | undefined): string {
  return gid === undefined ? '' : `?${GROUP_PARAMETER}=${gid}`;
}
