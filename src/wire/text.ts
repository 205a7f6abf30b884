// UTF-8 text inside byte records: written without allocating where the text is ASCII, read strictly. Knows no record. Runs in
// browsers, too, where there is no Buffer.

import { NaruError } from '../errors/index.ts';

const encoder = new TextEncoder();
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const hasBuffer = typeof Buffer !== 'undefined';

/** How many bytes of UTF-8 a text takes. */
export const textBytes: (text: string) => number = hasBuffer
  ? (text) => Buffer.byteLength(text)
  : (text) => encoder.encode(text).length;

/**
 * Writes `text` as UTF-8 at `offset`; there must be room (`Buffer.byteLength(text)`). A lone surrogate becomes U+FFFD.
 * @returns the offset after it
 */
export function writeText(text: string, target: Uint8Array, offset: number): number {
  const length = text.length;
  for (let i = 0; i < length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f)
      return offset + i + encoder.encodeInto(text.slice(i), target.subarray(offset + i)).written;
    target[offset + i] = unit;
  }
  return offset + length;
}

/**
 * Reads `length` bytes of UTF-8.
 * @throws NARU_INVALID_MESSAGE  the bytes are not well-formed UTF-8
 */
export function readText(bytes: Uint8Array, offset: number, length: number): string {
  const end = offset + length;
  if (!hasBuffer) return readStrictly(bytes, offset, length);
  // No view of its own: making one costs more than reading a short text.
  const all = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = all.toString('utf8', offset, end);
  // Ill-formed bytes always leave U+FFFD behind; only then is the second look needed.
  return text.includes('\uFFFD') ? readStrictly(all, offset, length) : text;
}

function readStrictly(bytes: Uint8Array, offset: number, length: number): string {
  try {
    return strict.decode(bytes.subarray(offset, offset + length));
  } catch {
    throw new NaruError('NARU_INVALID_MESSAGE', `a text of ${length} bytes in a message is not UTF-8`);
  }
}
