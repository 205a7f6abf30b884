// Makes scripts: what clients do, right and wrong, in any order. What is left out because two brokers cannot be alike in it (real
// time, the order of things that race) is said where it is left out.

import * as fc from 'fast-check';
import type { Plain } from '../got.fixture.ts';
import type { Step } from './step.fixture.ts';

const QUEUES = ['q0', 'q1', 'q2'] as const;
const EXCHANGES = ['e0', 'e1', 'e2'] as const;
const KEYS = ['', 'a', 'a.b', 'a.b.c', 'q0', '*', '#', 'a.*', '#.b', '*.b.#'] as const;
const TYPES = ['direct', 'fanout', 'topic', 'headers'] as const;

const queue = fc.constantFrom(...QUEUES);
const exchange = fc.constantFrom(...EXCHANGES);
const key = fc.constantFrom(...KEYS);
const flag = fc.boolean();
const seldom = fc.integer({ min: 0, max: 9 }).map((n) => n === 0);
const anyQueue = fc.oneof({ weight: 12, arbitrary: queue }, fc.constantFrom('', 'q3', 'amq.mine', 'q0\r\n'));
const anyExchange = fc.oneof(
  { weight: 8, arbitrary: exchange },
  {
    weight: 3,
    arbitrary: fc.constantFrom('amq.direct', 'amq.fanout', 'amq.topic', 'amq.headers', 'amq.match'),
  },
  fc.constantFrom('', 'amq.rabbitmq.trace', 'amq.mine', 'e3'),
);

/** A number as any of the types that a table has for it. */
const integer = (...values: number[]): fc.Arbitrary<Plain> =>
  fc.record({ type: fc.constantFrom('b', 's', 'I', 'l'), value: fc.constantFrom(...values) });
/** What is wrong wherever a number or a text is expected. */
const wrong = fc.constantFrom<unknown>(true, 'x', -1, 0, { type: 'd', value: 1.5 }, null, [1], { a: 1 });

/** Arguments of a queue. A ttl is 0 or longer than any script: what happens in between depends on the clock. */
const queueArgument = fc.oneof(
  integer(0, 100_000_000).map((value) => ({ 'x-message-ttl': { ...value, type: 'I' } })),
  integer(0, 1, 2, 3).map((value) => ({ 'x-max-length': value })),
  integer(0, 1, 5).map((value) => ({ 'x-max-length-bytes': value })),
  fc
    .constantFrom('drop-head', 'reject-publish', 'reject-publish-dlx', 'x')
    .map((value) => ({ 'x-overflow': value })),
  fc.constantFrom<Plain>(
    { 'x-dead-letter-exchange': '' },
    { 'x-dead-letter-exchange': 'e0' },
    { 'x-dead-letter-exchange': 'e1' },
  ),
  fc
    .tuple(exchange, key)
    .map(([to, by]) => ({ 'x-dead-letter-exchange': to, 'x-dead-letter-routing-key': by })),
  queue.map((to) => ({ 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': to })),
  integer(0, 1, 3, 10).map((value) => ({ 'x-max-priority': value })),
  flag.map((value) => ({ 'x-single-active-consumer': value })),
  fc.constantFrom<Plain>(
    { 'x-queue-mode': 'lazy' },
    { 'x-queue-mode': 'default' },
    { 'x-queue-type': 'classic' },
  ),
  fc.constant({ 'x-mine': 1 }),
  fc.constant({ 'x-expires': 100_000_000 }),
);
const BAD_ARGUMENTS = [
  'x-message-ttl',
  'x-expires',
  'x-max-length',
  'x-max-length-bytes',
  'x-overflow',
  'x-dead-letter-exchange',
  'x-dead-letter-routing-key',
  'x-max-priority',
  'x-single-active-consumer',
  'x-queue-mode',
  'x-queue-type',
  'x-queue-version',
];
const queueArguments = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Plain>({}) },
  { weight: 6, arbitrary: queueArgument },
  {
    weight: 3,
    arbitrary: fc.tuple(queueArgument, queueArgument).map(([a, b]): Plain => ({ ...a, ...b })),
  },
  fc.tuple(fc.constantFrom(...BAD_ARGUMENTS), wrong).map(([name, value]): Plain => ({ [name]: value })),
);
const headers = fc.constantFrom<Plain>(
  {},
  { a: 1 },
  { a: 1, b: 'x' },
  { b: 'x' },
  { a: 2 },
  { 'x-c': 1, a: 1 },
  { a: '1' },
);
const bindArguments = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Plain>({}) },
  fc
    .tuple(headers, fc.constantFrom('all', 'any', 'all-with-x', 'any-with-x'))
    .map(([table, match]): Plain => ({ ...table, 'x-match': match })),
  headers,
  fc.constantFrom<Plain>({ 'x-match': 'zap' }, { 'x-match': 5 }, { 'x-match': true }),
);

