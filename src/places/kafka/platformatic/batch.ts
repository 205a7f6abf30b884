// Records as a batch of Kafka's log (format 2), written into one piece of memory. The package's own writer makes more than ten objects of a
// record; this is most of what a send costs.

import { HEADER, type OutRecord } from '../client.ts';

/** What a broker knows repeated batches by. */
export interface Numbering {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  /** The number of the first record; the others follow. */
  readonly sequence: number;
}

/** Of all of a batch beside its records, in bytes. */
const HEAD_BYTES = 61;
/** Where what the checksum is of begins. */
const SUMMED_FROM = 21;
const FORMAT = 2;
const OWN_HEADER = Buffer.from(HEADER);
/** The header of Naru up to its value's length: it is the first of each record. */
const OWN_HEADER_BYTES = varintSize(OWN_HEADER.length) + OWN_HEADER.length;

/**
 * @param records  one or more, all for one partition
 * @param crc32c   Castagnoli's checksum
 */
export function encodeBatch(
  records: readonly OutRecord[],
  { producerId, producerEpoch, sequence }: Numbering,
  crc32c: (bytes: Uint8Array) => number,
): Buffer {
  const first = (records[0] as OutRecord).timestamp;
  let newest = first;
  let bytes = HEAD_BYTES;
  const sizes = records.map((record, index) => {
    const size = recordSize(record, index, record.timestamp - first);
    bytes += varintSize(size) + size;
    if (record.timestamp > newest) newest = record.timestamp;
    return size;
  });
  const batch = Buffer.allocUnsafeSlow(bytes);
  // The broker gives offset and epoch.
  batch.fill(0, 0, 16);
  batch.writeInt32BE(bytes - 12, 8);
  batch[16] = FORMAT;
  batch.writeInt16BE(0, SUMMED_FROM);
  batch.writeInt32BE(records.length - 1, 23);
  batch.writeBigInt64BE(BigInt(first), 27);
  batch.writeBigInt64BE(BigInt(newest), 35);
  batch.writeBigInt64BE(producerId, 43);
  batch.writeInt16BE(producerEpoch, 51);
  // After the largest they begin again.
  batch.writeInt32BE(sequence & 0x7fff_ffff, 53);
  batch.writeInt32BE(records.length, 57);
  let at = HEAD_BYTES;
  for (const [index, record] of records.entries()) {
    at = writeVarint(batch, at, sizes[index] as number);
    at = writeRecord(batch, at, record, index, record.timestamp - first);
  }
  batch.writeUInt32BE(crc32c(batch.subarray(SUMMED_FROM)), 17);
  return batch;
}

function recordSize({ key, value, envelope, headers }: OutRecord, index: number, later: number): number {
  let size = 1 + varintSize(later) + varintSize(index) + fieldSize(value.length);
  size += key === null ? 1 : fieldSize(key.length);
  size += OWN_HEADER_BYTES + fieldSize(envelope.length);
  if (headers === undefined) return size + 1;
  const named = Object.entries(headers);
  for (const [name, bytes] of named) size += fieldSize(Buffer.byteLength(name)) + fieldSize(bytes.length);
  return size + varintSize(1 + named.length);
}

function writeRecord(
  to: Buffer,
  from: number,
  { key, value, envelope, headers }: OutRecord,
  index: number,
  later: number,
): number {
  to[from] = 0;
  let at = writeVarint(to, from + 1, later);
  at = writeVarint(to, at, index);
  at = key === null ? writeVarint(to, at, -1) : writeField(to, at, key);
  at = writeField(to, at, value);
  const named = headers === undefined ? [] : Object.entries(headers);
  at = writeVarint(to, at, 1 + named.length);
  at = writeField(to, at, OWN_HEADER);
  at = writeField(to, at, envelope);
  for (const [name, bytes] of named) {
    at = writeField(to, at, Buffer.from(name));
    at = writeField(to, at, bytes);
  }
  return at;
}

function fieldSize(length: number): number {
  return varintSize(length) + length;
}

function writeField(to: Buffer, from: number, bytes: Uint8Array): number {
  const at = writeVarint(to, from, bytes.length);
  to.set(bytes, at);
  return at + bytes.length;
}

/** Small numbers of either sign take few bytes. Times may be further apart than 32 bits can tell. */
function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function varintSize(value: number): number {
  let left = zigzag(value);
  let size = 1;
  for (; left > 0x7f; size += 1) left = Math.floor(left / 128);
  return size;
}

function writeVarint(to: Buffer, from: number, value: number): number {
  let left = zigzag(value);
  let at = from;
  for (; left > 0x7f; at += 1) {
    to[at] = (left % 128) | 0x80;
    left = Math.floor(left / 128);
  }
  to[at] = left;
  return at + 1;
}
