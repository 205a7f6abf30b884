// Publishing and getting messages over HTTP, as RabbitMQ's management API does: for looking and trying, not for work.

import {
  decodeProperties,
  emptyTable,
  encodeProperties,
  type Properties,
} from '../../../wire/amqp091/index.ts';
import type { Core } from '../../core.ts';
import { delayMessage, delayOf } from '../../delayed.ts';
import { enqueueAll } from '../../enqueue.ts';
import type { Exchange } from '../../exchange/exchange.ts';
import { encodeKey, MessageView, textsOf } from '../../message-view.ts';
import { fromPlain, plainTable } from '../../plain-table.ts';
import type { Entry } from '../../queue/ring.ts';
import type { Queue } from '../../queue/queue.ts';
import type { User } from '../../users.ts';
import type { Vhost } from '../../vhost.ts';
import { badRequest, HttpError } from './http-error.ts';

type Body = Readonly<Record<string, unknown>>;

/** The API's names of properties, and ours. */
const NAMES = {
  content_type: 'contentType',
  content_encoding: 'contentEncoding',
  delivery_mode: 'deliveryMode',
  priority: 'priority',
  correlation_id: 'correlationId',
  reply_to: 'replyTo',
  expiration: 'expiration',
  message_id: 'messageId',
  timestamp: 'timestamp',
  type: 'type',
  user_id: 'userId',
  app_id: 'appId',
  cluster_id: 'clusterId',
} as const;

/**
 * @param user  who publishes; undefined: the broker itself
 * @returns whether any queue got it
 */
export function publishMessage(
  core: Core,
  place: Vhost,
  exchange: Exchange,
  body: Body,
  user?: User,
): { readonly routed: boolean } {
  const { routing_key: key, payload, payload_encoding: encoding, properties } = body;
  if (typeof key !== 'string' || typeof payload !== 'string')
    throw badRequest('routing_key and payload are needed');
  const bytes = Buffer.from(payload, encoding === 'base64' ? 'base64' : 'utf8');
  const known = propertiesOf((properties ?? {}) as Body);
  const { userId } = known;
  if (userId !== undefined && userId !== user?.name && user?.tags.includes('impersonator') !== true) {
    throw badRequest(`user_id property set to '${userId}' but authenticated user was '${user?.name ?? ''}'`);
  }
  if (exchange.internal) throw new HttpError(403, `cannot publish to internal exchange '${exchange.name}'`);
  const { headers = emptyTable() } = known;
  const delayMs = exchange.delays ? delayOf(headers) : 0;
  const keys = [key, ...textsOf(headers['CC']), ...textsOf(headers['BCC'])];
  const slot = core.messages.add(
    encodeKey(exchange.name, key),
    encodeProperties(delayMs > 0 ? known : hidden(known)),
    bytes,
  );
  core.messages.describe(slot, known.priority ?? 0, known.deliveryMode === 2);
  core.counters.published += 1;
  const queues: Queue[] = [];
  const view = new MessageView(core.messages, slot);
  // Whether a delayed message reaches a queue is not known yet.
  let routed = delayMs > 0;
  if (routed) delayMessage({ core, place, exchange, keys, slot, ttlMs: view.ttlMs }, delayMs);
  else {
    place.route(exchange, keys, () => view.headers, queues);
    enqueueAll(core, queues, slot, view.ttlMs);
    routed = queues.length > 0;
  }
  core.messages.release(slot);
  core.endTurn();
  return { routed };
}

/** Without what its consumers must not see. */
function hidden(properties: Properties): Properties {
  const { headers } = properties;
  if (headers?.['BCC'] === undefined) return properties;
  const kept = Object.entries(headers).filter(([name]) => name !== 'BCC');
  return { ...properties, headers: Object.assign(emptyTable(), Object.fromEntries(kept)) };
}

function propertiesOf(given: Body): Properties {
  const properties: Record<string, unknown> = {};
  for (const [name, ours] of Object.entries(NAMES)) {
    const value = given[name];
    if (value === undefined || value === null) continue;
    const isNumber = ours === 'deliveryMode' || ours === 'priority' || ours === 'timestamp';
    if (typeof value !== (isNumber ? 'number' : 'string')) throw badRequest(`property ${name} is wrong`);
    properties[ours] = value;
  }
  const { headers } = given;
  if (typeof headers === 'object' && headers !== null) properties['headers'] = fromPlain(headers as Body);
  if (properties['expiration'] !== undefined && !/^\d{1,13}$/.test(properties['expiration'] as string)) {
    throw badRequest('property expiration is no number');
  }
  return properties;
}

/** Takes up to `count` messages; by `ackmode` they go back (marked) or are gone. */
export async function getMessages(core: Core, queue: Queue, body: Body): Promise<Body[]> {
  const { count, ackmode, encoding, truncate } = body;
  if (typeof count !== 'number' || count < 1) throw badRequest('count is needed');
  const requeue = ackmode !== 'ack_requeue_false' && ackmode !== 'reject_requeue_false';
  const taken: Entry[] = [];
  while (taken.length < Math.min(count, core.limits.httpMessagesMax)) {
    await readable(queue);
    const entry = queue.get(false);
    if (entry === undefined) break;
    taken.push(entry);
  }
  for (const { slot } of taken) await core.keeper?.load(slot);
  const remaining = queue.ready;
  const views = taken.map((entry, index) => {
    const bytes = core.messages.body(entry.slot);
    const shown = typeof truncate === 'number' ? bytes.subarray(0, truncate) : bytes;
    return {
      ...messageView(core, entry, encoding === 'base64', shown),
      message_count: remaining + taken.length - 1 - index,
    };
  });
  if (requeue) queue.requeue(taken);
  else if (ackmode === 'reject_requeue_false') for (const { slot } of taken) queue.reject(slot);
  else for (const { slot } of taken) queue.ack(slot);
  core.endTurn();
  return views;
}

/** Resolves when the queue's first message can be taken. */
async function readable(queue: Queue): Promise<void> {
  let isReady = false;
  await new Promise<void>((resolve) => {
    isReady = queue.isReadable(resolve);
    if (isReady) resolve();
  });
  if (isReady) return;
  await readable(queue);
}

function messageView(core: Core, { slot, returns }: Entry, base64: boolean, body: Buffer): Body {
  const { messages } = core;
  const { exchange, routingKey } = new MessageView(messages, slot);
  const properties = decodeProperties(
    messages.chunk(slot),
    messages.propertyStart(slot),
    messages.bodyStart(slot),
  );
  const text = body.toString();
  const isText = !base64 && Buffer.from(text).equals(body);
  const shown: Record<string, unknown> = {};
  for (const [name, ours] of Object.entries(NAMES))
    if (properties[ours] !== undefined) shown[name] = properties[ours];
  if (properties.headers !== undefined) shown['headers'] = plainTable(properties.headers);
  return {
    exchange,
    routing_key: routingKey,
    redelivered: returns > 0,
    payload_bytes: messages.bodyBytes(slot),
    payload: isText ? text : body.toString('base64'),
    payload_encoding: isText ? 'string' : 'base64',
    properties: shown,
  };
}
