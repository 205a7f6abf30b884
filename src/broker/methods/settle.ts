// Settling: basic.ack, nack, reject and recover. In a transaction they are checked at once and done at its commit.

import { METHOD, readBasicRecover, writeBasicRecoverOk, type Reader } from '../../wire/amqp091/index.ts';
import type { Channel } from '../connection/channel.ts';
import type { Queue } from '../queue/queue.ts';
import type { Entry } from '../queue/ring.ts';
import { notImplemented, preconditionFailed } from '../refusal.ts';
import type { Handlers } from './handler.ts';

/** The arguments are read in place: this is the hot path of every consumer that acks. */
function ack(channel: Channel, reader: Reader): void {
  const tag = reader.longlong();
  const multiple = (reader.octet() & 1) !== 0;
  if (channel.transaction !== undefined) {
    settleInTransaction(channel, tag, multiple, () => ackNow(channel, tag, multiple));
    return;
  }
  ackNow(channel, tag, multiple);
}

function ackNow(channel: Channel, tag: number, multiple: boolean): void {
  const { unacked } = channel;
  if (!multiple) {
    if (!unacked.ack(tag)) throw unknownTag(tag);
  } else if (tag === 0) unacked.ackUntil(Infinity);
  else {
    checkTag(channel, tag);
    unacked.ackUntil(tag);
  }
  channel.wake();
}

function nack(channel: Channel, reader: Reader): void {
  const tag = reader.longlong();
  const bits = reader.octet();
  refuse(channel, tag, (bits & 1) !== 0, (bits & 2) !== 0);
}

function reject(channel: Channel, reader: Reader): void {
  refuse(channel, reader.longlong(), false, (reader.octet() & 1) !== 0);
}

function refuse(channel: Channel, tag: number, multiple: boolean, requeue: boolean): void {
  if (channel.transaction !== undefined) {
    settleInTransaction(channel, tag, multiple, () => refuseNow(channel, tag, multiple, requeue));
    return;
  }
  refuseNow(channel, tag, multiple, requeue);
}

function refuseNow(channel: Channel, tag: number, multiple: boolean, requeue: boolean): void {
  if (!(multiple && tag === 0)) checkTag(channel, tag);
  const back = new Map<Queue, Entry[]>();
  channel.unacked.take(tag === 0 ? Infinity : tag, multiple, (queue, entry) => {
    if (!requeue) return queue.reject(entry.slot);
    const list = back.get(queue);
    if (list === undefined) back.set(queue, [entry]);
    else list.push(entry);
    return undefined;
  });
  for (const [queue, entries] of back) queue.requeue(entries);
  channel.wake();
}

/** Notes what is to be settled at commit. A tag settled twice is refused now, as without a transaction. */
function settleInTransaction(channel: Channel, tag: number, multiple: boolean, settle: () => void): void {
  const transaction = channel.transaction;
  if (transaction === undefined) return;
  if (!(multiple && tag === 0)) {
    checkTag(channel, tag);
    if (transaction.tags.has(tag)) throw unknownTag(tag);
    transaction.tags.add(tag);
  }
  transaction.settles.push(settle);
}

function checkTag(channel: Channel, tag: number): void {
  if (!channel.unacked.has(tag)) throw unknownTag(tag);
}

function unknownTag(tag: number): Error {
  return preconditionFailed(`unknown delivery tag ${tag}`);
}

function recover(channel: Channel, reader: Reader, answer: boolean): void {
  const { requeue } = readBasicRecover(reader);
  if (!requeue) throw notImplemented('requeue=false');
  channel.requeueAll();
  if (answer) writeBasicRecoverOk(channel.connection.output, channel.number);
}

export const settleMethods: Handlers = [
  [METHOD.basicAck, ack],
  [METHOD.basicNack, nack],
  [METHOD.basicReject, reject],
  [METHOD.basicRecover, (channel, reader) => recover(channel, reader, true)],
  [METHOD.basicRecoverAsync, (channel, reader) => recover(channel, reader, false)],
];
