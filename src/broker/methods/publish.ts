// Sending: basic.publish and the content that follows it, from the method frame to the queues. The hot path: names are compared
// as bytes with those of the message before, properties are looked at by offset, the body is copied once.

import {
  decodeTable,
  FIELD_TYPE_NAMES,
  joinProperties,
  METHOD,
  PROPERTY,
  shortstrPiece,
  splitProperties,
  textOf,
  writeBasicReturn,
  type PropertyScan,
  type Reader,
} from '../../wire/amqp091/index.ts';
import type { Channel } from '../connection/channel.ts';
import { enqueueAll } from '../enqueue.ts';
import { EXPECT, NO_KEYS, type Incoming, type Publication } from '../connection/publication.ts';
import { delayMessage, delayOf } from '../delayed.ts';
import { MessageView, textsOf, withoutBcc } from '../message-view.ts';
import { LIMITS } from '../limits.ts';
import type { Queue } from '../queue/queue.ts';
import { accessRefused, MisplacedFrame, notImplemented, preconditionFailed, resource } from '../refusal.ts';
import type { Handlers } from './handler.ts';
import { findExchange } from './names.ts';
import { replyAddress, REPLY_QUEUE } from './reply.ts';

const BASIC_CLASS = 60;
/** Up to here memory for a body is reserved when its header comes; larger ones take what has arrived. */
const RESERVED_BYTES_MAX = 30 * 1024;
const NUMBER = /^[+-]?\d+/;
const NO_BYTES = Buffer.alloc(0);

function publish(channel: Channel, reader: Reader): void {
  const { incoming, connection } = channel;
  const { route } = incoming;
  const { place, core } = connection;
  const start = reader.at + 2;
  const isSame =
    route.epoch === place.epoch &&
    route.usersEpoch === core.users.epoch &&
    route.matches(reader.buffer, start, reader.end);
  if (!isSame) resolve(channel, reader, start);
  incoming.expects = EXPECT.header;
}

/** Looks up exchange and permissions anew. */
function resolve(channel: Channel, reader: Reader, start: number): void {
  const { connection } = channel;
  const { route } = channel.incoming;
  const { buffer, end } = reader;
  reader.short();
  const name = reader.shortstr();
  const keyLength = reader.octet();
  const keyAt = reader.at;
  reader.at += keyLength;
  const bits = reader.octet();
  reader.finish();
  route.epoch = 0;
  if ((bits & 2) !== 0) throw notImplemented('immediate=true');
  connection.check('write', 'exchange', name);
  const exchange = findExchange(channel, name);
  if (exchange.internal) {
    throw accessRefused(`cannot publish to internal ${resource('exchange', name, exchange.vhost)}`);
  }
  route.remember(buffer, start, end);
  route.exchange = exchange;
  route.key = keyText(buffer, keyAt, keyAt + keyLength);
  route.mandatory = (bits & 1) !== 0;
  route.isFixed = false;
  route.epoch = connection.place.epoch;
  route.usersEpoch = connection.core.users.epoch;
}

/** A routing key that is not UTF-8 travels as it came; it matches only patterns that match any key. */
function keyText(buffer: Buffer, start: number, end: number): string {
  try {
    return textOf(buffer, start, end);
  } catch {
    return `\0${buffer.toString('latin1', start, end)}`;
  }
}

