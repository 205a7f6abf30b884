// The optional headers of a message as bytes: tag, length, value. Used inside the envelope (envelope.ts); no I/O.
//
//   field   = u8 tag, u32 length, value                         (all integers little-endian)
//   text    = UTF-8                                             tags 1 id … 6 type
//   number  = i32 priority (tag 7), f64 ttlMs (8), delayMs (9)
//   headers = u32 count, count × (u32 length, UTF-8, u32 length, UTF-8)   tag 10
//
// A reader skips tags it does not know; a tag that comes twice is an error.

import { NaruError } from '../errors/index.ts';
import type { MessageFields } from './envelope-types.ts';
import { readText, textBytes, writeText } from './text.ts';

/** Bounds on the headers of one message; what a sender may write is what a receiver will read. */
export const FIELD_LIMITS = {
  /** All fields of a message together, in bytes as encoded. */
  fieldsBytesMax: 1_048_576,
  /** User headers of a message. */
  headersMax: 1024,
} as const;

const TEXT_FIELDS = ['id', 'contentType', 'correlationId', 'replyTo', 'key', 'type'] as const;
const PRIORITY = 7;
const TTL = 8;
const DELAY = 9;
const HEADERS = 10;
/** Tag and length in front of every value. */
const FIELD_PREFIX = 5;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * How many bytes encodeFields() will write.
 * @throws NARU_TOO_LARGE  more headers, or more bytes, than FIELD_LIMITS allow
 * @throws NARU_INVALID_MESSAGE  a header is not text, or a number is out of range
 */
export function fieldsSize(fields: MessageFields): number {
  // Each by its own name, here and in encodeFields(): looking twelve properties up by a name that varies was a fifth of a send.
  let size = sizeOfText(fields.id) + sizeOfText(fields.contentType) + sizeOfText(fields.correlationId);
  size += sizeOfText(fields.replyTo) + sizeOfText(fields.key) + sizeOfText(fields.type);
  if (fields.priority !== undefined) size += FIELD_PREFIX + sizeOfNumber('priority', fields.priority);
  if (fields.ttlMs !== undefined) size += FIELD_PREFIX + sizeOfNumber('ttlMs', fields.ttlMs);
  if (fields.delayMs !== undefined) size += FIELD_PREFIX + sizeOfNumber('delayMs', fields.delayMs);
  if (fields.headers !== undefined) size += FIELD_PREFIX + sizeOfHeaders(fields.headers);
  if (size > FIELD_LIMITS.fieldsBytesMax) {
    throw new NaruError(
      'NARU_TOO_LARGE',
      `the headers of a message take ${size} bytes, the limit is ${FIELD_LIMITS.fieldsBytesMax}: put large data into the body`,
    );
  }
  return size;
}

/**
 * Writes the fields at `offset`, where fieldsSize() bytes are free.
 * @returns the offset after them
 */
export function encodeFields(
  fields: MessageFields,
  target: Uint8Array,
  view: DataView,
  offset: number,
): number {
  let at = encodeText(1, fields.id, target, view, offset);
  at = encodeText(2, fields.contentType, target, view, at);
  at = encodeText(3, fields.correlationId, target, view, at);
  at = encodeText(4, fields.replyTo, target, view, at);
  at = encodeText(5, fields.key, target, view, at);
  at = encodeText(6, fields.type, target, view, at);
  if (fields.priority !== undefined) {
    at = writePrefix(PRIORITY, 4, target, view, at);
    view.setInt32(at - 4, fields.priority, true);
  }
  if (fields.ttlMs !== undefined) {
    at = writePrefix(TTL, 8, target, view, at);
    view.setFloat64(at - 8, fields.ttlMs, true);
  }
  if (fields.delayMs !== undefined) {
    at = writePrefix(DELAY, 8, target, view, at);
    view.setFloat64(at - 8, fields.delayMs, true);
  }
  if (fields.headers !== undefined) at = encodeHeaders(fields.headers, target, view, at);
  return at;
}

/**
 * Reads fields that anybody may have written.
 * @throws NARU_INVALID_MESSAGE  cut off, over the limits, a tag twice, a number out of range, text that is not UTF-8
 */
export function decodeFields(bytes: Uint8Array, offset: number, length: number): MessageFields {
  if (length > FIELD_LIMITS.fieldsBytesMax) throw invalid(`${length} bytes of headers`);
  const end = offset + length;
  if (end > bytes.length) throw invalid('headers reach beyond the message');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: Mutable<MessageFields> = {};
  let seen = 0;
  let at = offset;
  while (at < end) {
    if (end - at < FIELD_PREFIX) throw invalid('a field is cut off');
    const tag = view.getUint8(at);
    const size = view.getUint32(at + 1, true);
    at += FIELD_PREFIX;
    if (size > end - at) throw invalid(`field ${tag} says ${size} bytes, ${end - at} are left`);
    if (tag >= 1 && tag <= HEADERS) {
      if ((seen & (1 << tag)) !== 0) throw invalid(`field ${tag} comes twice`);
      seen |= 1 << tag;
      decodeField(fields, tag, bytes, view, at, size);
    }
    at += size;
  }
  return fields;
}

