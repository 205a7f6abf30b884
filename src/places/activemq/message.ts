// A message as AMQP 1.0 has it: the body as it is, what Naru knows of it in its properties, so that programs of any kind (JMS, .NET, Python)
// read and write it. Sender, sequence and time stand in one application property; what a property cannot carry travels as JSON.

import { packHeaders, unpackHeaders } from '../../client/text-headers.ts';
import type { Delivery, Outgoing } from '../../mailbox/driver.ts';
import { messageId } from '../../mailbox/receipt.ts';
import type { MessageFields } from '../../wire/envelope-types.ts';
import type { RheaMessage, RheaPackage } from './protocol.ts';
import { readMessage, writeMessage, type WrittenMessage } from './sections.ts';

/** Who sent it, its number, when: `identity sequence time`. */
const OWN = 'naru';
/** A content type that is no symbol of AMQP, which has ASCII only. */
const CONTENT_TYPE = 'naru-content-type';
/** Names that the servers or JMS take for their own; digits first would not keep their place. */
const ODD_NAME = /^(?:naru|_AMQ|JMS|x-opt-|__proto__$|\d|$)/i;
/** What an annotation that delays a message is called. */
const DELAY = 'x-opt-delivery-delay';
/** The code of a section of data. */
const DATA = 0x75;

type Library = RheaPackage['default']['message'];

export interface WriteSettings {
  readonly durable: boolean;
  readonly identity: string;
  /** Where it goes, when its link leads nowhere by itself. */
  readonly to?: string | undefined;
}

/** @returns the bytes of a transfer */
export function encodeMessage(message: Outgoing, settings: WriteSettings): Buffer {
  const { body, sequence, time, fields } = message;
  const { durable, identity, to } = settings;
  const table: Record<string, string> =
    fields?.headers === undefined ? {} : packHeaders(fields.headers, (name) => ODD_NAME.test(name));
  table[OWN] = `${identity} ${sequence} ${time}`;
  return writeMessage({
    ...(fields === undefined ? undefined : propertiesOf(table, fields)),
    body,
    durable,
    to,
    message_id: messageId(fields?.id, identity, sequence),
    creation_time: time,
    application_properties: table,
  });
}

/** @param table  gets what no property can carry */
function propertiesOf(table: Record<string, string>, fields: MessageFields): Partial<WrittenMessage> {
  const { contentType, correlationId, replyTo, type, priority, ttlMs, delayMs } = fields;
  const isSymbol = contentType !== undefined && /^[\u0020-\u007e]+$/.test(contentType);
  if (contentType !== undefined && !isSymbol) table[CONTENT_TYPE] = contentType;
  return {
    content_type: isSymbol ? contentType : undefined,
    correlation_id: correlationId,
    reply_to: replyTo,
    subject: type,
    priority,
    // Both servers count the time to live from the arrival, the delay included.
    ttl: ttlMs === undefined ? undefined : Math.ceil(ttlMs + (delayMs ?? 0)),
    message_annotations: delayMs !== undefined && delayMs > 0 ? { [DELAY]: Math.ceil(delayMs) } : undefined,
  };
}

/** A message that anybody may have sent. @param token  what it is settled by */
export function decodeMessage(library: Library, bytes: Buffer, token = 0): Delivery {
  const message = readMessage(bytes) ?? library.decode(bytes);
  const { application_properties: table = {}, creation_time: created } = message;
  const own = table[OWN];
  const [sender = '', sequence = '0', time] = typeof own === 'string' ? own.split(' ') : [];
  return {
    body: bodyOf(message.body),
    sender,
    sequence: Number(sequence),
    time: time === undefined ? Number(created ?? 0) : Number(time),
    fields: fieldsOf(message, table, sender, Number(sequence)),
    deliveries: (message.delivery_count ?? 0) + 1,
    receipt: false,
    token,
  };
}

function fieldsOf(
  message: RheaMessage,
  table: Readonly<Record<string, unknown>>,
  sender: string,
  sequence: number,
): MessageFields | undefined {
  const { message_id: id, correlation_id: correlationId, subject, priority, ttl } = message;
  const fields: { -readonly [K in keyof MessageFields]: MessageFields[K] } = {};
  if (id !== undefined && id !== messageId(undefined, sender, sequence)) fields.id = textOf(id);
  const odd = table[CONTENT_TYPE];
  const contentType = typeof odd === 'string' ? odd : message.content_type;
  if (contentType !== undefined) fields.contentType = contentType;
  if (correlationId !== undefined) fields.correlationId = textOf(correlationId);
  if (message.reply_to !== undefined) fields.replyTo = message.reply_to;
  if (subject !== undefined) fields.type = subject;
  if (priority !== undefined) fields.priority = priority;
  if (ttl !== undefined) fields.ttlMs = ttl;
  const isOurs = sender !== '';
  const headers = hasOthers(table)
    ? unpackHeaders(table, (name) => name === OWN || name === CONTENT_TYPE || (isOurs && ODD_NAME.test(name)))
    : undefined;
  if (headers !== undefined) fields.headers = headers;
  for (const _ in fields) return fields;
  return undefined;
}

/** Most messages have no headers of their own. */
function hasOthers(table: Readonly<Record<string, unknown>>): boolean {
  for (const name in table) if (name !== OWN) return true;
  return false;
}

/** Ids are texts, numbers, UUIDs or bytes. */
function textOf(id: unknown): string {
  return id instanceof Uint8Array ? Buffer.from(id).toString('hex') : String(id);
}

/** Data as it is; a text of JMS as its bytes; anything else as JSON. */
function bodyOf(body: unknown): Uint8Array {
  if (body === undefined || body === null) return new Uint8Array(0);
  if (body instanceof Uint8Array) return body;
  if (typeof body === 'string') return Buffer.from(body);
  const { typecode, content } = body as { readonly typecode?: number; readonly content?: unknown };
  if (typecode !== DATA) return Buffer.from(JSON.stringify(content ?? body));
  return Array.isArray(content) ? Buffer.concat(content as Buffer[]) : (content as Buffer);
}
