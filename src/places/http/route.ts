// What a route is: one row of the table from which come dispatch, the OpenAPI document and docs/reference/http.md. Types, and the
// schemas that several rows share.

import type { Host } from '../../link/host.ts';
import type { Exchange, Parameter } from './exchange.ts';
import type { Guest, Guests } from './guests.ts';
import type { Idempotency } from './idempotency.ts';
import type { Leases } from './leases.ts';
import type { Links } from './links.ts';
import type { PollGroups } from './poll-groups.ts';

/** A JSON schema, as far as the document needs it. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** Bodies by media type. */
export type Content = Readonly<Record<string, JsonSchema>>;

/** What a route works with: a mailbox behind its gateway. */
export interface Door {
  readonly host: Host;
  readonly path: string;
  readonly guests: Guests;
  readonly leases: Leases;
  readonly groups: PollGroups;
  readonly idempotency: Idempotency;
  readonly links: Links;
  /** Does something with the handle that sends. */
  sending<T>(act: (guest: Guest) => Promise<T>): Promise<T>;
  /** Does something that may wait long. @throws NARU_OVERLOADED  too many wait already */
  polling<T>(act: () => Promise<T>): Promise<T>;
  /** The OpenAPI document. @param base  path of the mailbox, as whoever asks knows it */
  document(base: string): object;
}

export interface Reply {
  readonly text: string;
  readonly content?: Content;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  /** Below the mailbox: '', `/receive`, `/reply/{id}`. At most one `{id}`, at the end. */
  readonly path: string;
  /** operationId of the document. */
  readonly operation: string;
  readonly summary: string;
  readonly text: string;
  readonly parameters: readonly Parameter[];
  readonly body?: { readonly text: string; readonly required: boolean; readonly content: Content };
  readonly replies: Readonly<Record<number, Reply>>;
  /** Statuses of errors that it may answer with, beside those of every route. */
  readonly problems: readonly number[];
  /** A call with curl. */
  readonly example: string;
  readonly handle: (exchange: Exchange, door: Door) => Promise<unknown>;
}

export const ref = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` });

/** Bodies that are messages. */
export const ANY_BODY: Content = { 'application/json': {}, '*/*': { type: 'string', format: 'binary' } };

const text = { type: 'string' } as const;
const count = { type: 'integer', minimum: 0 } as const;

/** Named schemas of the document. */
export const SCHEMAS: Readonly<Record<string, JsonSchema>> = {
  Sent: {
    type: 'object',
    required: ['id', 'confirm'],
    properties: {
      id: { ...text, description: 'of the message' },
      confirm: { ...text, enum: ['placed', 'received'], description: 'how far it got' },
    },
  },
  SentMany: {
    type: 'object',
    required: ['sent', 'confirm'],
    properties: { sent: count, confirm: { ...text, enum: ['placed', 'received'] } },
  },
  Message: {
    type: 'object',
    required: ['id', 'deliveries'],
    properties: {
      id: text,
      ack: { ...text, description: 'the id by which it is settled; absent where it is settled already' },
      data: { description: 'the body, where it is JSON' },
      text: { ...text, description: 'the body, where its content type is text' },
      base64: { ...text, description: 'any other body' },
      contentType: text,
      deliveries: { ...count, description: '1 the first time' },
      time: { ...text, format: 'date-time', description: "when it was sent, by the sender's clock" },
      priority: { type: 'integer' },
      key: text,
      type: text,
      correlationId: text,
      wantsReply: { type: 'boolean', description: 'answer with POST …/reply/{ack}' },
      headers: { type: 'object', additionalProperties: text },
    },
  },
  Messages: {
    type: 'object',
    required: ['messages'],
    properties: { messages: { type: 'array', minItems: 1, items: ref('Message') } },
  },
  Ids: {
    type: 'object',
    required: ['ids'],
    properties: { ids: { type: 'array', items: text, minItems: 1, maxItems: 1_000 } },
  },
  Settled: { type: 'object', required: ['settled'], properties: { settled: count } },
  Stats: {
    type: 'object',
    required: ['name', 'deliver', 'depth', 'unsettled', 'producers', 'consumers'],
    properties: {
      name: text,
      deliver: { ...text, enum: ['one', 'all'] },
      depth: { ...count, description: 'messages that wait' },
      depthBytes: count,
      unsettled: { ...count, description: 'messages that are taken and not settled' },
      producers: count,
      consumers: count,
      capacityMessages: count,
      capacityBytes: count,
      maxMessageBytes: count,
      dropped: { type: 'object', additionalProperties: count },
    },
  },
  Problem: {
    type: 'object',
    required: ['type', 'title', 'status', 'detail', 'code', 'retryable'],
    properties: {
      type: text,
      title: text,
      status: { type: 'integer' },
      detail: text,
      code: { ...text, description: 'a code of docs/reference/errors.md' },
      retryable: { type: 'boolean' },
      late: {
        type: 'array',
        items: text,
        description: 'ids that were settled before, or whose lease was over',
      },
      partial: { type: 'object', description: 'what became of a list: sent, unknown, unsent' },
    },
  },
};
