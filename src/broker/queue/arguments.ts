// The arguments of queue.declare: which are known, what they may be, when two declarations mean the same queue. Error texts as
// RabbitMQ words them.

import { FIELD_TYPE_NAMES, type Field, type FieldTable } from '../../wire/amqp091/index.ts';
import { LIMITS } from '../limits.ts';
import { preconditionFailed, resource, type Refusal } from '../refusal.ts';

export type Overflow = 'drop-head' | 'reject-publish' | 'reject-publish-dlx';

/** What the arguments of a queue mean. Times in milliseconds. */
export interface QueuePolicy {
  readonly type: 'classic' | 'quorum';
  /** Unused for so long, the queue deletes itself; undefined: never. */
  readonly expiresMs: number | undefined;
  readonly ttlMs: number | undefined;
  readonly maxLength: number | undefined;
  readonly maxLengthBytes: number | undefined;
  readonly overflow: Overflow;
  readonly deadLetterExchange: string | undefined;
  readonly deadLetterRoutingKey: string | undefined;
  /** Highest priority; undefined: the queue has none. */
  readonly maxPriority: number | undefined;
  readonly singleActiveConsumer: boolean;
  /** Returns of a message before it is dead-lettered; undefined: any number. */
  readonly deliveryLimit: number | undefined;
  /** How long a consumer may keep a message unsettled; undefined: as the broker's limits say. */
  readonly consumerTimeoutMs: number | undefined;
}

const INTEGERS = new Set(['b', 'B', 's', 'u', 'I', 'i', 'l', 'T']);
const OVERFLOWS: readonly string[] = ['drop-head', 'reject-publish', 'reject-publish-dlx'];
/** What a quorum queue does unless told otherwise. */
const DELIVERY_LIMIT = 20;

/** Arguments that two declarations of one queue must agree on. Others are ignored. */
const COMPARED = [
  'x-expires',
  'x-message-ttl',
  'x-max-length',
  'x-max-length-bytes',
  'x-dead-letter-exchange',
  'x-dead-letter-routing-key',
  'x-max-priority',
  'x-overflow',
  'x-queue-mode',
  'x-single-active-consumer',
  'x-delivery-limit',
  'x-queue-type',
];

/** Reads and checks the arguments of a queue that is to be made. @throws Refusal 406 */
export function readPolicy(args: FieldTable, name: string, vhost: string): QueuePolicy {
  const where = resource('queue', name, vhost);
  const type = text(args, 'x-queue-type', where) ?? 'classic';
  if (type !== 'classic' && type !== 'quorum') {
    throw invalid('x-queue-type', where, `"unsupported queue type '${type}'"`);
  }
  const overflow = text(args, 'x-overflow', where) ?? 'drop-head';
  if (!OVERFLOWS.includes(overflow)) throw invalid('x-overflow', where, 'invalid_overflow');
  const deadLetterExchange = text(args, 'x-dead-letter-exchange', where);
  const deadLetterRoutingKey = text(args, 'x-dead-letter-routing-key', where);
  if (deadLetterRoutingKey !== undefined && deadLetterExchange === undefined) {
    throw invalid('x-dead-letter-routing-key', where, 'routing_key_but_no_dlx_defined');
  }
  const maxPriority = integer(args, 'x-max-priority', where, 0);
  if (maxPriority !== undefined && maxPriority > LIMITS.priorityMax.default) {
    throw invalid('x-max-priority', where, `{max_value_exceeded,${maxPriority}}`);
  }
  text(args, 'x-queue-mode', where);
  const limit = integer(args, 'x-delivery-limit', where, 0);
  return {
    type,
    expiresMs: duration(args, 'x-expires', where, 1),
    ttlMs: duration(args, 'x-message-ttl', where, 0),
    maxLength: integer(args, 'x-max-length', where, 0),
    maxLengthBytes: integer(args, 'x-max-length-bytes', where, 0),
    overflow: overflow as Overflow,
    deadLetterExchange,
    deadLetterRoutingKey,
    maxPriority: maxPriority === 0 ? undefined : maxPriority,
    singleActiveConsumer: bool(args, 'x-single-active-consumer', where),
    deliveryLimit: limit ?? (type === 'quorum' ? DELIVERY_LIMIT : undefined),
    consumerTimeoutMs: duration(args, 'x-consumer-timeout', where, 1),
  };
}