type Call = fc.Arbitrary<Step>;
const call = (method: string, args: fc.Arbitrary<Plain>): Call =>
  args.map((one) => ({ do: 'call', method, args: one }));

/** Asking for no answer: errors come all the same. */
const nowait = { nowait: seldom };

const declareQueue = call(
  'queue.declare',
  fc
    .record({
      queue: anyQueue,
      passive: seldom,
      durable: seldom,
      exclusive: seldom,
      autoDelete: seldom,
      ...nowait,
      args: queueArguments,
    })
    // A wrong type of a queue that the broker is to name is an intended difference.
    .filter(({ queue: name, args }) => name !== '' || !('x-queue-type' in args)),
);
const declareExchange = call(
  'exchange.declare',
  fc.record({
    exchange: anyExchange,
    type: fc.constantFrom(...TYPES),
    passive: seldom,
    durable: flag,
    autoDelete: seldom,
    internal: seldom,
    ...nowait,
    args: fc.oneof(
      { weight: 4, arbitrary: fc.constant<Plain>({}) },
      anyExchange.map((name): Plain => ({ 'alternate-exchange': name })),
      fc.constantFrom<Plain>({ 'alternate-exchange': 1 }, { 'x-mine': 1 }),
    ),
  }),
);
const bound = { queue: anyQueue, exchange: anyExchange, routingKey: key, args: bindArguments };
const joined = { source: anyExchange, destination: anyExchange, routingKey: key, args: bindArguments };

const publish = fc
  .record({
    to: fc.oneof(
      { weight: 5, arbitrary: queue.map((name) => ({ exchange: '', routingKey: name as string })) },
      { weight: 5, arbitrary: fc.record({ exchange: anyExchange, routingKey: key }) },
    ),
    mandatory: seldom,
    immediate: fc.integer({ min: 0, max: 99 }).map((n) => n === 0),
    body: fc.oneof(
      { weight: 8, arbitrary: fc.constant(undefined) },
      fc.constant(''),
      fc.constant('long '.repeat(40)),
    ),
    properties: fc.oneof(
      { weight: 6, arbitrary: fc.constant({}) },
      fc.integer({ min: 0, max: 12 }).map((priority) => ({ priority })),
      fc.constantFrom(
        { expiration: '0' },
        { expiration: '99999999' },
        { expiration: 'x' },
        { expiration: '-1' },
        { expiration: '1.5' },
        { expiration: '' },
      ),
      fc.constantFrom({ deliveryMode: 1 }, { deliveryMode: 2 }),
      fc.constantFrom({ userId: 'guest' }, { userId: 'somebody' }),
      fc.constant({
        contentType: 'a/b',
        messageId: '1',
        timestamp: 5,
        correlationId: 'c',
        appId: 'd',
        type: 't',
      }),
    ),
    headers: fc.oneof(
      { weight: 3, arbitrary: fc.constant(undefined) },
      headers,
      fc.constantFrom<Plain>(
        { CC: ['q0', 'a'] },
        { BCC: ['q1'] },
        { CC: 'q0' },
        { CC: ['q1'], BCC: ['q2'], a: 1 },
      ),
    ),
  })
  .map(
    ({ to, mandatory, immediate, body, properties, headers: table }): Step => ({
      do: 'publish',
      args: { ...to, mandatory, immediate },
      properties,
      ...(body === undefined ? {} : { body }),
      ...(table === undefined ? {} : { headers: table }),
    }),
  );

