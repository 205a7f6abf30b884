// Where the files of one mailbox are, whose they may be, and how errors about them speak. The places say it; nothing is made or
// opened here.

import type { Stats } from 'node:fs';

/** The group whose members share a mailbox; undefined: it is its user's alone. */
export type Gid = number | undefined;

/** What errors say beside the failed call. */
export interface Where {
  /** The place's scheme. */
  readonly place: string;
  /** What ENOSPC means: which file system is full. */
  readonly fullText: string;
}

/** The files of one mailbox. */
export interface Site extends Where {
  /** The object that every participant maps. */
  readonly ring: string;
  /** The folder of its lock and of its participants' FIFOs. */
  readonly folder: string;
  /** The folder lies beside the object, not around it: the last handle to close takes it away. */
  readonly isBeside: boolean;
  readonly gid: Gid;
}

export function ownUid(): number {
  return process.getuid?.() ?? 0;
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
