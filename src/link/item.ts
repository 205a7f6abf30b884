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

/** One message in the store. */
export interface HostItem {
  readonly chunk: Chunk;
  readonly offset: number;
  readonly length: number;
  /** Where its body starts in the chunk. */
  readonly body: number;
  readonly sender: string;
  /** Undefined: nobody waits for the receipt. */
  readonly origin: Origin | undefined;
  readonly index: number;
  /** What the store must know; one object for many messages of one size that have no fields. */
  readonly meta: ItemMeta;
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
): HostItem {
  const isPlain = body === offset + PREFIX_BYTES && !ids;
  const meta = isPlain
    ? plainMeta(sizeBytes)
    : metaOf(chunk, offset, body, sizeBytes, ids ? sender : undefined);
  return { chunk, offset, length, body, sender, origin, index, meta };
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
    sizeBytes,
    priority: fields?.priority,
    ttlMs: fields?.ttlMs,
    delayMs: fields?.delayMs,
    key: fields?.key,
    id: sender === undefined ? undefined : (fields?.id ?? ownId),
  };
}

let lastPlain: ItemMeta = { sizeBytes: -1 };

function plainMeta(sizeBytes: number): ItemMeta {
  if (lastPlain.sizeBytes !== sizeBytes) {
    // With all its names: one shape of object for the store.
    const none = undefined;
    lastPlain = { sizeBytes, priority: none, ttlMs: none, delayMs: none, key: none, id: none };
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
 * A message in the hands of a consumer; body, sequence and time are read when somebody asks. `seat` tells whose it is: one of
 * an earlier connection can no longer be settled.
 */
export class LinkDelivery implements Delivery {
  readonly sender: string;
  readonly fields: MessageFields | undefined;
  readonly deliveries: number;
  readonly receipt: boolean;
  readonly token: number;
  readonly seat: object;
  /** Bytes of the encoded message. */
  readonly size: number;
  /** Who waits for its receipt, where the mailbox lives in this process. */
  readonly item: HostItem | undefined;
  readonly #chunk: Chunk;
  readonly #offset: number;
  readonly #bodyStart: number;
  #body: Uint8Array | undefined;

  /** @throws NARU_INVALID_MESSAGE  the bytes are not a message */
  constructor(
    chunk: Chunk,
    offset: number,
    length: number,
    sender: string,
    deliveries: number,
    receipt: boolean,
    token: number,
    seat: object,
    item?: HostItem,
  ) {
    const body = item === undefined ? bodyOffset(chunk.view, offset, length) : item.body;
    this.sender = sender;
    this.fields = body === offset + PREFIX_BYTES ? undefined : fieldsBefore(chunk.bytes, offset, body);
    this.deliveries = deliveries;
    this.receipt = receipt;
    this.token = token;
    this.seat = seat;
    this.size = length;
    this.item = item;
    this.#chunk = chunk;
    this.#offset = offset;
    this.#bodyStart = body;
  }

  get body(): Uint8Array {
    const { buffer, byteOffset } = this.#chunk;
    const start = this.#bodyStart;
    // Not subarray(), which takes twice as long.
    this.#body ??= new Uint8Array(buffer, byteOffset + start, this.#offset + this.size - start);
    return this.#body;
  }

  get sequence(): number {
    return sequenceAt(this.#chunk.view, this.#offset);
  }

  get time(): number {
    return timeAt(this.#chunk.view, this.#offset);
  }
}
