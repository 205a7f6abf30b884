// A message as AMQP has it: the body as it is, what Naru knows of it in the properties, so that programs of any language read and write it.
// Sender, sequence and time stand in app-id; what a header of AMQP cannot be travels as JSON in one of its own.

import { packHeaders, parsedJson, unpackHeaders } from '../../client/text-headers.ts';
import type { Envelope, MessageFields } from '../../wire/envelope-types.ts';
import type { Outgoing } from '../../mailbox/driver.ts';
import { messageId } from '../../mailbox/receipt.ts';
import type { AmqpMessage, AmqpProperties, PublishOptions } from './protocol.ts';

const MARK = 'naru/';
/** Headers that AMQP or its servers would take for something else, or not take at all. */
const ODD_NAME = /^(?:x-|cc$|bcc$|naru-|__proto__$)/i;
const NAME_BYTES_MAX = 255;
/** Properties of AMQP are texts of so many bytes at most. */
const TEXT_BYTES_MAX = 255;
const LONG_FIELDS = ['id', 'contentType', 'correlationId', 'replyTo', 'type'] as const;
const LONG = 'naru-fields';

const NOBODY: readonly string[] = [];

type Text = (typeof LONG_FIELDS)[number];

export interface PublishSettings {
  readonly persistent: boolean;
  readonly identity: string;
}

/** The properties to publish a message with. Its delay is not among them. */
export function toProperties(message: Outgoing, { persistent, identity }: PublishSettings): PublishOptions {
  const { sequence, time, fields } = message;
  const properties: { -readonly [K in keyof PublishOptions]: PublishOptions[K] } = {
    messageId: messageId(fields?.id, identity, sequence),
    appId: `${MARK}${identity} ${sequence} ${time}`,
    timestamp: Math.floor(time / 1000),
    persistent,
    mandatory: true,
  };
  if (fields !== undefined) addFields(properties, fields);
  return properties;
}

function addFields(
  properties: { -readonly [K in keyof PublishOptions]: PublishOptions[K] },
  fields: MessageFields,
): void {
  const { contentType, correlationId, replyTo, type, priority, ttlMs, headers } = fields;
  if (contentType !== undefined) properties.contentType = contentType;
  if (correlationId !== undefined) properties.correlationId = correlationId;
  if (replyTo !== undefined) properties.replyTo = replyTo;
  if (type !== undefined) properties.type = type;
  if (priority !== undefined) properties.priority = priority;
  if (ttlMs !== undefined) properties.expiration = String(Math.ceil(ttlMs));
  const long = LONG_FIELDS.filter((name) => isLong(fields[name]));
  if (headers === undefined && long.length === 0) return;
  const table: Record<string, string> = headers === undefined ? {} : packHeaders(headers, isOdd);
  if (long.length > 0) {
    table[LONG] = JSON.stringify(Object.fromEntries(long.map((name) => [name, fields[name]])));
    for (const name of long) properties[name === 'id' ? 'messageId' : name] = undefined;
  }
  properties.headers = table;
}

function isLong(text: string | undefined): boolean {
  return text !== undefined && text.length > TEXT_BYTES_MAX / 4 && Buffer.byteLength(text) > TEXT_BYTES_MAX;
}

function isOdd(name: string): boolean {
  return ODD_NAME.test(name) || Buffer.byteLength(name) > NAME_BYTES_MAX;
}

/** The envelope of a message that anybody may have published. */
export function toEnvelope(message: AmqpMessage): Envelope {
  const { content: body, properties } = message;
  const { appId, timestamp } = properties;
  const own = appId?.startsWith(MARK) === true ? appId.slice(MARK.length).split(' ') : undefined;
  const [sender = '', sequence = '0', time] = own ?? NOBODY;
  return {
    body,
    sender,
    sequence: Number(sequence),
    time: time === undefined ? Number(timestamp ?? 0) * 1000 : Number(time),
    fields: fieldsOf(properties, sender, Number(sequence)),
  };
}

function fieldsOf(properties: AmqpProperties, sender: string, sequence: number): MessageFields | undefined {
  const {
    messageId: id,
    contentType,
    correlationId,
    replyTo,
    type,
    priority,
    expiration,
    headers,
  } = properties;
  const fields: { -readonly [K in keyof MessageFields]: MessageFields[K] } = {};
  if (id !== undefined && id !== messageId(undefined, sender, sequence)) fields.id = id;
  if (contentType !== undefined) fields.contentType = contentType;
  if (correlationId !== undefined) fields.correlationId = correlationId;
  if (replyTo !== undefined) fields.replyTo = replyTo;
  if (type !== undefined) fields.type = type;
  if (priority !== undefined) fields.priority = priority;
  if (expiration !== undefined) fields.ttlMs = Number(expiration);
  if (headers !== undefined) addHeaders(fields, headers, sender !== '');
  for (const _ in fields) return fields;
  return undefined;
}

function addHeaders(
  fields: { -readonly [K in keyof MessageFields]: MessageFields[K] },
  table: Readonly<Record<string, unknown>>,
  isOurs: boolean,
): void {
  const long = parsedJson(table[LONG]);
  if (long !== null && typeof long === 'object')
    for (const name of LONG_FIELDS) {
      const text = (long as Partial<Record<Text, unknown>>)[name];
      if (typeof text === 'string') fields[name] = text;
    }
  // Of our own messages those with an odd name are the server's: x-death, x-delivery-count.
  const headers = unpackHeaders(table, (name) => name === LONG || (isOurs && ODD_NAME.test(name)));
  if (headers !== undefined) fields.headers = headers;
}
