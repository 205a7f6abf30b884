// A small file that is replaced as a whole: definitions, cursors. After a crash it is the old one or the new one, and damage to it is
// known.

import type { Disk } from './disk.ts';
import { corrupt } from './failures.ts';
import { readWhole, wholeFile } from './file-header.ts';
import { FILE_KIND } from './format.ts';
import { UNFINISHED } from './spares.ts';

/** Read into memory at once. */
export const SNAPSHOT_BYTES_MAX: number = 256 << 20;

const ENDING = '.snap';

/** Replaces a snapshot; it is on the disk when this resolves. One call at a time for each name. */
export async function writeSnapshot(
  disk: Disk,
  logId: Uint8Array,
  name: string,
  contents: Uint8Array,
): Promise<void> {
  const path = name + ENDING;
  await disk.unlink(path + UNFINISHED).catch(() => undefined);
  const file = await disk.create(path + UNFINISHED);
  try {
    const header = { kind: FILE_KIND.snapshot, number: 0, generation: 0, logId };
    await file.write([wholeFile(header, contents)], 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(path + UNFINISHED, path);
  await disk.syncFolder();
}

/**
 * @returns undefined when it was never written
 * @throws NARU_CORRUPT  naming the file: damaged, of another version or of another log
 */
export async function readSnapshot(
  disk: Disk,
  logId: Uint8Array,
  name: string,
): Promise<Uint8Array | undefined> {
  const path = name + ENDING;
  if (!(await disk.list()).includes(path)) return undefined;
  const file = await disk.open(path);
  try {
    const whole = await readWhole(file, FILE_KIND.snapshot, SNAPSHOT_BYTES_MAX);
    if ('problem' in whole) {
      throw corrupt(disk.folder, { file: path, offset: whole.offset, what: whole.problem });
    }
    if (!whole.header.logId.every((byte, index) => byte === logId[index])) {
      throw corrupt(disk.folder, { file: path, offset: 32, what: 'the file belongs to another log' });
    }
    return whole.body.bytes;
  } finally {
    await file.close();
  }
}