const consume = call(
  'basic.consume',
  fc.record({
    queue: anyQueue,
    consumerTag: fc.constantFrom('t0', 't1', 't2', 't3'),
    noAck: seldom,
    exclusive: seldom,
    ...nowait,
    args: fc.oneof(
      { weight: 4, arbitrary: fc.constant<Plain>({}) },
      fc.integer({ min: -2, max: 2 }).map((value): Plain => ({ 'x-priority': value })),
      wrong.map((value): Plain => ({ 'x-priority': value })),
    ),
  }),
);
const settle = fc
  .record({
    method: fc.constantFrom('basic.ack', 'basic.nack', 'basic.reject'),
    which: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(0, 0, 0, 1, 2) }, fc.constant(40)),
    multiple: seldom,
    requeue: flag,
  })
  .map((one): Step => ({ do: 'settle', ...one, multiple: one.multiple && one.method !== 'basic.reject' }));

/** What ends a channel or a connection, or asks for what is not there. */
const misuse = fc.oneof(
  call('channel.open', fc.constant({})),
  call('channel.flow', fc.record({ active: flag })),
  call('basic.qos', fc.constant({ prefetchSize: 1 })),
  call('basic.recover', fc.constant({ requeue: false })),
  call('tx.commit', fc.constant({})),
  call('tx.rollback', fc.constant({})),
  call('basic.ack', fc.constant({ deliveryTag: 0 })),
  call('basic.ack', fc.constant({ deliveryTag: 0, multiple: true })),
  call('basic.nack', fc.constant({ deliveryTag: 0, multiple: true })),
  call(
    'exchange.delete',
    fc.record({ exchange: fc.constantFrom('', 'amq.direct', 'amq.rabbitmq.trace', 'amq.mine') }),
  ),
  call('queue.declare', fc.constant({ queue: 'amq.rabbitmq.reply-to', passive: true })),
);

const calls = fc.oneof(
  { weight: 8, arbitrary: declareQueue },
  { weight: 5, arbitrary: declareExchange },
  { weight: 6, arbitrary: call('queue.bind', fc.record({ ...bound, ...nowait })) },
  { weight: 2, arbitrary: call('queue.unbind', fc.record(bound)) },
  { weight: 2, arbitrary: call('exchange.bind', fc.record({ ...joined, ...nowait })) },
  { weight: 1, arbitrary: call('exchange.unbind', fc.record({ ...joined, ...nowait })) },
  { weight: 20, arbitrary: publish },
  { weight: 7, arbitrary: consume },
  { weight: 12, arbitrary: settle },
  { weight: 5, arbitrary: call('basic.get', fc.record({ queue: anyQueue, noAck: seldom })) },
  {
    weight: 3,
    arbitrary: call('basic.cancel', fc.record({ consumerTag: fc.constantFrom('t0', 't1', 't2'), ...nowait })),
  },
  { weight: 2, arbitrary: call('basic.qos', fc.record({ prefetchCount: fc.constantFrom(0, 1, 2) })) },
  { weight: 1, arbitrary: call('queue.purge', fc.record({ queue: anyQueue, ...nowait })) },
  {
    weight: 2,
    arbitrary: call(
      'queue.delete',
      fc.record({ queue: anyQueue, ifUnused: seldom, ifEmpty: seldom, ...nowait }),
    ),
  },
  {
    weight: 1,
    arbitrary: call('exchange.delete', fc.record({ exchange: anyExchange, ifUnused: flag, ...nowait })),
  },
  { weight: 1, arbitrary: call('confirm.select', fc.constant({})) },
  { weight: 1, arbitrary: call('tx.select', fc.constant({})) },
  { weight: 1, arbitrary: call('tx.commit', fc.constant({})) },
  { weight: 1, arbitrary: call('tx.rollback', fc.constant({})) },
  { weight: 1, arbitrary: call('basic.recover', fc.constant({ requeue: true })) },
  { weight: 1, arbitrary: call('channel.close', fc.constant({})) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'close connection' }) },
  { weight: 1, arbitrary: misuse },
);

/** A step somewhere: mostly on the first connection's first channel. */
const step: fc.Arbitrary<Step> = fc
  .tuple(calls, fc.constantFrom(0, 0, 0, 0, 1), fc.constantFrom(1, 1, 1, 1, 2))
  .map(([one, on, channel]) => ({ ...one, on, channel }));

/** A script. */
export const scripts: fc.Arbitrary<Step[]> = fc.array(step, { minLength: 4, maxLength: 30, size: 'max' });