/** A content header frame. */
export function receiveHeader(channel: Channel, buffer: Buffer, start: number, end: number): void {
  const { incoming, connection } = channel;
  if (incoming.expects !== EXPECT.header) throw new MisplacedFrame(incoming.expects);
  const classId = buffer.readUInt16BE(start);
  if (classId !== BASIC_CLASS) {
    const text = `expected content header for class 60, got one for class ${classId} instead`;
    throw new MisplacedFrame(EXPECT.header, text);
  }
  if (buffer.readUInt16BE(start + 2) !== 0) throw new MisplacedFrame(EXPECT.header);
  const bodyBytes = buffer.readUInt32BE(start + 4) * 0x1_0000_0000 + buffer.readUInt32BE(start + 8);
  const { core } = connection;
  incoming.expects = EXPECT.method;
  const { scan } = core;
  scan.scan(buffer, start + 12, end);
  if (bodyBytes > core.limits.messageBytesMax) {
    throw preconditionFailed(
      `message size ${bodyBytes} is larger than configured max size ${core.limits.messageBytesMax}`,
    );
  }
  const properties = inspect(channel, scan, buffer);
  incoming.bodyBytes = bodyBytes;
  incoming.filled = 0;
  if (bodyBytes > RESERVED_BYTES_MAX) {
    incoming.pieces = [];
    incoming.properties = properties ?? Buffer.from(buffer.subarray(start + 12, end));
  } else if (properties === undefined) store(channel, buffer, start + 12, end);
  else store(channel, properties, 0, properties.length);
  incoming.expects = EXPECT.body;
  if (bodyBytes === 0) complete(channel);
}

/** Takes a slot for the message and writes all but its body. */
function store(channel: Channel, properties: Buffer, start: number, end: number): void {
  const { incoming, connection } = channel;
  const { messages } = connection.core;
  const { route } = incoming;
  const { bytes, length } = route;
  const { bodyBytes, priority, persistent } = incoming;
  // The last byte of the arguments holds the flags; what is before is the message's key.
  incoming.slot = messages.begin(bytes, 0, length - 1, properties, start, end, bodyBytes);
  messages.describe(incoming.slot, priority, persistent);
}

/** A body frame. */
export function receiveBody(channel: Channel, buffer: Buffer, start: number, end: number): void {
  const { incoming, connection } = channel;
  if (incoming.expects !== EXPECT.body) throw new MisplacedFrame(incoming.expects);
  const filled = incoming.filled + end - start;
  if (filled > incoming.bodyBytes) throw new MisplacedFrame(EXPECT.body);
  if (incoming.pieces === undefined) {
    connection.core.messages.fill(incoming.slot, incoming.filled, buffer, start, end);
  } else incoming.pieces.push(Buffer.from(buffer.subarray(start, end)));
  incoming.filled = filled;
  if (filled < incoming.bodyBytes) return;
  if (incoming.pieces !== undefined) assemble(channel, incoming.pieces);
  complete(channel);
}

function assemble(channel: Channel, pieces: readonly Buffer[]): void {
  const { incoming, connection } = channel;
  const properties = incoming.properties ?? NO_BYTES;
  store(channel, properties, 0, properties.length);
  incoming.pieces = undefined;
  incoming.properties = undefined;
  let at = 0;
  for (const piece of pieces) {
    connection.core.messages.fill(incoming.slot, at, piece, 0, piece.length);
    at += piece.length;
  }
}

/** Notes what the properties ask for. @returns other properties to store instead; undefined: as they are */
function inspect(channel: Channel, scan: PropertyScan, buffer: Buffer): Buffer | undefined {
  const { incoming } = channel;
  incoming.ttlMs = Infinity;
  incoming.delayMs = 0;
  incoming.moreKeys = NO_KEYS;
  incoming.persistent =
    scan.has(PROPERTY.deliveryMode) && buffer[scan.starts[PROPERTY.deliveryMode] as number] === 2;
  incoming.priority = scan.has(PROPERTY.priority)
    ? (buffer[scan.starts[PROPERTY.priority] as number] as number)
    : 0;
  if (scan.has(PROPERTY.expiration)) incoming.ttlMs = ttlOf(textAt(scan, buffer, PROPERTY.expiration));
  if (scan.has(PROPERTY.userId)) checkUserId(channel, textAt(scan, buffer, PROPERTY.userId));
  const hasReply = scan.has(PROPERTY.replyTo) && textAt(scan, buffer, PROPERTY.replyTo) === REPLY_QUEUE;
  const hasBcc = scan.has(PROPERTY.headers) && inspectHeaders(incoming, scan, buffer);
  if (!hasReply && !hasBcc) return undefined;
  const first = scan.starts[firstOf(scan)] as number;
  const pieces = splitProperties(buffer, first - 2, lastOf(scan));
  if (hasReply) pieces[PROPERTY.replyTo] = shortstrPiece(replyAddress(channel));
  if (hasBcc) pieces[PROPERTY.headers] = withoutBcc(pieces[PROPERTY.headers]);
  return joinProperties(pieces);
}

