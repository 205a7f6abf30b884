// The header that every file of a log begins with: written, and checked before a byte of the file is believed.

import { crc32c } from './crc32c.ts';
import type { DiskFile } from './disk.ts';
import {
  BYTE_ORDER,
  FILE_HEADER,
  FILE_HEADER_BYTES,
  type FILE_KIND,
  LOG_ID_BYTES,
  MAGIC,
  REQUIRED_FEATURES_KNOWN,
  VERSION_MAJOR,
  VERSION_MINOR,
} from './format.ts';
import { type Memory, newMemory, readWord, writeWord } from './memory.ts';

export interface FileHeader {
  readonly kind: (typeof FILE_KIND)[keyof typeof FILE_KIND];
  readonly number: number;
  readonly generation: number;
  /** Of an index or a snapshot: length and checksum of what follows. */
  readonly bodyBytes: number;
  readonly bodyCrc: number;
  /** 16 random bytes made with the log: files of another log are refused. */
  readonly logId: Uint8Array;
}

/** The checksum of every record and body begins with this: bytes that a user sends never pass for a record of ours. */
export function seedOf(logId: Uint8Array): number {
  const memory = newMemory(LOG_ID_BYTES);
  memory.bytes.set(logId);
  return crc32c(memory, 0, LOG_ID_BYTES);
}

export function writeHeader(memory: Memory, header: FileHeader): void {
  writeWord(memory, FILE_HEADER.magic, MAGIC);
  writeWord(memory, FILE_HEADER.kind, header.kind);
  writeWord(memory, FILE_HEADER.byteOrder, BYTE_ORDER);
  writeWord(memory, FILE_HEADER.versionMajor, VERSION_MAJOR);
  writeWord(memory, FILE_HEADER.versionMinor, VERSION_MINOR);
  writeWord(memory, FILE_HEADER.requiredFeatures, 0);
  writeWord(memory, FILE_HEADER.optionalFeatures, 0);
  writeWord(memory, FILE_HEADER.bodyBytes, header.bodyBytes);
  memory.bytes.set(header.logId, FILE_HEADER.logId);
  writeWord(memory, FILE_HEADER.number, header.number);
  writeWord(memory, FILE_HEADER.generation, header.generation);
  writeWord(memory, FILE_HEADER.bodyCrc, header.bodyCrc);
  writeWord(memory, FILE_HEADER.crc, crc32c(memory, 0, FILE_HEADER.crc));
}

/** What is wrong with a header, and where in it. */
export interface HeaderProblem {
  readonly problem: string;
  readonly offset: number;
}

/** @returns the header, or what is wrong with it */
export function readHeader(
  memory: Memory,
  length: number,
  kind: FileHeader['kind'],
): FileHeader | HeaderProblem {
  if (length < FILE_HEADER_BYTES)
    return { problem: `${length} bytes, a header has ${FILE_HEADER_BYTES}`, offset: 0 };
  const word = (at: number): number => readWord(memory, at);
  if (word(FILE_HEADER.magic) !== MAGIC || word(FILE_HEADER.kind) !== kind) {
    return { problem: 'not a file of a Naru log, or not of this kind', offset: FILE_HEADER.magic };
  }
  if (word(FILE_HEADER.byteOrder) !== BYTE_ORDER) {
    return { problem: 'byte order of another machine', offset: FILE_HEADER.byteOrder };
  }
  // Before the version is believed; a reader of a later version must keep this check where it is.
  if (crc32c(memory, 0, FILE_HEADER.crc) !== (word(FILE_HEADER.crc) | 0)) {
    return { problem: 'the checksum of the header is wrong', offset: FILE_HEADER.crc };
  }
  const major = word(FILE_HEADER.versionMajor);
  if (major !== VERSION_MAJOR) {
    const problem = `version ${major}.${word(FILE_HEADER.versionMinor)}, this Naru reads version ${VERSION_MAJOR}`;
    return { problem, offset: FILE_HEADER.versionMajor };
  }
  const unknown = word(FILE_HEADER.requiredFeatures) & ~REQUIRED_FEATURES_KNOWN;
  if (unknown !== 0) {
    const problem = `needs the features 0x${(unknown >>> 0).toString(16)}, which this Naru does not know`;
    return { problem, offset: FILE_HEADER.requiredFeatures };
  }
  return {
    kind,
    number: word(FILE_HEADER.number),
    generation: word(FILE_HEADER.generation),
    bodyBytes: word(FILE_HEADER.bodyBytes),
    bodyCrc: word(FILE_HEADER.bodyCrc) | 0,
    logId: memory.bytes.slice(FILE_HEADER.logId, FILE_HEADER.logId + LOG_ID_BYTES),
  };
}

/** Reads a whole file that is a header and a body, with a limit on its size. @returns the body, or what is wrong */
export async function readWhole(
  file: DiskFile,
  kind: FileHeader['kind'],
  bytesMax: number,
): Promise<{ readonly header: FileHeader; readonly body: Memory } | HeaderProblem> {
  const size = await file.size();
  if (size > bytesMax) return { problem: `${size} bytes, at most ${bytesMax} are read`, offset: 0 };
  const memory = newMemory(Math.max(size, FILE_HEADER_BYTES));
  const length = await file.read(memory.bytes.subarray(0, size), 0);
  const header = readHeader(memory, length, kind);
  if ('problem' in header) return header;
  if (header.bodyBytes !== length - FILE_HEADER_BYTES) {
    const problem = `its header tells of ${header.bodyBytes} bytes, ${length - FILE_HEADER_BYTES} follow it`;
    return { problem, offset: FILE_HEADER.bodyBytes };
  }
  if (crc32c(memory, FILE_HEADER_BYTES, length, seedOf(header.logId)) !== header.bodyCrc) {
    return { problem: 'the checksum of its contents is wrong', offset: FILE_HEADER_BYTES };
  }
  const { buffer } = memory.bytes;
  const bytes = new Uint8Array(buffer, FILE_HEADER_BYTES, header.bodyBytes);
  const body = {
    bytes,
    words: new Int32Array(buffer, FILE_HEADER_BYTES),
    floats: new Float64Array(buffer, FILE_HEADER_BYTES),
  };
  return { header, body };
}

/** A header and a body as one file. The body is of whole words, or the last bytes of it are not in `words`. */
export function wholeFile(header: Omit<FileHeader, 'bodyBytes' | 'bodyCrc'>, body: Uint8Array): Uint8Array {
  const memory = newMemory(FILE_HEADER_BYTES + body.length);
  memory.bytes.set(body, FILE_HEADER_BYTES);
  const end = FILE_HEADER_BYTES + body.length;
  const bodyCrc = crc32c(memory, FILE_HEADER_BYTES, end, seedOf(header.logId));
  writeHeader(memory, { ...header, bodyBytes: body.length, bodyCrc });
  return memory.bytes.subarray(0, end);
}
