// The arguments of queue.declare: which are known, what they may be, when two declarations mean the same queue. Error texts as
// RabbitMQ words them.

import { FIELD_TYPE_NAMES, type Field, type FieldTable } from '../../wire/amqp091/index.ts';
import { LIMITS } from '../limits.ts';
import { preconditionFailed, resource, wrongNameType, type Refusal } from '../refusal.ts';

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

const INTEGERS = new Set(['b', 'B', 's', 'u', 'I', 'i', 'l']);
const OVERFLOWS: readonly string[] = ['drop-head', 'reject-publish', 'reject-publish-dlx'];
const MODES: readonly string[] = ['default', 'lazy'];
const VERSIONS: readonly number[] = [1, 2];

/** Arguments that one type of queue has and another has not: they are refused, where an unknown one is ignored. */
const STREAMS = ['x-max-age', 'x-stream-max-segment-size-bytes', 'x-initial-cluster-size'];
const FOREIGN: Readonly<Record<QueuePolicy['type'], ReadonlySet<string>>> = {
  classic: new Set([
    ...STREAMS,
    'x-max-in-memory-length',
    'x-max-in-memory-bytes',
    'x-quorum-initial-group-size',
    'x-queue-leader-locator',
    'x-dead-letter-strategy',
  ]),
  quorum: new Set([...STREAMS, 'x-max-priority', 'x-queue-mode', 'x-queue-version']),
};
/** What a quorum queue does unless told otherwise. */
const DELIVERY_LIMIT = 20;

/** Arguments that two declarations of one queue must agree on, in RabbitMQ's order. Others are ignored. */
const COMPARED = [
  'x-expires',
  'x-message-ttl',
  'x-dead-letter-exchange',
  'x-dead-letter-routing-key',
  'x-max-length',
  'x-max-length-bytes',
  'x-max-priority',
  'x-overflow',
  'x-queue-mode',
  'x-queue-version',
  'x-single-active-consumer',
  'x-queue-type',
  'x-delivery-limit',
];

/** Reads and checks the arguments of a queue that is to be made. @throws Refusal 406 */
export function readPolicy(args: FieldTable, name: string, vhost: string): QueuePolicy {
  const where = resource('queue', name, vhost);
  const type = text(args, 'x-queue-type', where) ?? 'classic';
  if (type !== 'classic' && type !== 'quorum') {
    throw invalid('x-queue-type', where, `"unsupported queue type '${type}'"`);
  }
  checkKnown(args, type, where);
  // In the order in which RabbitMQ looks: of two mistakes the same one is told.
  const expiresMs = duration(args, 'x-expires', where, 1);
  const ttlMs = duration(args, 'x-message-ttl', where, 0);
  const deadLetterExchange = deadLetterName(args, where);
  const deadLetterRoutingKey = text(args, 'x-dead-letter-routing-key', where);
  if (deadLetterRoutingKey !== undefined && deadLetterExchange === undefined) {
    throw invalid('x-dead-letter-routing-key', where, 'routing_key_but_no_dlx_defined');
  }
  const maxLength = integer(args, 'x-max-length', where, 0);
  const maxLengthBytes = integer(args, 'x-max-length-bytes', where, 0);
  const maxPriority = priority(args, where);
  const overflow = text(args, 'x-overflow', where) ?? 'drop-head';
  if (!OVERFLOWS.includes(overflow)) throw invalid('x-overflow', where, 'invalid_overflow');
  checkModeAndVersion(args, where);
  const singleActiveConsumer = bool(args, 'x-single-active-consumer', where);
  const limit = integer(args, 'x-delivery-limit', where, 0);
  return {
    type,
    expiresMs,
    ttlMs,
    maxLength,
    maxLengthBytes,
    overflow: overflow as Overflow,
    deadLetterExchange,
    deadLetterRoutingKey,
    maxPriority: maxPriority === 0 ? undefined : maxPriority,
    singleActiveConsumer,
    deliveryLimit: limit ?? (type === 'quorum' ? DELIVERY_LIMIT : undefined),
    consumerTimeoutMs: duration(args, 'x-consumer-timeout', where, 1),
  };
}

