// Declaring what is there already: it must be meant the same, or the answer is 406 with the difference, as RabbitMQ words it.

import type { FieldTable } from '../wire/amqp091/index.ts';
import type { Exchange } from './exchange/exchange.ts';
import { checkSameArguments, compareArgument, inequivalent } from './queue/arguments.ts';
import type { Queue } from './queue/queue.ts';
import { resource } from './refusal.ts';

/** What queues and exchanges are declared with. */
interface Declared {
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly args: FieldTable;
}

/** @throws Refusal 406 */
export function checkSameQueue(existing: Queue, request: Declared): void {
  const { name, vhost } = existing;
  const where = resource('queue', name, vhost);
  compare(where, 'durable', request.durable, existing.durable);
  compare(where, 'auto_delete', request.autoDelete, existing.autoDelete);
  checkSameArguments(existing.args, request.args, name, vhost);
}

/** @throws Refusal 406 */
export function checkSameExchange(
  existing: Exchange,
  request: Declared & { readonly type: string; readonly internal: boolean },
): void {
  const where = resource('exchange', existing.name, existing.vhost);
  compare(where, 'type', request.type, existing.type);
  compare(where, 'durable', request.durable, existing.durable);
  compare(where, 'auto_delete', request.autoDelete, existing.autoDelete);
  compare(where, 'internal', request.internal, existing.internal);
  const key = 'alternate-exchange';
  compareArgument(key, existing.args[key], request.args[key], where);
}

function compare(where: string, key: string, received: unknown, current: unknown): void {
  if (received === current) return;
  throw inequivalent(key, where, `received '${String(received)}' but current is '${String(current)}'`);
}
