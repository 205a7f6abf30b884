// Values and elements as bytes between a Manager and its clients. Their types are state/elements.ts's.

import { NaruError } from '../errors/index.ts';
import { type Element, fits, misfit } from '../state/elements.ts';
import type { Well } from '../state/view.ts';
import { readText } from '../wire/text.ts';

const NUMBER_BYTES = 8;

/** @throws NARU_INVALID_ARGUMENT  it is of another type, or out of its range; NARU_TOO_LARGE */
export function encodeCell(element: Element, value: unknown, text: string): Buffer {
  const { kind } = element;
  if (kind === 'text' || kind === 'bytes') return encodeBlob(element, value, text);
  if (!fits(kind, value)) throw misfit(kind, value, text);
  const bytes = Buffer.allocUnsafe(NUMBER_BYTES);
  if (kind === 'i64') bytes.writeBigInt64LE(value as bigint);
  else if (kind === 'u64') bytes.writeBigUInt64LE(value as bigint);
  else bytes.writeDoubleLE(Number(value));
  return bytes;
}

/** @throws NARU_CORRUPT  so many bytes are none */
export function decodeCell({ kind }: Element, bytes: Buffer): unknown {
  if (kind === 'text') return readText(bytes, 0, bytes.length);
  // The chunk it came in is not given to anybody who may write into it.
  if (kind === 'bytes') return Uint8Array.prototype.slice.call(bytes);
  if (bytes.length !== NUMBER_BYTES)
    throw new NaruError(
      'NARU_CORRUPT',
      `${bytes.length} bytes are no ${kind} between a Manager and a client`,
    );
  if (kind === 'i64') return bytes.readBigInt64LE();
  if (kind === 'u64') return bytes.readBigUInt64LE();
  const number = bytes.readDoubleLE();
  return kind === 'bool' ? number !== 0 : number;
}

/** Several operands, of numbers. @throws NARU_CORRUPT */
export function decodeCells(element: Element, bytes: Buffer): unknown[] {
  if (element.kind === 'text' || element.kind === 'bytes') return [decodeCell(element, bytes)];
  const values: unknown[] = [];
  for (let at = 0; at < bytes.length; at += NUMBER_BYTES)
    values.push(decodeCell(element, bytes.subarray(at, at + NUMBER_BYTES)));
  return values;
}

function encodeBlob({ kind, bytes: most }: Element, value: unknown, text: string): Buffer {
  const isRight =
    kind === 'text'
      ? typeof value === 'string' && (value as Well).isWellFormed()
      : value instanceof Uint8Array;
  if (!isRight) throw misfit(kind, value, text);
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : Buffer.from(value as Uint8Array);
  if (bytes.byteLength <= most) return bytes;
  throw new NaruError(
    'NARU_TOO_LARGE',
    `${text}: ${bytes.byteLength} bytes are more than the ${most} of ${kind}:${most}`,
    {
      mailbox: text,
    },
  );
}
