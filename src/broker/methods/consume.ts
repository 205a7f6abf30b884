// Receiving: basic.qos, consume, cancel, get.

import {
  METHOD,
  readBasicCancel,
  readBasicConsume,
  readBasicGet,
  readBasicQos,
  writeBasicCancelOk,
  writeBasicConsumeOk,
  writeBasicGetEmpty,
  writeBasicGetOk,
  writeBasicQosOk,
  type Reader,
} from '../../wire/amqp091/index.ts';
import type { Channel } from '../connection/channel.ts';
import { Subscription, withCount } from '../connection/subscription.ts';
import { MessageView } from '../message-view.ts';
import { wholeNumber } from '../queue/arguments.ts';
import type { Queue } from '../queue/queue.ts';
import { accessRefused, notAllowed, notImplemented, preconditionFailed, resource } from '../refusal.ts';
import type { Handlers } from './handler.ts';
import { checkOwner, findQueue, queueName } from './names.ts';
import { cancelReplies, consumeReplies, REPLY_QUEUE } from './reply.ts';

function qos(channel: Channel, reader: Reader): void {
  const { prefetchSize, prefetchCount, global } = readBasicQos(reader);
  if (prefetchSize !== 0) throw notImplemented(`prefetch_size!=0 (${prefetchSize})`);
  if (global) {
    channel.globalPrefetch = prefetchCount;
    channel.wake();
  } else channel.prefetch = prefetchCount;
  writeBasicQosOk(channel.connection.output, channel.number);
}

function consume(channel: Channel, reader: Reader): void {
  const request = readBasicConsume(reader);
  const { connection } = channel;
  const name = queueName(channel, request.queue);
  const tag = request.consumerTag === '' ? connection.core.uniqueName('amq.ctag-') : request.consumerTag;
  if (channel.subscriptions.has(tag) || channel.reply?.tag === tag) {
    throw notAllowed(`attempt to reuse consumer tag '${tag}'`);
  }
  if (name === REPLY_QUEUE) {
    consumeReplies(channel, tag, request.noAck);
    if (!request.nowait) writeBasicConsumeOk(connection.output, channel.number, { consumerTag: tag });
    return;
  }
  connection.check('read', 'queue', name);
  const queue = findQueue(channel, name);
  checkOwner(channel, queue);
  checkWhole(queue);
  const where = resource('queue', name, connection.place.name);
  const priority = wholeNumber(request.args, 'x-priority', where) ?? 0;
  checkExclusive(queue, request.exclusive);
  const max = connection.core.limits.consumersPerChannelMax;
  if (channel.subscriptions.size >= max) {
    throw preconditionFailed(`the channel has ${max} consumers, that is the limit`);
  }
  const subscription = new Subscription(
    {
      tag,
      queue,
      noAck: request.noAck,
      exclusive: request.exclusive,
      priority,
      prefetch: channel.prefetch,
      args: request.args,
    },
    channel,
  );
  // The answer first: a delivery must not come before it.
  if (!request.nowait) writeBasicConsumeOk(connection.output, channel.number, { consumerTag: tag });
  channel.addSubscription(subscription);
}

/** @throws Refusal 406  some of the queue's messages cannot be read */
function checkWhole({ name, vhost, damage }: Queue): void {
  if (damage === undefined) return;
  const what = `${resource('queue', name, vhost)} is quarantined, its messages are damaged (${damage})`;
  throw preconditionFailed(`${what}: restore the data folder from a backup, or purge or delete the queue`);
}

/** @throws Refusal 403  somebody has the queue for itself, or wants it while others are there */
function checkExclusive(queue: Queue, exclusive: boolean): void {
  const others = queue.consumers.all;
  const clash = exclusive
    ? others.length > 0 || queue.policy.singleActiveConsumer
    : others.some((other) => other.exclusive);
  if (clash) throw accessRefused(`${resource('queue', queue.name, queue.vhost)} in exclusive use`);
}

function cancel(channel: Channel, reader: Reader): void {
  const { consumerTag, nowait } = readBasicCancel(reader);
  const subscription = channel.subscriptions.get(consumerTag);
  if (subscription !== undefined) channel.removeSubscription(subscription);
  else cancelReplies(channel, consumerTag);
  if (!nowait) writeBasicCancelOk(channel.connection.output, channel.number, { consumerTag });
}

function get(channel: Channel, reader: Reader): void {
  const { queue: given, noAck } = readBasicGet(reader);
  const { connection } = channel;
  const name = queueName(channel, given);
  connection.check('read', 'queue', name);
  const queue = findQueue(channel, name);
  checkOwner(channel, queue);
  checkWhole(queue);
  takeOne(channel, queue, noAck);
}

/** basic.get-ok, when the message's bytes are in memory. */
function takeOne(channel: Channel, queue: Queue, noAck: boolean): void {
  const { connection } = channel;
  const { core, output } = connection;
  let ready: () => void = () => undefined;
  const isReadable = queue.isReadable(() => ready());
  if (!isReadable) {
    const read = new Promise<void>((resolve) => {
      ready = resolve;
    });
    channel.waitFor(read, () => takeOne(channel, queue, noAck));
    return;
  }
  const entry = queue.get(noAck);
  if (entry === undefined) {
    writeBasicGetEmpty(output, channel.number);
    return;
  }
  const { slot, position, expiresAt, returns } = entry;
  const { exchange, routingKey } = new MessageView(core.messages, slot);
  const deliveryTag = channel.nextTag();
  writeBasicGetOk(output, channel.number, {
    deliveryTag,
    redelivered: returns > 0,
    exchange,
    routingKey,
    messageCount: queue.ready,
  });
  const counted = queue.policy.type === 'quorum' && returns > 0;
  output.content(
    channel.number,
    core.messages,
    slot,
    counted ? withCount(connection, slot, returns) : undefined,
  );
  if (noAck) core.messages.release(slot);
  else channel.hold(deliveryTag, queue, undefined, slot, position, expiresAt, returns);
}

export const consumeMethods: Handlers = [
  [METHOD.basicQos, qos],
  [METHOD.basicConsume, consume],
  [METHOD.basicCancel, cancel],
  [METHOD.basicGet, get],
];
