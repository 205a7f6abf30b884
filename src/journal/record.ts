// A message as a record of the log, and back: who sent it, then its envelope as it came over the link.

import { itemOf, type LinkMessage } from '../link/item.ts';
import { costOf } from '../link/item.ts';
import type { Origin } from '../link/item.ts';
import type { LogRecord, ReadRecord } from '../log/index.ts';
import { bodyOffset } from '../wire/envelope.ts';
import { type Chunk, chunkOf } from '../wire/splitter.ts';

/** Streams of the log. */
export const STREAM = { messages: 0, control: 1 } as const;

/** Longest name of a sender that is kept, in bytes. */
const SENDER_BYTES_MAX = 255;

/** The names of senders as they stand before their messages: few, and the same again and again. */
const names = new Map<string, Uint8Array>();
const NAMES_MAX = 1024;

function nameBytes(sender: string): Uint8Array {
  let bytes = names.get(sender);
  if (bytes === undefined) {
    const text = Buffer.from(sender, 'utf8').subarray(0, SENDER_BYTES_MAX);
    bytes = Uint8Array.of(...text);
    if (names.size >= NAMES_MAX) names.clear();
    names.set(sender, bytes);
  }
  return bytes;
}

/** @param stamp  when it was taken, in milliseconds since 1970 */
export function recordOf(item: LinkMessage, stamp: number): LogRecord {
  const name = nameBytes(item.sender);
  const { chunk, offset, length } = item;
  return {
    stream: STREAM.messages,
    note: name.length,
    stamp,
    // Not subarray(), which takes twice as long.
    body: [name, new Uint8Array(chunk.buffer, chunk.byteOffset + offset, length)],
  };
}

/** Around the memory that the last record was read from: the next is mostly from there too. */
let around: Chunk = chunkOf(Buffer.alloc(0));

/** A chunk with all of the memory that the bytes lie in, which they keep alive anyway. */
function chunkAround({ buffer }: Uint8Array): Chunk {
  if (around.buffer !== buffer) around = chunkOf(Buffer.from(buffer));
  return around;
}

/** The name that was read last, and its bytes. */
let name = '';
let nameBytesRead: Uint8Array = new Uint8Array();

function nameAt({ bytes }: Chunk, start: number, end: number): string {
  let isSame = nameBytesRead.length === end - start;
  for (let at = start; isSame && at < end; at += 1) isSame = bytes[at] === nameBytesRead[at - start];
  if (!isSame) {
    nameBytesRead = Uint8Array.prototype.slice.call(bytes, start, end);
    name = bytes.toString('utf8', start, end);
  }
  return name;
}

/** How much of the capacity a message takes that is in the log. */
export function sizeOf(note: number, bodyBytes: number, capacityBytes: number): number {
  return costOf(bodyBytes - note, capacityBytes);
}

/**
 * The message of a record.
 * @param origin  its sender, if that waits until it is received
 * @throws NARU_INVALID_MESSAGE  the log is whole, but this is no message
 */
export function itemFrom(
  { body, note }: ReadRecord,
  at: number,
  capacityBytes: number,
  origin: { readonly origin: Origin; readonly index: number } | undefined,
): LinkMessage {
  const chunk = chunkAround(body);
  const offset = body.byteOffset + note;
  const length = body.byteLength - note;
  const start = bodyOffset(chunk.view, offset, length);
  const sender = nameAt(chunk, body.byteOffset, offset);
  const size = costOf(length, capacityBytes);
  const item = itemOf(chunk, offset, length, start, size, sender, origin?.origin, origin?.index ?? 0, false);
  item.at = at;
  return item;
}
