// Looking up queues and exchanges by the names that clients give, with the answers that RabbitMQ gives.

import type { Channel } from '../connection/channel.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Queue } from '../queue/queue.ts';
import { accessRefused, notFound, Refusal, resource } from '../refusal.ts';

/** RabbitMQ takes line ends out of names that are declared or deleted, so that they cannot forge lines of its log. */
export function cleanName(name: string): string {
  return name.replace(/[\r\n]/g, '');
}

/** @throws Refusal 403  the name is kept for the broker's own */
export function checkNotReserved(kind: 'queue' | 'exchange', name: string): void {
  if (name.startsWith('amq.')) throw accessRefused(`${kind} name '${name}' contains reserved prefix 'amq.*'`);
}

/** @throws Refusal 403 */
export function checkNotDefault(name: string): void {
  if (name === '') throw accessRefused('operation not permitted on the default exchange');
}

/** The queue a client means: by name, or the one declared last on the channel. @throws Refusal 404 */
export function queueName(channel: Channel, name: string): string {
  if (name !== '') return name;
  if (channel.lastQueue === '') throw new Refusal(404, 'no previously declared queue');
  return channel.lastQueue;
}

/** @throws Refusal 404 */
export function findQueue(channel: Channel, name: string): Queue {
  const { place } = channel.connection;
  const queue = place.queue(name);
  if (queue === undefined) throw notFound('queue', name, place.name);
  return queue;
}

/** @throws Refusal 404 */
export function findExchange(channel: Channel, name: string): Exchange {
  const { place } = channel.connection;
  const exchange = place.exchange(name);
  if (exchange === undefined) throw notFound('exchange', name, place.name);
  return exchange;
}

/** @throws Refusal 405  the queue is another connection's own */
export function checkOwner(channel: Channel, queue: Queue): void {
  if (queue.owner === undefined || queue.owner === channel.connection) return;
  throw locked(queue.name, queue.vhost);
}

/** What whoever touches an exclusive queue of another connection is told. */
export function locked(name: string, vhost: string): Refusal {
  return new Refusal(
    405,
    `cannot obtain exclusive access to locked ${resource('queue', name, vhost)}. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.`,
  );
}
