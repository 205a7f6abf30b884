// A message as it lies in a memory mailbox, and as it is handed out. The store looks at the part that is its ItemMeta.

import type { Delivery, Outgoing } from '../../mailbox/driver.ts';
import type { Entry, ItemMeta } from '../../store/types.ts';
import type { Envelope, MessageFields } from '../../wire/envelope-types.ts';
import { copyBody } from './body.ts';

/** Envelope and what the store must know, in one object: a message costs one allocation less. */
export interface Parcel extends Envelope, ItemMeta {
  /** The sender's until the mailbox took the parcel; then a copy of its own. */
  body: Uint8Array;
  /** The sender waits until somebody received it. Cleared when it has been told. */
  confirm: ((error?: Error) => void) | undefined;
}

/** A delivery that knows its parcel. */
export interface MemoryDelivery extends Delivery {
  readonly parcel: Parcel;
}

/**
 * @param capacityBytes  a body of this size must still fit, whatever headers come with it
 * @param confirm        undefined unless the sender waits for the receiver
 */
export function newParcel(
  message: Outgoing,
  sender: string,
  capacityBytes: number,
  confirm: ((error?: Error) => void) | undefined,
): Parcel {
  const { body, sequence, time } = message;
  const fields = message.fields === undefined ? undefined : copyFields(message.fields);
  return {
    body,
    sender,
    sequence,
    time,
    fields,
    isPlain: fields === undefined,
    sizeBytes: parcelBytes(body.byteLength, fields, capacityBytes),
    priority: fields?.priority,
    ttlMs: fields?.ttlMs,
    delayMs: fields?.delayMs,
    key: fields?.key,
    id: fields?.id,
    confirm,
  };
}

/** What a parcel counts for; a body as large as the mailbox must still fit, whatever headers come with it. */
export function parcelBytes(
  bodyBytes: number,
  fields: MessageFields | undefined,
  capacityBytes: number,
): number {
  return Math.min(fields === undefined ? bodyBytes : bodyBytes + headerBytes(fields), capacityBytes);
}

/** @param own  give the consumer a copy of the body: others get the same parcel */
export function toDelivery(entry: Entry<Parcel>, own: boolean): MemoryDelivery {
  const parcel = entry.item;
  return {
    body: own ? copyBody(parcel.body) : parcel.body,
    sender: parcel.sender,
    sequence: parcel.sequence,
    time: parcel.time,
    fields: parcel.fields,
    deliveries: entry.deliveries,
    receipt: parcel.confirm !== undefined,
    token: entry.token,
    parcel,
  };
}

/** User headers are the user's object, which may change after the send. */
function copyFields(fields: MessageFields): MessageFields {
  return fields.headers === undefined ? fields : { ...fields, headers: { ...fields.headers } };
}

/** Characters rather than bytes: an estimate that bounds memory is enough. The content type is a constant of the codec. */
function headerBytes(fields: MessageFields): number {
  const { id, correlationId, replyTo, key, type, headers } = fields;
  let size = length(id) + length(correlationId) + length(replyTo) + length(key) + length(type);
  for (const name in headers) size += name.length + length(headers[name]);
  return size;
}

function length(text: string | undefined): number {
  return text === undefined ? 0 : text.length;
}
