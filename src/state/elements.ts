// What a shared value or an element of a shared array can be: types by their codes, the checks that typed arrays do not make, and the
// TypeScript type that follows from a code. No memory here.

import { NaruError } from '../errors/index.ts';

/** Types of fixed size that an array can hold too. */
export type NumberCode = 'i8' | 'u8' | 'i16' | 'u16' | 'i32' | 'u32' | 'i64' | 'u64' | 'f32' | 'f64';
export type IntegerCode = Exclude<NumberCode, 'f32' | 'f64'>;

/** Type of a shared value. `text:64` and `bytes:64` hold up to so many bytes (text: of UTF-8). */
export type ValueCode = NumberCode | 'bool' | `text:${number}` | `bytes:${number}`;

/** What a value of this type is in TypeScript. */
export type ValueOf<C extends ValueCode> = C extends 'i64' | 'u64'
  ? bigint
  : C extends NumberCode
    ? number
    : C extends 'bool'
      ? boolean
      : C extends `text:${number}`
        ? string
        : Uint8Array;

/** Classes of typed arrays, by which the type of a shared array may be named. */
export interface TypedArrays {
  i8: Int8Array;
  u8: Uint8Array;
  i16: Int16Array;
  u16: Uint16Array;
  i32: Int32Array;
  u32: Uint32Array;
  i64: BigInt64Array;
  u64: BigUint64Array;
  f32: Float32Array;
  f64: Float64Array;
}

/** One type, taken apart. */
export interface Element {
  readonly kind: NumberCode | 'bool' | 'text' | 'bytes';
  /** Bytes of one; of text and bytes: the most. */
  readonly bytes: number;
}

/** In the order of their numbers in shared memory, which begin with 1. */
export const ELEMENT_CODES: readonly Element['kind'][] = [
  'i8',
  'u8',
  'i16',
  'u16',
  'i32',
  'u32',
  'i64',
  'u64',
  'f32',
  'f64',
  'bool',
  'text',
  'bytes',
];

const SIZES: Readonly<Record<NumberCode | 'bool', number>> = {
  i8: 1,
  u8: 1,
  i16: 2,
  u16: 2,
  i32: 4,
  u32: 4,
  i64: 8,
  u64: 8,
  f32: 4,
  f64: 8,
  bool: 1,
};

/** Inclusive ranges of integers. */
export const RANGES: Readonly<Record<IntegerCode, readonly [min: number | bigint, max: number | bigint]>> = {
  i8: [-128, 127],
  u8: [0, 255],
  i16: [-32_768, 32_767],
  u16: [0, 65_535],
  i32: [-2_147_483_648, 2_147_483_647],
  u32: [0, 4_294_967_295],
  i64: [-(2n ** 63n), 2n ** 63n - 1n],
  u64: [0n, 2n ** 64n - 1n],
};

/** Longest text or bytes of a shared value. */
export const BLOB_BYTES_MAX: number = 16 * 1024 * 1024;

/** A type from its numbers in shared memory; undefined when there is no such type. */
export function elementOf(code: number, bytes: number): Element | undefined {
  const kind = ELEMENT_CODES[code - 1];
  if (kind === undefined) return undefined;
  if (kind === 'text' || kind === 'bytes')
    return bytes >= 1 && bytes <= BLOB_BYTES_MAX ? { kind, bytes } : undefined;
  return bytes === SIZES[kind] ? { kind, bytes } : undefined;
}

/**
 * A type from its code.
 * @param text  the URL as it may be shown
 * @throws NARU_INVALID_ARGUMENT
 */
export function parseElement(code: unknown, text: string): Element {
  if (typeof code === 'string') {
    if (Object.hasOwn(SIZES, code)) return { kind: code as NumberCode, bytes: SIZES[code as NumberCode] };
    const [, kind, digits] = /^(text|bytes):(\d{1,9})$/.exec(code) ?? [];
    const bytes = Number(digits);
    if (kind !== undefined && bytes >= 1 && bytes <= BLOB_BYTES_MAX)
      return { kind: kind as 'text' | 'bytes', bytes };
  }
  throw new NaruError(
    'NARU_INVALID_ARGUMENT',
    `${text}: there is no type ${typeof code === 'string' ? `"${code.slice(0, 40)}"` : typeof code}: use ${Object.keys(SIZES).join(', ')}, ` +
      `text:N or bytes:N (N from 1 to ${BLOB_BYTES_MAX})`,
    { mailbox: text },
  );
}

/** The code of a type. */
export function codeOf({ kind, bytes }: Element): string {
  return kind === 'text' || kind === 'bytes' ? `${kind}:${bytes}` : kind;
}

export function isInteger(kind: Element['kind']): kind is IntegerCode {
  return Object.hasOwn(RANGES, kind);
}

/** Whether a value fits an element of a number's type or a boolean. */
export function fits(kind: NumberCode | 'bool', value: unknown): boolean {
  if (kind === 'bool') return typeof value === 'boolean';
  if (kind === 'f64') return typeof value === 'number';
  // Rounding is what f32 is for; a finite number that would become infinite is lost.
  if (kind === 'f32')
    return typeof value === 'number' && (Number.isFinite(Math.fround(value)) || !Number.isFinite(value));
  const [min, max] = RANGES[kind];
  if (kind === 'i64' || kind === 'u64') return typeof value === 'bigint' && value >= min && value <= max;
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}

/** What is wrong with a value that does not fit. */
export function misfit(kind: Element['kind'], value: unknown, text: string): NaruError {
  const shown =
    typeof value === 'bigint'
      ? `${value}n`
      : typeof value === 'string'
        ? `"${value.slice(0, 40)}"`
        : String(value);
  const range = isInteger(kind) ? ` from ${RANGES[kind][0]} to ${RANGES[kind][1]}` : '';
  const wanted = WANTED[kind] ?? 'a whole number';
  return new NaruError(
    'NARU_INVALID_ARGUMENT',
    `${text}: ${kind} takes ${wanted}${range}, not ${shown} (${typeof value})`,
    {
      mailbox: text,
    },
  );
}

/** Of an operation whose result its type cannot hold. */
export function overflow(kind: IntegerCode, operation: string, text: string): NaruError {
  const [min, max] = RANGES[kind];
  return new NaruError(
    'NARU_INVALID_ARGUMENT',
    `${text}: ${operation} does not fit ${kind}, which goes from ${min} to ${max}; nothing was changed`,
    { mailbox: text },
  );
}

const WANTED: Readonly<Partial<Record<Element['kind'], string>>> = {
  i64: 'a bigint',
  u64: 'a bigint',
  f32: 'a number that a 32-bit float can come near',
  f64: 'a number',
  bool: 'true or false',
  text: 'a well-formed string',
  bytes: 'a Uint8Array',
};