function firstOf(scan: PropertyScan): number {
  return Math.clz32(scan.flags) - 16;
}

function lastOf(scan: PropertyScan): number {
  return scan.ends[15 - (31 - Math.clz32(scan.flags & -scan.flags))] as number;
}

/** @returns whether there are keys that others must not see */
function inspectHeaders(incoming: Incoming, scan: PropertyScan, buffer: Buffer): boolean {
  const start = scan.starts[PROPERTY.headers] as number;
  const end = scan.ends[PROPERTY.headers] as number;
  const delays = incoming.route.exchange?.delays === true;
  // Decoding costs more than looking for the letters.
  if (!delays && buffer.subarray(start, end).indexOf('CC') < 0) return false;
  const headers = decodeTable(buffer, start + 4, end);
  const more = [...carbonCopies(headers['CC'], 'CC'), ...carbonCopies(headers['BCC'], 'BCC')];
  incoming.moreKeys = more;
  if (delays) incoming.delayMs = delayOf(headers);
  // One that waits first keeps it: its keys are needed after a restart too.
  return headers['BCC'] !== undefined && incoming.delayMs === 0;
}

function carbonCopies(field: Parameters<typeof textsOf>[0], name: string): readonly string[] {
  if (field !== undefined && field.type !== 'A') {
    throw preconditionFailed(
      `invalid message: {unacceptable_type_in_header,"${name}",${FIELD_TYPE_NAMES[field.type]}}`,
    );
  }
  return textsOf(field);
}

function textAt(scan: PropertyScan, buffer: Buffer, property: number): string {
  return buffer.toString('utf8', (scan.starts[property] as number) + 1, scan.ends[property]);
}

/** Erlang's reading of a number: a sign may stand in front, and what stands behind is left over. */
function ttlOf(text: string): number {
  const digits = NUMBER.exec(text)?.[0] ?? '';
  const ttl = Number(digits);
  let wrong: string | undefined;
  if (digits === '') wrong = 'no_integer';
  else if (digits !== text) wrong = `{leftover_string,${JSON.stringify(text.slice(digits.length))}}`;
  else if (ttl < 0) wrong = `{value_negative,${digits}}`;
  else if (ttl > LIMITS.ttlMsMax.default) wrong = `{value_too_large,${digits}}`;
  if (wrong !== undefined) throw preconditionFailed(`invalid expiration '${text}': ${wrong}`);
  return ttl;
}

/** @throws Refusal 406  the message claims another sender; users with the tag impersonator may */
function checkUserId({ connection }: Channel, userId: string): void {
  const { user } = connection;
  if (user === undefined || user.name === userId || user.tags.includes('impersonator')) return;
  throw preconditionFailed(`user_id property set to '${userId}' but authenticated user was '${user.name}'`);
}

/** The message is there in full. */
function complete(channel: Channel): void {
  const { incoming, connection } = channel;
  const { route, slot, ttlMs, delayMs, moreKeys } = incoming;
  incoming.expects = EXPECT.method;
  connection.core.counters.published += 1;
  if (channel.transaction === undefined && moreKeys.length === 0 && delayMs === 0 && route.isFixed) {
    putIntoQueues(channel, route.queues, slot, ttlMs, route.mandatory);
    return;
  }
  const publication = {
    slot,
    exchange: route.exchange as Publication['exchange'],
    key: route.key,
    moreKeys,
    ttlMs,
    delayMs,
    mandatory: route.mandatory,
  };
  if (channel.transaction === undefined) send(channel, publication);
  else {
    const max = connection.core.limits.txMessagesMax;
    channel.transaction.publications.push(publication);
    if (channel.transaction.publications.length > max) {
      throw preconditionFailed(`a transaction of more than ${max} messages`);
    }
  }
}

