// A page of an iteration as bytes: entries one behind the other. u16 length of the key, u32 length of the value, f64 version, f64 expiry or 0,
// key, value.

import { NaruError } from '../errors/index.ts';
import { readText } from '../wire/text.ts';

const HEAD_BYTES = 22;

export interface PageEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly version: number;
  /** 0: never. */
  readonly expiresMs: number;
}

export function encodePage(entries: readonly PageEntry[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const { key, value, version, expiresMs } of entries) {
    const text = Buffer.from(key, 'utf8');
    const head = Buffer.allocUnsafe(HEAD_BYTES);
    head.writeUInt16LE(text.length, 0);
    head.writeUInt32LE(value.byteLength, 2);
    head.writeDoubleLE(version, 6);
    head.writeDoubleLE(expiresMs, 14);
    parts.push(head, text, value);
  }
  return Buffer.concat(parts);
}

/** @throws NARU_CORRUPT  it is cut off */
export function decodePage(bytes: Buffer): PageEntry[] {
  const entries: PageEntry[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes.length - at < HEAD_BYTES) throw cutOff();
    const keyBytes = bytes.readUInt16LE(at);
    const valueBytes = bytes.readUInt32LE(at + 2);
    const from = at + HEAD_BYTES + keyBytes;
    if (bytes.length - from < valueBytes) throw cutOff();
    entries.push({
      key: readText(bytes, at + HEAD_BYTES, keyBytes),
      value: bytes.subarray(from, from + valueBytes),
      version: bytes.readDoubleLE(at + 6),
      expiresMs: bytes.readDoubleLE(at + 14),
    });
    at = from + valueBytes;
  }
  return entries;
}

function cutOff(): NaruError {
  return new NaruError('NARU_CORRUPT', 'a page of entries from the Manager is cut off');
}