function decodeField(
  fields: Mutable<MessageFields>,
  tag: number,
  bytes: Uint8Array,
  view: DataView,
  at: number,
  size: number,
): void {
  const name = TEXT_FIELDS[tag - 1];
  if (name !== undefined) {
    fields[name] = readText(bytes, at, size);
  } else if (tag === HEADERS) {
    fields.headers = decodeHeaders(bytes, view, at, size);
  } else if (size !== (tag === PRIORITY ? 4 : 8)) {
    throw invalid(`field ${tag} has ${size} bytes`);
  } else if (tag === PRIORITY) {
    fields.priority = view.getInt32(at, true);
  } else {
    const duration = view.getFloat64(at, true);
    if (!(duration >= 0 && duration < Infinity)) throw invalid(`field ${tag} is ${duration}`);
    fields[tag === TTL ? 'ttlMs' : 'delayMs'] = duration;
  }
}

function encodeHeaders(
  headers: Readonly<Record<string, string>>,
  target: Uint8Array,
  view: DataView,
  offset: number,
): number {
  const names = Object.keys(headers);
  target[offset] = HEADERS;
  view.setUint32(offset + FIELD_PREFIX, names.length, true);
  let at = offset + FIELD_PREFIX + 4;
  for (const name of names) {
    at = writeCounted(name, target, view, at);
    at = writeCounted(headers[name] ?? '', target, view, at);
  }
  view.setUint32(offset + 1, at - offset - FIELD_PREFIX, true);
  return at;
}

function decodeHeaders(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  size: number,
): Readonly<Record<string, string>> {
  if (size < 4) throw invalid('the headers are cut off');
  const count = view.getUint32(offset, true);
  if (count > FIELD_LIMITS.headersMax) {
    throw invalid(`${count} headers, the limit is ${FIELD_LIMITS.headersMax}`);
  }
  // A null prototype: a header named __proto__ is a header like any other.
  const headers = Object.create(null) as Record<string, string>;
  const end = offset + size;
  let at = offset + 4;
  let name = '';
  for (let i = 0; i < count * 2; i += 1) {
    if (end - at < 4) throw invalid('the headers are cut off');
    const length = view.getUint32(at, true);
    at += 4;
    if (length > end - at) throw invalid(`a header says ${length} bytes, ${end - at} are left`);
    const text = readText(bytes, at, length);
    if (i % 2 === 0) name = text;
    else headers[name] = text;
    at += length;
  }
  if (at !== end) throw invalid(`${end - at} bytes after the last header`);
  return headers;
}

function encodeText(
  tag: number,
  text: string | undefined,
  target: Uint8Array,
  view: DataView,
  offset: number,
): number {
  if (text === undefined) return offset;
  target[offset] = tag;
  return writeCounted(text, target, view, offset + 1);
}

function writePrefix(tag: number, size: number, target: Uint8Array, view: DataView, offset: number): number {
  target[offset] = tag;
  view.setUint32(offset + 1, size, true);
  return offset + FIELD_PREFIX + size;
}

function writeCounted(text: string, target: Uint8Array, view: DataView, offset: number): number {
  const end = writeText(text, target, offset + 4);
  view.setUint32(offset, end - offset - 4, true);
  return end;
}

function sizeOfText(text: string | undefined): number {
  return text === undefined ? 0 : FIELD_PREFIX + textBytes(text);
}

function sizeOfNumber(name: 'priority' | 'ttlMs' | 'delayMs', value: number): number {
  if (name === 'priority') {
    if (Number.isInteger(value) && Math.abs(value) <= 0x7fffffff) return 4;
  } else if (value >= 0 && value < Infinity) return 8;
  throw new NaruError(
    'NARU_INVALID_MESSAGE',
    `${name} of a message is ${String(value)}, which no place can carry`,
  );
}

function sizeOfHeaders(headers: Readonly<Record<string, string>>): number {
  const names = Object.keys(headers);
  if (names.length > FIELD_LIMITS.headersMax) {
    throw new NaruError(
      'NARU_TOO_LARGE',
      `a message has ${names.length} headers, the limit is ${FIELD_LIMITS.headersMax}: put large data into the body`,
    );
  }
  let size = 4;
  for (const name of names) {
    const value: unknown = headers[name];
    if (typeof value !== 'string') {
      throw new NaruError('NARU_INVALID_MESSAGE', `header ${name} is ${typeof value}, headers are text`);
    }
    size += 8 + textBytes(name) + textBytes(value);
  }
  return size;
}

function invalid(what: string): NaruError {
  return new NaruError('NARU_INVALID_MESSAGE', `the headers of a message cannot be read: ${what}`);
}
