// A message as a record of the log, and back: who sent it, then its envelope as it came over the link.

import { itemOf, type LinkMessage } from '../link/item.ts';
import { costOf } from '../link/item.ts';
import type { Origin } from '../link/item.ts';
import type { LogRecord, ReadRecord } from '../log/index.ts';
import { bodyOffset } from '../wire/envelope.ts';
import { chunkOf } from '../wire/splitter.ts';

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
    body: [name, chunk.bytes.subarray(offset, offset + length)],
  };
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
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const chunk = chunkOf(bytes);
  const length = bytes.length - note;
  const start = bodyOffset(chunk.view, note, length);
  const sender = bytes.toString('utf8', 0, note);
  const size = costOf(length, capacityBytes);
  const item = itemOf(chunk, note, length, start, size, sender, origin?.origin, origin?.index ?? 0, false);
  item.at = at;
  return item;
}
