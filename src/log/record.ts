// One record as bytes: written into memory, and checked when it is read. Knows no file.

import { crc32c } from './crc32c.ts';
import { headBytes, type Kind, RECORD, RECORD_HEADER_BYTES, toUnit } from './format.ts';
import { type Memory, readWide, readWord, writeWide, writeWord } from './memory.ts';

/** What its owner puts into the log. */
export interface LogRecord {
  /** Whose it is: a number from 0 to 2^32 − 1 that means something to the owner of the log. */
  readonly stream: number;
  /** Others that have a part in it; it lives until all of them have removed it. At most 65,535. */
  readonly extraStreams?: readonly number[] | undefined;
  /** A number of 32 bits for the owner, known after recovery without reading the body. Default: 0. */
  readonly note?: number | undefined;
  /** A float of 64 bits for the owner, a time for instance. Default: 0. */
  readonly stamp?: number | undefined;
  /** The parts of the body, one after the other. */
  readonly body: Uint8Array | readonly Uint8Array[];
}

const NO_STREAMS: readonly number[] = [];

export function bodyBytesOf({ body }: LogRecord): number {
  if (body instanceof Uint8Array) return body.length;
  let bytes = 0;
  for (const part of body) bytes += part.length;
  return bytes;
}

/** How much room a record takes in a segment. */
export function strideOf(record: LogRecord): number {
  return headBytes(record.extraStreams?.length ?? 0) + toUnit(bodyBytesOf(record));
}

/** Writes a record at a multiple of a unit. The memory need not be zero. @returns its stride */
export function writeRecord(
  memory: Memory,
  at: number,
  kind: Kind,
  sequence: number,
  record: LogRecord,
  seed: number,
): number {
  const { bytes, words, floats } = memory;
  const { body, extraStreams = NO_STREAMS } = record;
  const start = at + headBytes(extraStreams.length);
  let end = start;
  if (body instanceof Uint8Array) {
    bytes.set(body, start);
    end += body.length;
  } else {
    for (const part of body) {
      bytes.set(part, end);
      end += part.length;
    }
  }
  const next = start + toUnit(end - start);
  for (let index = end; index < next; index += 1) bytes[index] = 0;
  const word = at >>> 2;
  words[word + RECORD.kind / 4] = kind | (extraStreams.length << 16);
  writeWide(memory, at + RECORD.sequence, sequence);
  floats[(at + RECORD.stamp) >>> 3] = record.stamp ?? 0;
  words[word + RECORD.bodyBytes / 4] = end - start;
  words[word + RECORD.bodyCrc / 4] = crc32c(memory, start, end, seed);
  words[word + RECORD.stream / 4] = record.stream;
  words[word + RECORD.note / 4] = record.note ?? 0;
  if (extraStreams.length > 0) writeExtraStreams(memory, at, start, extraStreams);
  words[word] = crc32c(memory, at + RECORD.kind, start, seed);
  return next - at;
}

function writeExtraStreams(memory: Memory, at: number, start: number, streams: readonly number[]): void {
  // The last word may be padding.
  writeWord(memory, start - 4, 0);
  streams.forEach((stream, index) => writeWord(memory, at + RECORD_HEADER_BYTES + index * 4, stream));
}

/** The kind that stands in a record's head, valid or not. */
export function kindAt({ words }: Memory, at: number): number {
  return (words[(at + RECORD.kind) >>> 2] as number) & 255;
}

export function extraStreamsAt({ words }: Memory, at: number): number {
  return (words[(at + RECORD.kind) >>> 2] as number) >>> 16;
}

/** Offset of the body in the same memory. */
export function bodyAt(memory: Memory, at: number): number {
  return at + headBytes(extraStreamsAt(memory, at));
}

/** The stride that a head tells; believe it only when `isHeadValid`. */
export function strideAt(memory: Memory, at: number): number {
  return headBytes(extraStreamsAt(memory, at)) + toUnit(readWord(memory, at + RECORD.bodyBytes));
}

/** Whether the head at `at` is what was written. `roomBytes` of the memory from there on may be looked at. */
export function isHeadValid(memory: Memory, at: number, roomBytes: number, seed: number): boolean {
  if (roomBytes < RECORD_HEADER_BYTES) return false;
  const kind = kindAt(memory, at);
  if (kind === 0 || kind > 6) return false;
  const end = bodyAt(memory, at);
  if (end - at > roomBytes) return false;
  return crc32c(memory, at + RECORD.kind, end, seed) === (memory.words[at >>> 2] as number);
}

/** Whether the body is what was written. The head must be valid and the record within the memory. */
export function isBodyValid(memory: Memory, at: number, seed: number): boolean {
  const from = bodyAt(memory, at);
  const to = from + readWord(memory, at + RECORD.bodyBytes);
  return crc32c(memory, from, to, seed) === (memory.words[(at + RECORD.bodyCrc) >>> 2] as number);
}

export function sequenceAt(memory: Memory, at: number): number {
  return readWide(memory, at + RECORD.sequence);
}

/** The body of a record within the memory: a view. */
export function bodyOf(memory: Memory, at: number): Uint8Array<ArrayBuffer> {
  const from = bodyAt(memory, at);
  return memory.bytes.subarray(from, from + readWord(memory, at + RECORD.bodyBytes));
}

/** All streams of a record: its own first. */
export function streamsAt(memory: Memory, at: number): number[] {
  const streams = [readWord(memory, at + RECORD.stream)];
  const extra = extraStreamsAt(memory, at);
  for (let index = 0; index < extra; index += 1) {
    streams.push(readWord(memory, at + RECORD_HEADER_BYTES + index * 4));
  }
  return streams;
}
