// What clients are told of the broker in connection.start. `product` is "RabbitMQ" by default: client libraries switch their
// behaviour on it; the real name stands beside it.

import { emptyTable, type Field, type FieldTable } from '../wire/amqp091/index.ts';

const CAPABILITIES = [
  'publisher_confirms',
  'exchange_exchange_bindings',
  'basic.nack',
  'consumer_cancel_notify',
  'connection.blocked',
  'consumer_priorities',
  'authentication_failure_close',
  'per_consumer_qos',
  'direct_reply_to',
] as const;

/** @param sync  what a confirm of a durable message means: `disk` (after fdatasync), `os`, or `memory` (nothing is kept) */
export function serverProperties(
  product: { readonly name: string; readonly version: string },
  sync: 'disk' | 'os' | 'memory',
): FieldTable {
  const capabilities = emptyTable();
  for (const name of CAPABILITIES) capabilities[name] = { type: 't', value: true };
  const properties = emptyTable();
  const text = (value: string): Field => ({ type: 'S', value });
  properties['capabilities'] = { type: 'F', value: capabilities };
  properties['cluster_name'] = text('naru');
  properties['copyright'] = text('Naru');
  properties['information'] = text('An AMQP 0-9-1 broker in one Node.js process');
  properties['platform'] = text('Node.js');
  properties['product'] = text(product.name);
  properties['version'] = text(product.version);
  properties['naru'] = { type: 't', value: true };
  properties['naru_sync'] = text(sync);
  return properties;
}
