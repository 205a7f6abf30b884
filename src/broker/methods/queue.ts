// Class queue: declare, bind, unbind, purge, delete.

import {
  METHOD,
  readQueueBind,
  readQueueDeclare,
  readQueueDelete,
  readQueuePurge,
  readQueueUnbind,
  writeQueueBindOk,
  writeQueueDeclareOk,
  writeQueueDeleteOk,
  writeQueuePurgeOk,
  writeQueueUnbindOk,
  type QueueDeclare,
  type Reader,
} from '../../wire/amqp091/index.ts';
import type { Channel } from '../connection/channel.ts';
import { checkSameQueue } from '../declared.ts';
import { readPolicy } from '../queue/arguments.ts';
import type { Queue } from '../queue/queue.ts';
import { preconditionFailed, resource } from '../refusal.ts';
import { isDurable } from '../vhost.ts';
import type { Handlers } from './handler.ts';
import {
  checkNotDefault,
  checkNotReserved,
  checkOwner,
  cleanName,
  findExchange,
  findQueue,
  locked,
  queueName,
} from './names.ts';
import { isReplyName } from './reply.ts';

function declare(channel: Channel, reader: Reader): void {
  const request = readQueueDeclare(reader);
  const { output } = channel.connection;
  if (request.passive && isReplyName(request.queue)) {
    channel.lastQueue = request.queue;
    if (!request.nowait) {
      const counts = { messageCount: 0, consumerCount: 1 };
      writeQueueDeclareOk(output, channel.number, { queue: request.queue, ...counts });
    }
    return;
  }
  const queue = request.passive ? declarePassively(channel, request) : declareActively(channel, request);
  channel.lastQueue = queue.name;
  queue.used();
  if (request.nowait) return;
  const counts = { messageCount: queue.ready, consumerCount: queue.consumers.size };
  channel.answerSafely(!request.passive && isDurable(queue), () =>
    writeQueueDeclareOk(output, channel.number, { queue: queue.name, ...counts }),
  );
}

function declarePassively(channel: Channel, request: QueueDeclare): Queue {
  const queue = findQueue(channel, cleanName(request.queue));
  checkOwner(channel, queue);
  return queue;
}

function declareActively(channel: Channel, request: QueueDeclare): Queue {
  const { connection } = channel;
  const { place } = connection;
  // What goes with its connection is never durable, whatever was asked.
  const durable = request.durable && !request.exclusive;
  const given = cleanName(request.queue);
  const name = given === '' ? connection.core.uniqueName('amq.gen-') : given;
  if (given !== '') checkNotReserved('queue', name);
  connection.check('configure', 'queue', name);
  const existing = place.queue(name);
  if (existing !== undefined) {
    checkSame(channel, existing, { ...request, durable });
    return existing;
  }
  const policy = readPolicy(request.args, name, place.name);
  const where = resource('queue', name, place.name);
  if (policy.type === 'quorum') {
    if (!request.durable) throw preconditionFailed(`invalid property 'non-durable' for ${where}`);
    if (request.exclusive) throw preconditionFailed(`invalid property 'exclusive-owner' for ${where}`);
  }
  if (policy.deadLetterExchange !== undefined) {
    connection.check('read', 'queue', name);
    connection.check('write', 'exchange', policy.deadLetterExchange);
  }
  return place.addQueue({
    name,
    vhost: place.name,
    durable,
    autoDelete: request.autoDelete,
    owner: request.exclusive ? connection : undefined,
    args: request.args,
    policy,
  });
}

function checkSame(channel: Channel, existing: Queue, request: QueueDeclare): void {
  const { name, vhost } = existing;
  checkOwner(channel, existing);
  if (request.exclusive !== (existing.owner !== undefined)) throw locked(name, vhost);
  checkSameQueue(existing, request);
}

/** `queue=''` means the one declared last, and an empty routing key then its name. */
function keyFor(given: string, name: string, key: string): string {
  return given === '' && key === '' ? name : key;
}

function bind(channel: Channel, reader: Reader): void {
  const request = readQueueBind(reader);
  const { connection } = channel;
  const name = cleanName(queueName(channel, request.queue));
  const from = cleanName(request.exchange);
  checkNotDefault(from);
  connection.check('write', 'queue', name);
  connection.check('read', 'exchange', from);
  // Where both are missing, RabbitMQ names the exchange.
  const exchange = findExchange(channel, from);
  const queue = findQueue(channel, name);
  exchange.checkBinding(request.args);
  checkOwner(channel, queue);
  connection.place.bind(exchange, queue, keyFor(request.queue, name, request.routingKey), request.args);
  if (request.nowait) return;
  channel.answerSafely(isDurable(queue) && isDurable(exchange), () =>
    writeQueueBindOk(connection.output, channel.number),
  );
}

function unbind(channel: Channel, reader: Reader): void {
  const request = readQueueUnbind(reader);
  const { connection } = channel;
  const name = cleanName(queueName(channel, request.queue));
  const from = cleanName(request.exchange);
  checkNotDefault(from);
  connection.check('write', 'queue', name);
  connection.check('read', 'exchange', from);
  const queue = connection.place.queue(name);
  const exchange = connection.place.exchange(from);
  if (queue !== undefined && exchange !== undefined) {
    const key = keyFor(request.queue, name, request.routingKey);
    // What is not bound may be unbound by anybody.
    if (connection.place.isBound(exchange, queue, key, request.args)) checkOwner(channel, queue);
    connection.place.unbind(exchange, queue, key, request.args);
  }
  const isKept = queue !== undefined && exchange !== undefined && isDurable(queue) && isDurable(exchange);
  channel.answerSafely(isKept, () => writeQueueUnbindOk(connection.output, channel.number));
}

function purge(channel: Channel, reader: Reader): void {
  const request = readQueuePurge(reader);
  const { connection } = channel;
  const name = queueName(channel, request.queue);
  connection.check('read', 'queue', name);
  const queue = findQueue(channel, name);
  checkOwner(channel, queue);
  const messageCount = queue.purge();
  if (request.nowait) return;
  channel.answerSafely(isDurable(queue), () =>
    writeQueuePurgeOk(connection.output, channel.number, { messageCount }),
  );
}

function remove(channel: Channel, reader: Reader): void {
  const request = readQueueDelete(reader);
  const { connection } = channel;
  const name = queueName(channel, cleanName(request.queue));
  connection.check('configure', 'queue', name);
  const queue = connection.place.queue(name);
  let messageCount = 0;
  if (queue !== undefined) {
    checkOwner(channel, queue);
    const where = resource('queue', name, connection.place.name);
    if (request.ifUnused && queue.consumers.size > 0) throw preconditionFailed(`${where} in use`);
    if (request.ifEmpty && queue.ready > 0) throw preconditionFailed(`${where} not empty`);
    channel.holdNotices();
    messageCount = connection.place.deleteQueue(queue);
  }
  if (request.nowait) channel.tellEnded();
  else {
    channel.answerSafely(queue !== undefined && isDurable(queue), () => {
      writeQueueDeleteOk(connection.output, channel.number, { messageCount });
      channel.tellEnded();
    });
  }
}

export const queueMethods: Handlers = [
  [METHOD.queueDeclare, declare],
  [METHOD.queueBind, bind],
  [METHOD.queueUnbind, unbind],
  [METHOD.queuePurge, purge],
  [METHOD.queueDelete, remove],
];
