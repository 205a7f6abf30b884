// Reads a segment's records one after the other, and stops at the first that is not valid. Says what it saw; what that means
// (the end, a torn tail, damage) is recovery's business.

import type { DiskFile } from './disk.ts';
import { KIND, MARK_BODY, MARK_BODY_BYTES, RECORD, RECORD_HEADER_BYTES, UNIT_BYTES } from './format.ts';
import { type Memory, newMemory, readWord } from './memory.ts';
import { bodyAt, isBodyValid, isHeadValid, kindAt, strideAt } from './record.ts';

const CHUNK_BYTES = 1 << 20;

/** Why a scan ended where it ended. `zeros`: room that was never written; `limit`: the end of what there is. */
export type ScanEnd = 'zeros' | 'limit' | 'head' | 'body' | 'length';

export interface ScanVisitor {
  /** A valid record at `at` in the memory, which is `offset` in the file. The memory is used again afterwards. */
  record(memory: Memory, at: number, offset: number, stride: number): void;
  /** A record whose head is valid and whose body is not. @returns whether to go on behind it */
  damaged?(memory: Memory, at: number, offset: number): boolean;
}

export interface ScanResult {
  /** Offset of the first byte that was not accepted. */
  readonly end: number;
  readonly why: ScanEnd;
}

/** A window on a file that moves forward. */
class Window {
  readonly #file: DiskFile;
  readonly #limit: number;
  memory: Memory;
  /** Offset in the file of the first byte of the memory, and how many bytes of it are there. */
  start = 0;
  length = 0;

  constructor(file: DiskFile, limit: number) {
    this.#file = file;
    this.#limit = limit;
    this.memory = newMemory(Math.min(CHUNK_BYTES, limit));
  }

  /** Makes `bytes` from `offset` on be there, as far as the file goes. @returns how many are there from `offset` on */
  async show(offset: number, bytes: number): Promise<number> {
    if (offset < this.start || offset + bytes > this.start + this.length) {
      const wanted = Math.min(Math.max(bytes, CHUNK_BYTES), this.#limit - offset);
      if (wanted > this.memory.bytes.length) this.memory = newMemory(wanted);
      this.start = offset;
      this.length = await this.#file.read(this.memory.bytes.subarray(0, wanted), offset);
    }
    return this.start + this.length - offset;
  }
}

/** Scans `[from, limit)` of a file. `limit` is at most the file's size. */
export async function scan(
  file: DiskFile,
  seed: number,
  from: number,
  limit: number,
  visitor: ScanVisitor,
): Promise<ScanResult> {
  const window = new Window(file, limit);
  let offset = from;
  let needs = RECORD_HEADER_BYTES;
  for (;;) {
    // Less than a head is left, or the file is shorter than it was said to be.
    if (limit - offset < needs || (await window.show(offset, needs)) < needs)
      return { end: offset, why: 'limit' };
    const { memory, start, length } = window;
    const outcome = scanMemory(memory, offset - start, length, seed, start, limit, visitor);
    offset = start + outcome.at;
    if (outcome.why !== 'more') return { end: offset, why: outcome.why };
    ({ needs } = outcome);
  }
}

interface MemoryScan {
  readonly at: number;
  readonly why: ScanEnd | 'more';
  /** With `more`: so many bytes from `at` on must be there. */
  readonly needs: number;
}

/** All records that lie whole in the memory. `start` is the offset in the file of the memory's first byte. */
function scanMemory(
  memory: Memory,
  from: number,
  end: number,
  seed: number,
  start: number,
  limit: number,
  visitor: ScanVisitor,
): MemoryScan {
  let at = from;
  for (;;) {
    const room = end - at;
    if (room < RECORD_HEADER_BYTES) return { at, why: 'more', needs: RECORD_HEADER_BYTES };
    if (isZero(memory, at, at + RECORD_HEADER_BYTES)) return { at, why: 'zeros', needs: 0 };
    const head = bodyAt(memory, at) - at;
    const left = limit - start - at;
    if (head > room && head <= left) return { at, why: 'more', needs: head };
    if (!isHeadValid(memory, at, room, seed)) return { at, why: 'head', needs: 0 };
    const stride = strideAt(memory, at);
    if (stride > left) return { at, why: 'length', needs: 0 };
    if (stride > room) return { at, why: 'more', needs: stride };
    if (isBodyValid(memory, at, seed)) visitor.record(memory, at, start + at, stride);
    else if (visitor.damaged?.(memory, at, start + at) !== true) return { at, why: 'body', needs: 0 };
    at += stride;
  }
}

function isZero({ words }: Memory, from: number, to: number): boolean {
  for (let word = from >>> 2; word < to >>> 2; word += 1) if (words[word] !== 0) return false;
  return true;
}

/** What a mark says was synced: everything before this offset of this segment. */
export interface SyncedClaim {
  readonly number: number;
  readonly bytes: number;
}

export function claimAt(memory: Memory, at: number): SyncedClaim {
  const body = bodyAt(memory, at);
  return {
    number: readWord(memory, body + MARK_BODY.syncedNumber),
    bytes: readWord(memory, body + MARK_BODY.syncedBytes),
  };
}

/** Finds marks behind a place where nothing valid stands: one that says this place was synced makes it damage. */
export async function findMarks(
  file: DiskFile,
  seed: number,
  from: number,
  limit: number,
  found: (claim: SyncedClaim, offset: number) => void,
): Promise<{ lastUsed: number }> {
  const window = new Window(file, limit);
  let lastUsed = from;
  for (let offset = from; offset < limit; ) {
    const there = await window.show(offset, Math.min(CHUNK_BYTES, limit - offset));
    if (there < UNIT_BYTES) break;
    const { memory, start } = window;
    const end = offset - start + there;
    for (let at = offset - start; at + UNIT_BYTES <= end; at += UNIT_BYTES) {
      if ((memory.words[at >>> 2] as number) !== 0 || (memory.words[(at >>> 2) + 1] as number) !== 0) {
        lastUsed = start + at + UNIT_BYTES;
      }
      if (isMark(memory, at, end, seed)) found(claimAt(memory, at), start + at);
    }
    // A mark may lie across the edge of what was read: the next look begins before it.
    const next = start + end - MARK_BYTES_MAX;
    offset = start + end >= limit ? limit : Math.max(next, offset + UNIT_BYTES);
  }
  return { lastUsed };
}

/** A mark with the longest padding, and then some. */
const MARK_BYTES_MAX = 1024;

function isMark(memory: Memory, at: number, end: number, seed: number): boolean {
  if (end - at < RECORD_HEADER_BYTES + MARK_BODY_BYTES || kindAt(memory, at) !== KIND.mark) return false;
  if (readWord(memory, at + RECORD.bodyBytes) > MARK_BYTES_MAX) return false;
  if (!isHeadValid(memory, at, end - at, seed)) return false;
  return strideAt(memory, at) <= end - at && isBodyValid(memory, at, seed);
}
