// Settling: basic.ack, nack, reject and recover. In a transaction they are checked at once and done at its commit.

import { METHOD, readBasicRecover, writeBasicRecoverOk, type Reader } from '../../wire/amqp091/index.ts';
import { isSettledBy, type Channel } from '../connection/channel.ts';
import type { Queue } from '../queue/queue.ts';
import type { Entry } from '../queue/ring.ts';
import { notImplemented, preconditionFailed } from '../refusal.ts';
import type { Handlers } from './handler.ts';

/** The arguments are read in place: this is the hot path of every consumer that acks. */
function ack(channel: Channel, reader: Reader): void {
  const tag = reader.longlong();
  const multiple = (reader.octet() & 1) !== 0;
  if (channel.transaction !== undefined) {
    settleInTransaction(channel, tag, multiple, (until) => {
      if (multiple) channel.unacked.ackUntil(until);
      else channel.unacked.ack(until);
      channel.wake();
    });
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
    settleInTransaction(channel, tag, multiple, (until) => refuseNow(channel, until, multiple, requeue));
    return;
  }
  if (!(multiple && tag === 0)) checkTag(channel, tag);
  refuseNow(channel, tag === 0 ? Infinity : tag, multiple, requeue);
}

function refuseNow(channel: Channel, until: number, multiple: boolean, requeue: boolean): void {
  const back = new Map<Queue, Entry[]>();
  channel.unacked.take(until, multiple, (queue, entry) => {
    if (!requeue) return queue.reject(entry.slot);
    const list = back.get(queue);
    if (list === undefined) back.set(queue, [entry]);
    else list.push(entry);
    return undefined;
  });
  for (const [queue, entries] of back) queue.requeue(entries);
  channel.wake();
}

/**
 * Notes what is to be settled at commit: of several those that are there now, not those that come before it. A tag settled twice is
 * refused now, as without a transaction.
 */
function settleInTransaction(
  channel: Channel,
  tag: number,
  multiple: boolean,
  settle: (until: number) => void,
): void {
  const { transaction } = channel;
  if (transaction === undefined) return;
  const isAll = multiple && tag === 0;
  if (!isAll) {
    checkTag(channel, tag);
    if (isSettledBy(transaction, tag)) throw unknownTag(tag);
    transaction.tags.add(tag);
  }
  const until = isAll ? channel.lastTag : tag;
  if (multiple) transaction.settledUntil = Math.max(transaction.settledUntil, until);
  transaction.settles.push(() => settle(until));
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
