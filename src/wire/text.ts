// UTF-8 text inside byte records: written without allocating where the text is ASCII, read strictly. Knows no record.

import { isUtf8 } from 'node:buffer';
import { NaruError } from '../errors/index.ts';

const encoder = new TextEncoder();

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
  // No view of its own: making one costs more than reading a short text.
  const all = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = all.toString('utf8', offset, end);
  // Ill-formed bytes always leave U+FFFD behind; only then is the second look needed.
  if (text.includes('\uFFFD') && !isUtf8(all.subarray(offset, end))) {
    throw new NaruError('NARU_INVALID_MESSAGE', `a text of ${length} bytes in a message is not UTF-8`);
  }
  return text;
}