/** Routes a message and puts it where it belongs; its slot is given up. */
export function send(channel: Channel, publication: Publication): void {
  const { connection, incoming } = channel;
  const { core, place } = connection;
  const { slot, exchange, key, moreKeys, ttlMs, delayMs, mandatory } = publication;
  if (exchange.delays && delayMs > 0) {
    delay(channel, publication);
    return;
  }
  if (exchange.name === '' && key.startsWith(`${REPLY_QUEUE}.`)) {
    const target = core.replies.get(key);
    if (target !== undefined) {
      core.messages.keep(slot);
      target.takeReply(slot);
    } else if (mandatory) giveBack(channel, slot);
    finish(channel, slot, true);
    return;
  }
  const { route } = incoming;
  // What was found is kept for the next message only where nothing but the key decides.
  const isFixed =
    moreKeys.length === 0 &&
    route.exchange === exchange &&
    route.key === key &&
    route.epoch === place.epoch &&
    exchange.bindings.size <= FIXED_BINDINGS_MAX;
  const queues = isFixed ? route.queues : [];
  queues.length = 0;
  let usedHeaders = false;
  const headers = (): MessageView['headers'] => {
    usedHeaders = true;
    return new MessageView(core.messages, slot).headers;
  };
  place.route(exchange, [key, ...moreKeys], headers, queues);
  route.isFixed = isFixed && !usedHeaders && !exchange.delays;
  putIntoQueues(channel, queues, slot, ttlMs, mandatory);
}

/** Beyond so many the list of queues is not kept for each channel. */
const FIXED_BINDINGS_MAX = 10_000;

function putIntoQueues(
  channel: Channel,
  queues: readonly Queue[],
  slot: number,
  ttlMs: number,
  mandatory: boolean,
): void {
  const accepted = enqueueAll(channel.connection.core, queues, slot, ttlMs);
  if (queues.length === 0) {
    channel.connection.core.counters.unroutable += 1;
    if (mandatory) giveBack(channel, slot);
  }
  finish(channel, slot, accepted);
}

/** basic.return: before the ack of the same message, which waits for the end of the turn. */
function giveBack({ connection, number }: Channel, slot: number): void {
  const { core, output } = connection;
  const { exchange, routingKey } = new MessageView(core.messages, slot);
  core.counters.returned += 1;
  writeBasicReturn(output, number, { replyCode: 312, replyText: 'NO_ROUTE', exchange, routingKey });
  output.content(number, core.messages, slot, undefined);
}

function finish(channel: Channel, slot: number, accepted: boolean): void {
  const { core } = channel.connection;
  const sequence = core.store === undefined ? 0 : core.messages.sequence(slot);
  core.messages.release(slot);
  if (channel.confirms === undefined) return;
  let acked = accepted;
  if (core.failingPublishes > 0) {
    core.failingPublishes -= 1;
    acked = false;
  }
  if (acked && core.store !== undefined && sequence > core.store.reached) {
    channel.confirms.expect(sequence);
    core.store.wait(channel);
    return;
  }
  channel.confirms.add(acked);
  channel.confirmLater();
}

/** An x-delayed-message exchange keeps the message for its time; it is confirmed when it is kept safely. */
function delay(channel: Channel, publication: Publication): void {
  const { core, place } = channel.connection;
  const { slot, exchange, key, moreKeys, ttlMs, delayMs } = publication;
  const delayed = { core, place, exchange, keys: [key, ...moreKeys], slot, ttlMs };
  finish(channel, slot, delayMessage(delayed, delayMs));
}

export const publishMethods: Handlers = [[METHOD.basicPublish, publish]];
