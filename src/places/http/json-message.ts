// A message as an answer shows it: headers and body in JSON. What a body is goes by its content type.

import type { Message } from '../../mailbox/message.ts';

/** Types of text that a JSON string can carry. */
const TEXT = /^text\/|^application\/(xml|x-ndjson|yaml)\b|\+xml\b/;
const JSON_TYPE = /^application\/json\b|\+json\b/;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export interface JsonMessage {
  readonly id: string;
  /** By which it is settled; absent where it is settled already. */
  readonly ack?: string;
  readonly data?: unknown;
  readonly text?: string;
  readonly base64?: string;
  readonly [header: string]: unknown;
}

/** @param ack  absent: settled already */
export function toJsonMessage(message: Message<Uint8Array>, ack?: string): JsonMessage {
  const { id, contentType, key, type, correlationId, priority, deliveries, time, headers, replyTo } = message;
  return {
    id,
    ...(ack === undefined ? {} : { ack }),
    ...bodyOf(message.body, contentType),
    deliveries,
    ...(contentType === undefined ? {} : { contentType }),
    ...(time === 0 ? {} : { time: new Date(time).toISOString() }),
    ...(priority === 0 ? {} : { priority }),
    ...(key === undefined ? {} : { key }),
    ...(type === undefined ? {} : { type }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(replyTo === undefined ? {} : { wantsReply: true }),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
  };
}

/** Content type of a body that says nothing of itself. */
export function contentTypeOf(body: Uint8Array, contentType: string | undefined): string {
  if (contentType !== undefined) return contentType;
  return 'data' in bodyOf(body, undefined) ? 'application/json' : 'application/octet-stream';
}

/** @returns whether the bytes are JSON */
export function isJson(body: Uint8Array): boolean {
  try {
    JSON.parse(utf8.decode(body));
    return true;
  } catch {
    return false;
  }
}

function bodyOf(
  body: Uint8Array,
  contentType: string | undefined,
): { data: unknown } | { text: string } | { base64: string } {
  try {
    if (contentType === undefined || JSON_TYPE.test(contentType))
      return { data: JSON.parse(utf8.decode(body)) };
    if (TEXT.test(contentType)) return { text: utf8.decode(body) };
  } catch {
    // It is not what it says: as bytes it is always right.
  }
  return { base64: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64') };
}
