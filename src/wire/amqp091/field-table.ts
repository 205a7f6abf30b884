// Field tables with RabbitMQ's types (its errata, not the specification's): decoded to typed values in null-prototype
// objects, encoded again, or only checked without making anything. Nesting, number of fields and lengths are bounded.

import { isUtf8 } from 'node:buffer';
import { CODEC_LIMITS } from './limits.ts';
import { malformed } from './problem.ts';
import type { Sink } from './sink.ts';

/** A value with the type it has on the wire, by RabbitMQ's letters. */
export type Field =
  | { readonly type: 't'; readonly value: boolean }
  | { readonly type: 'b' | 'B' | 's' | 'u' | 'I' | 'i' | 'f' | 'd'; readonly value: number }
  /** A signed 64-bit integer; a bigint only where a number would not be exact. */
  | { readonly type: 'l'; readonly value: number | bigint }
  /** Seconds since 1970. */
  | { readonly type: 'T'; readonly value: number | bigint }
  /** Text, or bytes where it is not UTF-8. */
  | { readonly type: 'S'; readonly value: string | Uint8Array }
  | { readonly type: 'x'; readonly value: Uint8Array }
  | { readonly type: 'D'; readonly value: { readonly scale: number; readonly digits: number } }
  | { readonly type: 'A'; readonly value: readonly Field[] }
  | { readonly type: 'F'; readonly value: FieldTable }
  | { readonly type: 'V'; readonly value: null };

/** Names to values; no prototype, so that a field named `__proto__` is a field like any other. */
export interface FieldTable {
  readonly [name: string]: Field;
}

/** What RabbitMQ calls the types in its error texts. */
export const FIELD_TYPE_NAMES: Readonly<Record<Field['type'], string>> = {
  t: 'bool',
  b: 'byte',
  B: 'unsignedbyte',
  s: 'short',
  u: 'unsignedshort',
  I: 'signedint',
  i: 'unsignedint',
  l: 'long',
  f: 'float',
  d: 'double',
  D: 'decimal',
  S: 'longstr',
  x: 'binary',
  A: 'array',
  T: 'timestamp',
  F: 'table',
  V: 'void',
};

/** Bytes of the value of each type that has a fixed size, by its letter's code. */
const FIXED = new Int8Array(128).fill(-1);
for (const [letter, size] of Object.entries({
  t: 1,
  b: 1,
  B: 1,
  s: 2,
  u: 2,
  I: 4,
  i: 4,
  l: 8,
  L: 8,
  f: 4,
  d: 8,
  D: 5,
  T: 8,
  V: 0,
}))
  FIXED[letter.charCodeAt(0)] = size;
const LONGSTR = 0x53;
const BINARY = 0x78;
const ARRAY = 0x41;
const TABLE = 0x46;

/** @returns an empty table */
export function emptyTable(): { [name: string]: Field } {
  return Object.create(null) as { [name: string]: Field };
}

/** Reads the fields in `buffer[start…end)`: the inside of a table, without its length. */
export function decodeTable(buffer: Buffer, start: number, end: number): FieldTable {
  return new Decoder(buffer).table(start, end, 1);
}

/**
 * Checks the fields in `buffer[start…end)` as decodeTable() would and makes nothing.
 * @throws NARU_INVALID_MESSAGE  cut off, unknown type, nested too deep, too many fields
 */
export function checkTable(buffer: Buffer, start: number, end: number): void {
  walk(buffer, start, end, true, 1, 0);
}

/** @returns the number of fields so far */
function walk(
  buffer: Buffer,
  start: number,
  end: number,
  named: boolean,
  depth: number,
  before: number,
): number {
  if (depth > CODEC_LIMITS.nestingMax) throw tooDeep();
  let count = before;
  let at = start;
  while (at < end) {
    count += 1;
    if (count > CODEC_LIMITS.fieldsMax) throw tooMany();
    if (named) at += 1 + (buffer[at] as number);
    if (at >= end) throw malformed('a field table is cut off');
    const type = buffer[at] as number;
    at += 1;
    const fixed = type < 128 ? (FIXED[type] as number) : -1;
    if (fixed >= 0) at += fixed;
    else {
      const length = variableLength(buffer, type, at, end);
      at += 4;
      if (type === TABLE || type === ARRAY) {
        count = walk(buffer, at, at + length, type === TABLE, depth + 1, count);
      }
      at += length;
    }
  }
  if (at !== end) throw malformed('a field reaches beyond its table');
  return count;
}

function variableLength(buffer: Buffer, type: number, at: number, end: number): number {
  if (type !== LONGSTR && type !== BINARY && type !== ARRAY && type !== TABLE) {
    throw malformed(`field type ${type} is unknown`);
  }
  if (end - at < 4) throw malformed('a field is cut off');
  const length = buffer.readUInt32BE(at);
  if (length > end - at - 4) throw malformed(`a field says ${length} bytes, ${end - at - 4} are left`);
  return length;
}

/** Bytes of the checked field at `at`, its type letter included. */
export function fieldSize(buffer: Buffer, at: number): number {
  const fixed = FIXED[buffer[at] as number] as number;
  return fixed >= 0 ? 1 + fixed : 5 + buffer.readUInt32BE(at + 1);
}

