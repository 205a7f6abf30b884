// The file of a sqlite:/// URL before SQLite touches it: where it is, whether it may be there. A lock of SQLite is worth nothing on
// most network file systems, so those are refused.

import { existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { NaruError } from '../../errors/index.ts';
import type { PlaceUrl } from '../../mailbox/place.ts';

/** Types of file systems as statfs(2) gives them. FUSE is not among them: it can be either, and local more often. */
const NETWORK: Readonly<Record<number, string>> = {
  0x6969: 'NFS',
  0x517b: 'SMB',
  0xff534d42: 'CIFS',
  0xfe534d42: 'SMB 2',
  0x5346414f: 'AFS',
  0x00c36400: 'Ceph',
  0x73757245: 'Coda',
  0x01021997: '9P',
  0x0bd00bd0: 'Lustre',
  0x47504653: 'GPFS',
  0x7461636f: 'OCFS2',
  0x01161970: 'GFS2',
};

/** @returns the name of the network file system of this type; undefined for others */
export function networkFileSystem(type: number): string | undefined {
  return NETWORK[type >>> 0];
}

/**
 * @returns the path of the file
 * @throws NARU_INVALID_ARGUMENT  no absolute path
 * @throws NARU_NOT_FOUND         its folder is not there, or it is not there and may not be made
 * @throws NARU_UNSUPPORTED       a network file system
 */
export function checkFile({ host, path, text }: PlaceUrl, mayCreate: boolean): string {
  if (host !== '' || path === '' || path.endsWith('/') || path.includes('\0'))
    throw failure('NARU_INVALID_ARGUMENT', `${text}: name a file: sqlite:///path/to/file.db`, text);
  if (!existsSync(dirname(path)))
    throw failure('NARU_NOT_FOUND', `${text}: there is no folder ${dirname(path)}; make it first`, text);
  if (!mayCreate && !existsSync(path))
    throw failure('NARU_NOT_FOUND', `${text}: there is no such file, and create is "never"`, text);
  const system = networkFileSystem(statfsSync(dirname(path)).type);
  if (system === undefined) return path;
  throw failure(
    'NARU_UNSUPPORTED',
    `${text}: ${dirname(path)} is on a network file system (${system}), where SQLite's locks do not hold; use a local disk, or postgres://`,
    text,
  );
}

function failure(
  code: 'NARU_INVALID_ARGUMENT' | 'NARU_NOT_FOUND' | 'NARU_UNSUPPORTED',
  message: string,
  text: string,
): NaruError {
  return new NaruError(code, message, { place: 'sqlite', mailbox: text });
}
