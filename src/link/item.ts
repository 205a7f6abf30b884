// A message while it lives in its host: its encoded bytes where they arrived, what the store must know of it, and who waits
// for its receipt. The body is looked at only by a consumer of this process.

import type { Delivery, Outgoing } from '../mailbox/driver.ts';
import type { ItemMeta } from '../store/types.ts';
import type { MessageFields } from '../wire/envelope-types.ts';
import {
  bodyOffset,
  encodeEnvelope,
  fieldsBefore,
  PREFIX_BYTES,
  sequenceAt,
  timeAt,
} from '../wire/envelope.ts';
import type { Chunk } from '../wire/splitter.ts';
import type { Slab } from './slab.ts';

/** A producer that may wait for receipts. */
export interface Origin {
  /** Its message of this index was received by a consumer. */
  confirmed(index: number): void;
}

/** How much of the capacity a message takes: its body and its fields; at most everything, so that any message fits. */
export function costOf(encodedBytes: number, capacityBytes: number): number {
  return Math.min(encodedBytes - PREFIX_BYTES, capacityBytes);
}

/**
 * The item around an encoded message.
 *
 * @param body  from bodyOffset(), which has checked the message
 * @param ids   the store drops duplicates: it wants the message's id
 * @throws NARU_INVALID_MESSAGE  its fields cannot be read
 */
export function itemOf(
  chunk: Chunk,
  offset: number,
  length: number,
  body: number,
  sizeBytes: number,
  sender: string,
  origin: Origin | undefined,
  index: number,
  ids: boolean,
): LinkMessage {
  const isPlain = body === offset + PREFIX_BYTES && !ids;
  const meta = isPlain
    ? plainMeta(sizeBytes)
    : metaOf(chunk, offset, body, sizeBytes, ids ? sender : undefined);
  return new LinkMessage(chunk, offset, length, body, sender, origin !== undefined, origin, index, meta);
}

/** @param sender  given where the store wants an id */
function metaOf(
  chunk: Chunk,
  offset: number,
  body: number,
  sizeBytes: number,
  sender: string | undefined,
): ItemMeta {
  const fields = fieldsBefore(chunk.bytes, offset, body);
  const ownId = sender === undefined ? undefined : `${sender}-${sequenceAt(chunk.view, offset)}`;
  return {
    isPlain: false,
    sizeBytes,
    priority: fields?.priority,
    ttlMs: fields?.ttlMs,
    delayMs: fields?.delayMs,
    key: fields?.key,
    id: sender === undefined ? undefined : (fields?.id ?? ownId),
  };
}

/** Of messages that are in no store of this process. */
const NO_META: ItemMeta = { sizeBytes: 0 };

let lastPlain: ItemMeta = NO_META;

function plainMeta(sizeBytes: number): ItemMeta {
  if (lastPlain.sizeBytes !== sizeBytes) {
    // With all its names: one shape of object for the store.
    const none = undefined;
    lastPlain = { isPlain: true, sizeBytes, priority: none, ttlMs: none, delayMs: none, key: none, id: none };
  }
  return lastPlain;
}

/** Encodes a message of this process into memory of its own. @param length  its encodedSize() */
export function keep(message: Outgoing, length: number, slab: Slab): { chunk: Chunk; offset: number } {
  const chunk = slab.allocate(length);
  const { offset } = slab;
  encodeEnvelope(message, chunk.bytes, chunk.view, offset);
  return { chunk, offset };
}

/**
 * A message: in the store of its host, in the hands of a consumer, or both, since it is its own first delivery: one object
 * fewer for each, and no derived class, whose constructor costs as much as the object. Body, fields, sequence and time are
 * read when somebody asks.
 */
export class LinkMessage implements Delivery {
  readonly chunk: Chunk;
  /** The encoded message in the chunk. */
  readonly offset: number;
  readonly length: number;
  readonly bodyStart: number;
  readonly sender: string;
  /** The sender waits until it is received: `origin` in the host, whoever is behind the connection elsewhere. */
  readonly receipt: boolean;
  readonly origin: Origin | undefined;
  /** The producer's count of its messages. */
  readonly index: number;
  /** What the store must know; one object for many messages of one size that have no fields. */
  readonly meta: ItemMeta;
  deliveries = 1;
  token = 0;
  /** Whose it is: a message of an earlier connection can no longer be settled. */
  seat: object | undefined = undefined;
  /** Its number in contents that are on a disk. */
  at = 0;
  /** Its sender waits until it is on the disk. */
  isUrgent = false;
  #body: Uint8Array | undefined;
  #fields: MessageFields | undefined;

  /** @param bodyStart  from bodyOffset(), which has checked the message */
  constructor(
    chunk: Chunk,
    offset: number,
    length: number,
    bodyStart: number,
    sender: string,
    receipt: boolean,
    origin: Origin | undefined,
    index: number,
    meta: ItemMeta,
  ) {
    this.chunk = chunk;
    this.offset = offset;
    this.length = length;
    this.bodyStart = bodyStart;
    this.sender = sender;
    this.receipt = receipt;
    this.origin = origin;
    this.index = index;
    this.meta = meta;
  }

  get body(): Uint8Array {
    const { buffer, byteOffset } = this.chunk;
    const start = this.bodyStart;
    // Not subarray(), which takes twice as long.
    this.#body ??= new Uint8Array(buffer, byteOffset + start, this.offset + this.length - start);
    return this.#body;
  }

  /** Whoever made it has seen that they can be read. */
  get fields(): MessageFields | undefined {
    if (this.bodyStart === this.offset + PREFIX_BYTES) return undefined;
    this.#fields ??= fieldsBefore(this.chunk.bytes, this.offset, this.bodyStart);
    return this.#fields;
  }

  get sequence(): number {
    return sequenceAt(this.chunk.view, this.offset);
  }

  get time(): number {
    return timeAt(this.chunk.view, this.offset);
  }

  /** The same message for another delivery: whoever had it before may still hold the object. */
  again(): LinkMessage {
    const { chunk, offset, length, bodyStart, sender, receipt, origin, index, meta } = this;
    return new LinkMessage(chunk, offset, length, bodyStart, sender, receipt, origin, index, meta);
  }

  /** @returns itself, now in somebody's hands */
  handTo(seat: object, token: number, deliveries: number): this {
    this.seat = seat;
    this.token = token;
    this.deliveries = deliveries;
    return this;
  }
}

/**
 * A delivery of a message that anybody may have written.
 * @throws NARU_INVALID_MESSAGE  the bytes are not a message
 */
export function deliveryAt(
  chunk: Chunk,
  offset: number,
  length: number,
  sender: string,
  receipt: boolean,
): LinkMessage {
  const body = bodyOffset(chunk.view, offset, length);
  const delivery = new LinkMessage(chunk, offset, length, body, sender, receipt, undefined, 0, NO_META);
  // Throws here, where the connection is at hand, if they cannot be read.
  void delivery.fields;
  return delivery;
}