/** @throws Refusal 406  the arguments mean another queue than the one that exists */
export function checkSameArguments(
  current: FieldTable,
  received: FieldTable,
  name: string,
  vhost: string,
): void {
  for (const key of COMPARED)
    compareArgument(key, current[key], received[key], resource('queue', name, vhost));
}

/** Compares one argument. Numbers are compared by value, whatever their type. */
export function compareArgument(
  key: string,
  current: Field | undefined,
  received: Field | undefined,
  where: string,
): void {
  if (key === 'x-queue-type' && asType(current) === asType(received)) return;
  if (current === undefined && received === undefined) return;
  if (current !== undefined && received !== undefined) {
    if (show(current) === show(received) && comparable(current, received)) return;
    if (comparable(current, received)) {
      throw inequivalent(key, where, `received '${show(received)}' but current is '${show(current)}'`);
    }
  }
  throw inequivalent(key, where, `received ${described(received)} but current is ${described(current)}`);
}

/** `inequivalent arg 'durable' for queue 'q' in vhost '/': …` */
export function inequivalent(key: string, where: string, how: string): Refusal {
  return preconditionFailed(`inequivalent arg '${key}' for ${where}: ${how}`);
}

function asType(field: Field | undefined): string {
  return field === undefined ? 'classic' : show(field);
}

function comparable(a: Field, b: Field): boolean {
  return a.type === b.type || (INTEGERS.has(a.type) && INTEGERS.has(b.type));
}

function described(field: Field | undefined): string {
  return field === undefined
    ? 'none'
    : `the value '${show(field)}' of type '${FIELD_TYPE_NAMES[field.type]}'`;
}

function show(field: Field): string {
  return typeof field.value === 'object' && field.value !== null
    ? FIELD_TYPE_NAMES[field.type]
    : String(field.value);
}

function invalid(key: string, where: string, why: string): Refusal {
  return preconditionFailed(`invalid arg '${key}' for ${where}: ${why}`);
}

function integer(args: FieldTable, key: string, where: string, min: 0 | 1): number | undefined {
  const field = args[key];
  if (field === undefined) return undefined;
  if (!INTEGERS.has(field.type)) {
    throw invalid(key, where, `"expected integer, got ${FIELD_TYPE_NAMES[field.type]}"`);
  }
  const value = Number(field.value);
  if (value < 0) throw invalid(key, where, `{value_negative,${value}}`);
  if (value < min) throw invalid(key, where, '{value_zero,0}');
  return value;
}

function duration(args: FieldTable, key: string, where: string, min: 0 | 1): number | undefined {
  const value = integer(args, key, where, min);
  if (value !== undefined && value > LIMITS.ttlMsMax.default)
    throw invalid(key, where, `{value_too_large,${value}}`);
  return value;
}

function text(args: FieldTable, key: string, where: string): string | undefined {
  const field = args[key];
  if (field === undefined) return undefined;
  if (field.type !== 'S' || typeof field.value !== 'string') {
    throw invalid(key, where, `{unacceptable_type,${FIELD_TYPE_NAMES[field.type]}}`);
  }
  return field.value;
}

function bool(args: FieldTable, key: string, where: string): boolean {
  const field = args[key];
  if (field === undefined) return false;
  if (field.type !== 't') throw invalid(key, where, `{unacceptable_type,${FIELD_TYPE_NAMES[field.type]}}`);
  return field.value;
}
