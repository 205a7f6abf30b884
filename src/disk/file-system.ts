// Whether the file system of a folder can hold what processes share through memory: one of this machine can, one of a network, or
// one that may be, cannot.

import { statfsSync } from 'node:fs';

/** Numbers from statfs(2) and linux/magic.h. Each is refused: other machines would map the same file and see other bytes. */
const REFUSED: Readonly<Record<number, string>> = {
  0x6969: 'NFS',
  0x517b: 'SMB',
  0xff534d42: 'CIFS',
  0xfe534d42: 'SMB2',
  0x01021997: '9P',
  0x00c36400: 'Ceph',
  0x5346414f: 'AFS',
  0x6b414653: 'AFS',
  0x73757245: 'Coda',
  0x564c: 'NCP',
  0x0bd00bd0: 'Lustre',
  0x47504653: 'GPFS',
  0x01161970: 'GFS2',
  0x7461636f: 'OCFS2',
  0x19830326: 'BeeGFS',
  0x786f4256: 'a shared folder of VirtualBox',
  // sshfs and many others; which one it is the number does not say.
  0x65735546: 'FUSE, which may be a network behind it',
};

/**
 * What speaks against mapping files of this folder among processes; undefined when nothing does.
 * @throws what node:fs throws
 */
export function fileSystemObjection(folder: string): string | undefined {
  return objectionTo(statfsSync(folder).type);
}

/** @param type  `f_type` of statfs(2) */
export function objectionTo(type: number): string | undefined {
  return REFUSED[type >>> 0];
}
