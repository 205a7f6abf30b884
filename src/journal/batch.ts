// A batch: messages that went to the log as one record, one after the other. What its record says beside the body, how the body is
// laid out, and a message of it. docs/internals/log.md §8 has the same; batch-writer.ts makes them.

import { NaruError } from '../errors/index.ts';
import { costOf, itemOf, type LinkMessage, type Origin } from '../link/item.ts';
import type { LogRecord, ReadRecord } from '../log/index.ts';
import { bodyOffset, PREFIX_BYTES } from '../wire/envelope.ts';
import { type Chunk, chunkOf } from '../wire/splitter.ts';

/** Messages of a batch at most: their number fits beside the time. */
export const BATCH_MESSAGES_MAX = 1000;

/** Stream of the journal's own notes; messages have even ones. */
export const CONTROL_STREAM = 1;

/** A time in milliseconds and a count in one float: exact until the year 2109. */
const COUNTS = 2048;
/** So many numbers of messages belong to one stream. */
const NUMBERS = 2 ** 32;

/** Before each message: its length, doubled, plus one when the name of its sender follows: a byte of length, and UTF-8. */
export const ENTRY_BYTES = 4;

export interface BatchHead {
  /** Number of its first message. The others follow by ones. */
  readonly first: number;
  readonly count: number;
  /** When it was taken, in milliseconds since 1970. */
  readonly time: number;
}

export function isBatch(stream: number): boolean {
  return stream !== CONTROL_STREAM;
}

/** The stream of a batch. Its number is in stream and note, its time and count in the stamp: all known without reading the body. */
export function streamOf(first: number): number {
  return Math.floor(first / NUMBERS) * 2;
}

export function headOf(stream: number, note: number, stamp: number): BatchHead {
  return {
    first: (stream / 2) * NUMBERS + note,
    count: stamp % COUNTS,
    time: Math.floor(stamp / COUNTS),
  };
}

export function recordOf({ first, count, time }: BatchHead, body: Uint8Array): LogRecord {
  return { stream: streamOf(first), note: first % NUMBERS, stamp: time * COUNTS + count, body };
}

/** What the messages of a batch take of the capacity together, as far as that is known without reading them. */
export function batchCost(bodyBytes: number, count: number, capacityBytes: number): number {
  return Math.min(Math.max(0, bodyBytes - count * (ENTRY_BYTES + PREFIX_BYTES)), capacityBytes);
}

/** A batch in memory. */
export class Batch {
  readonly first: number;
  readonly count: number;
  /** Of its record's body. */
  readonly bytes: number;
  readonly #chunk: Chunk;
  /** Where each message begins, and how long it is, in turns. */
  readonly #places: readonly number[];
  readonly #senders: readonly string[];

  constructor(
    first: number,
    bytes: number,
    chunk: Chunk,
    places: readonly number[],
    senders: readonly string[],
  ) {
    this.first = first;
    this.count = senders.length;
    this.bytes = bytes;
    this.#chunk = chunk;
    this.#places = places;
    this.#senders = senders;
  }

  /** Number of its last message. */
  get last(): number {
    return this.first + this.count - 1;
  }

  has(number: number): boolean {
    return number >= this.first && number < this.first + this.count;
  }

  /**
   * One message. @param origin  its sender, if that waits until it is received
   * @throws NARU_INVALID_MESSAGE  the log is whole, but this is no message
   */
  item(
    number: number,
    capacityBytes: number,
    origin: { readonly origin: Origin; readonly index: number } | undefined,
  ): LinkMessage {
    const chunk = this.#chunk;
    const place = number - this.first;
    const offset = this.#places[place * 2] as number;
    const length = this.#places[place * 2 + 1] as number;
    const body = bodyOffset(chunk.view, offset, length);
    const size = costOf(length, capacityBytes);
    const sender = this.#senders[place] as string;
    const item = itemOf(chunk, offset, length, body, size, sender, origin?.origin, origin?.index ?? 0, false);
    item.at = number;
    return item;
  }
}

/** @throws NARU_CORRUPT  the record is whole, but it is no batch */
export function readBatch({ body, stream, note, stamp }: ReadRecord): Batch {
  const { first, count } = headOf(stream, note, stamp);
  const chunk = chunkOf(Buffer.from(body.buffer, body.byteOffset, body.length));
  const { bytes, view } = chunk;
  const places: number[] = [];
  const senders: string[] = [];
  let sender = '';
  let at = 0;
  while (senders.length < count) {
    if (at + ENTRY_BYTES > bytes.length) throw noBatch(first);
    const entry = view.getUint32(at, true);
    at += ENTRY_BYTES;
    if ((entry & 1) === 1) {
      const end = at + 1 + (bytes[at] ?? 0);
      sender = bytes.toString('utf8', at + 1, end);
      at = end;
    }
    const length = entry >>> 1;
    if (at + length > bytes.length) throw noBatch(first);
    places.push(at, length);
    senders.push(sender);
    at += length;
  }
  return new Batch(first, bytes.length, chunk, places, senders);
}

function noBatch(first: number): NaruError {
  return new NaruError('NARU_CORRUPT', `the log is whole, but the batch of message ${first} cannot be read`);
}