class Decoder {
  readonly #buffer: Buffer;
  #count = 0;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  table(start: number, end: number, depth: number): FieldTable {
    if (depth > CODEC_LIMITS.nestingMax) throw tooDeep();
    const table = emptyTable();
    this.#at = start;
    while (this.#at < end) {
      const nameEnd = this.#at + 1 + (this.#buffer[this.#at] as number);
      if (nameEnd >= end) throw malformed('a field table is cut off');
      const name = this.#name(this.#at + 1, nameEnd);
      this.#at = nameEnd;
      table[name] = this.#field(end, depth);
    }
    return table;
  }

  #name(start: number, end: number): string {
    const bytes = this.#buffer.subarray(start, end);
    if (!isUtf8(bytes)) throw malformed('the name of a field is not UTF-8');
    return bytes.toString('utf8', 0, bytes.length);
  }

  #array(start: number, end: number, depth: number): readonly Field[] {
    if (depth > CODEC_LIMITS.nestingMax) throw tooDeep();
    const fields: Field[] = [];
    this.#at = start;
    while (this.#at < end) fields.push(this.#field(end, depth));
    return fields;
  }

  #field(end: number, depth: number): Field {
    this.#count += 1;
    if (this.#count > CODEC_LIMITS.fieldsMax) throw tooMany();
    const buffer = this.#buffer;
    const type = buffer[this.#at] as number;
    const at = this.#at + 1;
    const fixed = type < 128 ? (FIXED[type] as number) : -1;
    if (fixed >= 0) {
      if (fixed > end - at) throw malformed('a field is cut off');
      this.#at = at + fixed;
      return scalar(buffer, type, at);
    }
    const length = variableLength(buffer, type, at, end);
    const from = at + 4;
    const to = from + length;
    let field: Field;
    if (type === TABLE) field = { type: 'F', value: this.table(from, to, depth + 1) };
    else if (type === ARRAY) field = { type: 'A', value: this.#array(from, to, depth + 1) };
    else if (type === LONGSTR) field = { type: 'S', value: textOrBytes(buffer.subarray(from, to)) };
    else field = { type: 'x', value: new Uint8Array(buffer.subarray(from, to)) };
    this.#at = to;
    return field;
  }
}

function textOrBytes(bytes: Buffer): string | Uint8Array {
  return isUtf8(bytes) ? bytes.toString('utf8', 0, bytes.length) : new Uint8Array(bytes);
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function scalar(buffer: Buffer, type: number, at: number): Field {
  switch (String.fromCharCode(type)) {
    case 't':
      return { type: 't', value: buffer[at] !== 0 };
    case 'b':
      return { type: 'b', value: buffer.readInt8(at) };
    case 'B':
      return { type: 'B', value: buffer.readUInt8(at) };
    case 's':
      return { type: 's', value: buffer.readInt16BE(at) };
    case 'u':
      return { type: 'u', value: buffer.readUInt16BE(at) };
    case 'I':
      return { type: 'I', value: buffer.readInt32BE(at) };
    case 'i':
      return { type: 'i', value: buffer.readUInt32BE(at) };
    case 'f':
      return { type: 'f', value: buffer.readFloatBE(at) };
    case 'd':
      return { type: 'd', value: buffer.readDoubleBE(at) };
    case 'D':
      return { type: 'D', value: { scale: buffer.readUInt8(at), digits: buffer.readInt32BE(at + 1) } };
    case 'T':
      return { type: 'T', value: exact(buffer.readBigUInt64BE(at)) };
    case 'V':
      return { type: 'V', value: null };
    default:
      return { type: 'l', value: exact(buffer.readBigInt64BE(at)) };
  }
}

/** Writes the fields of a table, without its length. */
export function encodeFields(table: FieldTable, sink: Sink): void {
  for (const name of Object.keys(table)) {
    sink.shortstr(name);
    encodeField(table[name] as Field, sink);
  }
}

/** Writes one value, its type letter first. */
export function encodeField(field: Field, sink: Sink): void {
  sink.octet(field.type.charCodeAt(0));
  switch (field.type) {
    case 't':
      return sink.octet(field.value ? 1 : 0);
    case 'b':
    case 'B':
      return sink.octet(field.value & 0xff);
    case 's':
    case 'u':
      return sink.short(field.value & 0xffff);
    case 'I':
    case 'i':
      return sink.long(field.value >>> 0);
    case 'f':
      return sink.float(field.value);
    case 'd':
      return sink.double(field.value);
    case 'l':
    case 'T':
      return sink.int64(BigInt(field.value));
    case 'D':
      sink.octet(field.value.scale);
      return sink.long(field.value.digits >>> 0);
    case 'S':
      return typeof field.value === 'string' ? sink.longstr(field.value) : sink.longbytes(field.value);
    case 'x':
      return sink.longbytes(field.value);
    case 'V':
      return undefined;
    case 'F':
      return sink.counted(() => encodeFields(field.value, sink));
    case 'A':
      return sink.counted(() => {
        for (const element of field.value) encodeField(element, sink);
      });
  }
}

function tooDeep(): Error {
  return malformed(`tables are nested more than ${CODEC_LIMITS.nestingMax} deep`);
}

function tooMany(): Error {
  return malformed(`a table has more than ${CODEC_LIMITS.fieldsMax} fields`);
}
