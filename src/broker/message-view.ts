// Reading a stored message: its exchange, keys and headers. For the slow ways (dead letters, delays, headers exchanges, people);
// the hot path copies bytes.

import {
  changeHeaders,
  emptyTable,
  headersOf,
  PROPERTY,
  splitProperties,
  type Field,
  type FieldTable,
  type PropertyPieces,
} from '../wire/amqp091/index.ts';
import { checkNameLength } from './limits.ts';
import type { MessageTable } from './message-table.ts';

export class MessageView {
  readonly exchange: string;
  readonly routingKey: string;
  readonly pieces: PropertyPieces;
  #headers: FieldTable | undefined;

  constructor(messages: MessageTable, slot: number) {
    const chunk = messages.chunk(slot);
    const start = messages.start(slot);
    const keyAt = start + 1 + (chunk[start] as number);
    this.exchange = chunk.toString('utf8', start + 1, keyAt);
    this.routingKey = chunk.toString('utf8', keyAt + 1, keyAt + 1 + (chunk[keyAt] as number));
    this.pieces = splitProperties(chunk, messages.propertyStart(slot), messages.bodyStart(slot));
  }

  get headers(): FieldTable {
    this.#headers ??= headersOf(this.pieces[PROPERTY.headers]) ?? emptyTable();
    return this.#headers;
  }

  /** The routing key and those that the header CC adds. */
  get keys(): readonly string[] {
    return [this.routingKey, ...textsOf(this.headers['CC'])];
  }

  /** The same, and those that the header BCC adds: only while the message waits in a delaying exchange it has that. */
  get allKeys(): readonly string[] {
    return [...this.keys, ...textsOf(this.headers['BCC'])];
  }

  /** Its own time to live; Infinity when it has none. */
  get ttlMs(): number {
    const piece = this.pieces[PROPERTY.expiration];
    return piece === undefined ? Infinity : Number(Buffer.from(piece.subarray(1)).toString());
  }
}

/** The headers of a message as its consumers see them. */
export function withoutBcc(headers: PropertyPieces[number]): PropertyPieces[number] {
  return changeHeaders(headers, BCC, emptyTable());
}

const BCC = new Set(['BCC']);

/** The texts in an array of a header; nothing when it is none. */
export function textsOf(field: Field | undefined): readonly string[] {
  if (field?.type !== 'A') return [];
  return field.value.flatMap((element) => (element.type === 'S' ? [String(element.value)] : []));
}

/**
 * Exchange and routing key as they stand in front of a stored message.
 * @throws NARU_INVALID_ARGUMENT  the routing key is too long
 */
export function encodeKey(exchange: string, routingKey: string): Buffer {
  checkNameLength('routing key', routingKey);
  const names = [exchange, routingKey].map((name) => Buffer.from(name));
  return Buffer.concat(names.flatMap((name) => [Buffer.from([name.length]), name]));
}