/** @throws Refusal 406  an argument is one of another type of queue */
function checkKnown(args: FieldTable, type: QueuePolicy['type'], where: string): void {
  const wrong = Object.keys(args).find((key) => FOREIGN[type].has(key));
  if (wrong === undefined) return;
  throw preconditionFailed(`invalid arg '${wrong}' for ${where} of queue type rabbit_${type}_queue`);
}

function deadLetterName(args: FieldTable, where: string): string | undefined {
  const key = 'x-dead-letter-exchange';
  const field = args[key];
  if (field === undefined) return undefined;
  if (field.type === 'S' && typeof field.value === 'string') return field.value;
  throw preconditionFailed(wrongNameType(key, field, where));
}

function priority(args: FieldTable, where: string): number | undefined {
  const value = integer(args, 'x-max-priority', where, 0);
  if (value !== undefined && value > LIMITS.priorityMax.default) {
    throw invalid('x-max-priority', where, `{max_value_exceeded,${value}}`);
  }
  return value;
}

/** Both make no difference here; what they may be is checked. */
function checkModeAndVersion(args: FieldTable, where: string): void {
  const mode = text(args, 'x-queue-mode', where) ?? 'default';
  if (!MODES.includes(mode)) throw invalid('x-queue-mode', where, `"unsupported queue mode '${mode}'"`);
  const version = integer(args, 'x-queue-version', where, 0) ?? 1;
  if (!VERSIONS.includes(version))
    throw invalid('x-queue-version', where, `"unsupported queue version '${version}'"`);
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
    throw inequivalent(key, where, `received ${quoted(received)} but current is ${quoted(current)}`);
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

/** RabbitMQ takes a value of type void for no value. */
function quoted(field: Field): string {
  return field.type === 'V' ? 'none' : `'${show(field)}'`;
}

function described(field: Field | undefined): string {
  return field === undefined
    ? 'none'
    : `the value '${show(field)}' of type '${FIELD_TYPE_NAMES[field.type]}'`;
}

/** As RabbitMQ prints a value: a text as it is, all else as a term of Erlang. */
function show(field: Field): string {
  return field.type === 'S' && typeof field.value === 'string' ? field.value : term(field);
}

function term({ type, value }: Field): string {
  const of = (field: Field): string => `${FIELD_TYPE_NAMES[field.type]},${term(field)}}`;
  if (type === 'V') return 'undefined';
  if (type === 'A') return `[${value.map((element) => `{${of(element)}`).join()}]`;
  if (type === 'F') {
    return `[${Object.entries(value)
      .map(([name, element]) => `{<<"${name}">>,${of(element)}`)
      .join()}]`;
  }
  if (type === 'D') return `{${value.scale},${value.digits}}`;
  if (type === 'S' || type === 'x')
    return `<<"${typeof value === 'string' ? value : Buffer.from(value).toString('latin1')}">>`;
  return String(value);
}

function invalid(key: string, where: string, why: string): Refusal {
  return preconditionFailed(`invalid arg '${key}' for ${where}: ${why}`);
}

/** An argument that is a whole number, of any sign. @throws Refusal 406 */
export function wholeNumber(args: FieldTable, key: string, where: string): number | undefined {
  const field = args[key];
  if (field === undefined) return undefined;
  if (INTEGERS.has(field.type)) return Number(field.value);
  throw invalid(key, where, `"expected integer, got ${FIELD_TYPE_NAMES[field.type]}"`);
}

function integer(args: FieldTable, key: string, where: string, min: 0 | 1): number | undefined {
  const value = wholeNumber(args, key, where);
  if (value === undefined) return undefined;
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
