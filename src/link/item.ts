// A message while it lives in its host: its encoded bytes where they arrived, what the store must know of it, and who waits
// for its receipt. The body is looked at only by a consumer of this process.

import type { Delivery, Outgoing } from '../mailbox/driver.ts';
import type { ItemMeta } from '../store/types.ts';
import type { MessageFields } from '../wire/envelope-types.ts';
import { bodyOffset, encodeEnvelope, fieldsBefore, PREFIX_BYTES } from '../wire/envelope.ts';
import type { Chunk } from '../wire/splitter.ts';
import type { Slab } from './slab.ts';

/** A producer that may wait for receipts. */
export interface Origin {
  /** Its message of this index was received by a consumer. */
  confirmed(index: number): void;
}

/** One message in the store; it is its own meta data. */
export interface HostItem extends ItemMeta {
  readonly chunk: Chunk;
  readonly offset: number;
  readonly length: number;
  readonly sender: string;
  /** Undefined: nobody waits for the receipt. */
  readonly origin: Origin | undefined;
  readonly index: number;
}

/** How much of the capacity a message takes: its body and its fields; at most everything, so that any message fits. */
export function costOf(encodedBytes: number, capacityBytes: number): number {
  return Math.min(encodedBytes - PREFIX_BYTES, capacityBytes);
}

/**
 * The item around an encoded message.
 * @throws NARU_INVALID_MESSAGE  the bytes are not a message
 */
export function itemOf(
  chunk: Chunk,
  offset: number,
  length: number,
  sizeBytes: number,
  from: {
    readonly sender: string;
    readonly origin: Origin | undefined;
    readonly index: number;
    readonly ids: boolean;
  },
): HostItem {
  const body = bodyOffset(chunk.view, offset, length);
  const fields = fieldsBefore(chunk.bytes, offset, body);
  const { sender, origin, index } = from;
  const id = from.ids ? (fields?.id ?? `${sender}-${chunk.view.getUint32(offset + 4, true)}`) : undefined;
  return {
    sizeBytes,
    priority: fields?.priority,
    ttlMs: fields?.ttlMs,
    delayMs: fields?.delayMs,
    key: fields?.key,
    id,
    chunk,
    offset,
    length,
    sender,
    origin,
    index,
  };
}

/** Encodes a message of this process into memory of its own. @param length  its encodedSize() */
export function keep(message: Outgoing, length: number, slab: Slab): { chunk: Chunk; offset: number } {
  const chunk = slab.allocate(length);
  const { offset } = slab;
  encodeEnvelope(message, chunk.bytes, chunk.view, offset);
  return { chunk, offset };
}

/** A message in the hands of a consumer. `seat` tells whose it is: one of an earlier connection can no longer be settled. */
export class LinkDelivery implements Delivery {
  readonly body: Uint8Array;
  readonly sender: string;
  readonly sequence: number;
  readonly time: number;
  readonly fields: MessageFields | undefined;
  readonly deliveries: number;
  readonly receipt: boolean;
  readonly token: number;
  readonly seat: object;
  /** Bytes of the encoded message. */
  readonly size: number;

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
  ) {
    const body = bodyOffset(chunk.view, offset, length);
    this.body = chunk.bytes.subarray(body, offset + length);
    this.sender = sender;
    this.sequence = chunk.view.getUint32(offset + 4, true);
    this.time = chunk.view.getFloat64(offset + 8, true);
    this.fields = fieldsBefore(chunk.bytes, offset, body);
    this.deliveries = deliveries;
    this.receipt = receipt;
    this.token = token;
    this.seat = seat;
    this.size = length;
  }
}
