// The index of a sealed segment: a file beside it from which recovery knows every record and every removal without reading the
// segment. A damaged or missing one costs a scan, nothing else. Written after the segment was synced, never before.

import { Columns } from './columns.ts';
import type { Disk } from './disk.ts';
import { readEntry, isSameEntry, writeEntry } from './entries.ts';
import { readWhole, wholeFile } from './file-header.ts';
import {
  FILE_KIND,
  fileName,
  INDEX_ROW_BYTES,
  SEGMENT_BYTES_MAX,
  SEGMENT_ENTRY_BYTES,
  toUnit,
} from './format.ts';
import { type Memory, newMemory, readWord, writeWord } from './memory.ts';
import type { SegmentEntry } from './segment.ts';

/** A removal record of the segment: runs of sequences that a stream needs no more. */
export interface Removal {
  readonly stream: number;
  readonly runs: Uint8Array;
}

/** Everything recovery must know of a segment. */
export interface Contents {
  readonly columns: Columns;
  readonly removals: Removal[];
}

/** Before the entry: rows, shared rows, words of shared rows, removals. */
const COUNTS_BYTES = 16;
const ROWS_AT = COUNTS_BYTES + SEGMENT_ENTRY_BYTES;

export function encodeIndex(entry: SegmentEntry, { columns, removals }: Contents): Uint8Array {
  let sharedWords = 0;
  for (const streams of columns.shared.values()) sharedWords += 2 + streams.length;
  const sharedAt = ROWS_AT + columns.count * INDEX_ROW_BYTES;
  const removalsAt = sharedAt + toUnit(sharedWords * 4);
  const bytes = removals.reduce((sum, { runs }) => sum + 8 + toUnit(runs.length), removalsAt);
  const memory = newMemory(bytes);
  [columns.count, columns.shared.size, sharedWords, removals.length].forEach((count, index) =>
    writeWord(memory, index * 4, count),
  );
  writeEntry(memory, COUNTS_BYTES, entry);
  for (let row = 0; row < columns.count; row += 1)
    columns.writeRow(memory, ROWS_AT + row * INDEX_ROW_BYTES, row);
  let at = sharedAt;
  for (const [row, streams] of columns.shared) {
    for (const word of [row, streams.length, ...streams]) {
      writeWord(memory, at, word);
      at += 4;
    }
  }
  at = removalsAt;
  for (const { stream, runs } of removals) {
    writeWord(memory, at, stream);
    writeWord(memory, at + 4, runs.length);
    memory.bytes.set(runs, at + 8);
    at += 8 + toUnit(runs.length);
  }
  return memory.bytes;
}

/** @returns undefined when it is not the index of this segment, or its counts do not fit its size */
export function decodeIndex(memory: Memory, entry: SegmentEntry): Contents | undefined {
  const { length } = memory.bytes;
  if (length < ROWS_AT || !isSameEntry(readEntry(memory, COUNTS_BYTES), entry)) return undefined;
  const [rows = 0, sharedRows = 0, sharedWords = 0, removalCount = 0] = [0, 4, 8, 12].map((at) =>
    readWord(memory, at),
  );
  const sharedAt = ROWS_AT + rows * INDEX_ROW_BYTES;
  const removalsAt = sharedAt + Math.ceil(sharedWords / 2) * 8;
  if (removalsAt > length || removalCount > length / 8) return undefined;
  const columns = new Columns();
  columns.readRows(memory, ROWS_AT, rows);
  let at = sharedAt;
  for (let shared = 0; shared < sharedRows; shared += 1) {
    if (at + 8 > removalsAt) return undefined;
    const count = readWord(memory, at + 4);
    if (at + 8 + count * 4 > removalsAt) return undefined;
    const streams = Array.from({ length: count }, (_, index) => readWord(memory, at + 8 + index * 4));
    columns.shared.set(readWord(memory, at), streams);
    at += 8 + count * 4;
  }
  const removals: Removal[] = [];
  at = removalsAt;
  for (let removal = 0; removal < removalCount; removal += 1) {
    if (at + 8 > length) return undefined;
    const bytes = readWord(memory, at + 4);
    if (at + 8 + bytes > length) return undefined;
    removals.push({ stream: readWord(memory, at), runs: memory.bytes.slice(at + 8, at + 8 + bytes) });
    at += 8 + toUnit(bytes);
  }
  return { columns, removals };
}

/** Writes the index of a segment that is synced. Not synced itself: one that is lost or torn costs a scan. */
export async function writeIndex(
  disk: Disk,
  logId: Uint8Array,
  entry: SegmentEntry,
  contents: Contents,
): Promise<void> {
  const name = fileName(entry, 'idx');
  await disk.unlink(name).catch(() => undefined);
  const file = await disk.create(name);
  try {
    const { number, generation } = entry;
    const header = { kind: FILE_KIND.index, number, generation, logId };
    await file.write([wholeFile(header, encodeIndex(entry, contents))], 0);
  } finally {
    await file.close();
  }
}

/** @returns undefined when there is none that can be used */
export async function readIndex(
  disk: Disk,
  logId: Uint8Array,
  entry: SegmentEntry,
): Promise<Contents | undefined> {
  const file = await disk.open(fileName(entry, 'idx')).catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const whole = await readWhole(file, FILE_KIND.index, SEGMENT_BYTES_MAX);
    if ('problem' in whole) return undefined;
    if (!whole.header.logId.every((byte, index) => byte === logId[index])) return undefined;
    return decodeIndex(whole.body, entry);
  } finally {
    await file.close();
  }
}
