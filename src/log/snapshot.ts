// A small file that is replaced as a whole: definitions, cursors. After a crash it is the old one or the new one, and damage to it is
// known.

import { type Disk, isFull } from './disk.ts';
import { corrupt } from './failures.ts';
import { readWhole, wholeFile } from './file-header.ts';
import { FILE_KIND, MARK_BODY, MARK_BODY_BYTES } from './format.ts';
import { newMemory, writeWord } from './memory.ts';
import type { SyncedClaim } from './scan.ts';
import { UNFINISHED } from './spares.ts';

/** Read into memory at once. */
export const SNAPSHOT_BYTES_MAX: number = 256 << 20;

export const SNAPSHOT_ENDING = '.snap';
/** No name that an owner can give. */
const END_NAME = '_end';

/** Replaces a snapshot; it is on the disk when this resolves. One call at a time for each name. */
export async function writeSnapshot(
  disk: Disk,
  logId: Uint8Array,
  name: string,
  contents: Uint8Array,
): Promise<void> {
  const path = name + SNAPSHOT_ENDING;
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
  const path = name + SNAPSHOT_ENDING;
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

/** Notes how far the log was synced when it was closed: what it once had cannot get lost unseen, the newest segment included. */
export async function writeEnd(disk: Disk, logId: Uint8Array, { number, bytes }: SyncedClaim): Promise<void> {
  const body = newMemory(MARK_BODY_BYTES);
  writeWord(body, MARK_BODY.syncedNumber, number);
  writeWord(body, MARK_BODY.syncedBytes, bytes);
  try {
    await writeSnapshot(disk, logId, END_NAME, body.bytes);
  } catch (error) {
    // An older note is as true, and tells of less.
    if (!isFull(error)) throw error;
  }
}

/** What the last close noted; nothing when that cannot be read: the marks of the log tell almost as much. */
export async function readEnd(disk: Disk, logId: Uint8Array): Promise<SyncedClaim> {
  const bytes = await readSnapshot(disk, logId, END_NAME).catch(() => undefined);
  if (bytes === undefined || bytes.length !== MARK_BODY_BYTES) return { number: 0, bytes: 0 };
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    number: view.getUint32(MARK_BODY.syncedNumber, true),
    bytes: view.getUint32(MARK_BODY.syncedBytes, true),
  };
}
