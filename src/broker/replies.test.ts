// The replies that clients depend on, by code, text, class and method: what RabbitMQ answers.

import { describe, expect, test } from 'vitest';
import { refusal, type Got } from './got.fixture.ts';
import { Lab, type Peer } from './peer.fixture.ts';

/** What a fresh channel is told after `setup`, for one call. */
function told(act: (peer: Peer, lab: Lab) => Got[]): string | undefined {
  const lab = new Lab();
  const peer = lab.connect();
  const got = act(peer, lab);
  expect(lab.failures).toEqual([]);
  return refusal(got);
}

describe('what is missing', () => {
  const noQueue = "channel 404 NOT_FOUND - no queue 'x' in vhost '/'";
  const noExchange = "channel 404 NOT_FOUND - no exchange 'x' in vhost '/'";

  test.each([
    ['passive declare of a queue', 'queue.declare', { queue: 'x', passive: true }, noQueue],
    ['consume', 'basic.consume', { queue: 'x' }, noQueue],
    ['get', 'basic.get', { queue: 'x' }, noQueue],
    ['purge', 'queue.purge', { queue: 'x' }, noQueue],
    ['bind of a queue', 'queue.bind', { queue: 'x', exchange: 'amq.direct' }, noQueue],
    ['passive declare of an exchange', 'exchange.declare', { exchange: 'x', passive: true }, noExchange],
    ['bind of exchanges that both miss', 'exchange.bind', { source: 'x', destination: 'y' }, noExchange],
  ])('%s', (_case, method, args, expected) => {
    expect(told((peer) => peer.call(method, args))).toBe(expected);
  });

  test('a publish to a missing exchange names class and method', () => {
    const got = new Lab().connect().publish({ exchange: 'x', routingKey: 'k' }, 'body');
    expect(refusal(got)).toBe(noExchange);
    expect(got[0]?.args).toMatchObject({ classId: 60, methodId: 40 });
  });

  test.each([
    ['queue.delete', { queue: 'x' }, { name: 'queue.delete-ok', args: { messageCount: 0 } }],
    ['exchange.delete', { exchange: 'x' }, { name: 'exchange.delete-ok' }],
    ['queue.unbind', { queue: 'x', exchange: 'y' }, { name: 'queue.unbind-ok' }],
    ['exchange.unbind', { source: 'x', destination: 'y' }, { name: 'exchange.unbind-ok' }],
    ['basic.cancel', { consumerTag: 'x' }, { name: 'basic.cancel-ok', args: { consumerTag: 'x' } }],
  ])('%s of what is not there is done', (method, args, expected) => {
    expect(new Lab().connect().call(method, args)).toMatchObject([expected]);
  });

  test('an ack of all when nothing waits is done', () => {
    expect(new Lab().connect().call('basic.ack', { deliveryTag: 0, multiple: true })).toEqual([]);
  });

  test('an empty name means the queue declared last, and an empty key then its name', () => {
    expect(told((peer) => peer.call('queue.bind', { exchange: 'amq.direct' }))).toBe(
      'channel 404 NOT_FOUND - no previously declared queue',
    );
    const peer = new Lab().connect();
    peer.queue('last');
    peer.call('queue.bind', { exchange: 'amq.direct' });
    peer.publish({ exchange: 'amq.direct', routingKey: 'last' }, 'here');
    expect(peer.call('basic.get', { queue: 'last' })).toMatchObject([{ name: 'basic.get-ok', body: 'here' }]);
  });
});

describe('declared otherwise', () => {
  test.each([
    [
      { durable: true },
      {},
      "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'true' but current is 'false'",
    ],
    [
      { autoDelete: true },
      {},
      "inequivalent arg 'auto_delete' for queue 'q' in vhost '/': received 'true' but current is 'false'",
    ],
    [
      { args: { 'x-max-length': { type: 'b', value: 5 } } },
      {},
      "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received the value '5' of type 'byte' but current is none",
    ],
    [
      {},
      { args: { 'x-message-ttl': { type: 's', value: 1000 } } },
      "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received none but current is the value '1000' of type 'short'",
    ],
    [
      { args: { 'x-message-ttl': { type: 's', value: 2000 } } },
      { args: { 'x-message-ttl': { type: 's', value: 1000 } } },
      "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received '2000' but current is '1000'",
    ],
  ])('a queue as %o that is %o', (second, first, text) => {
    expect(
      told((peer) => {
        peer.queue('q', {}, first);
        return peer.queue('q', {}, second);
      }),
    ).toBe(`channel 406 PRECONDITION_FAILED - ${text}`);
  });

  test('numbers of other types, unknown arguments and classic said or unsaid make no difference', () => {
    const peer = new Lab().connect();
    peer.queue('q', { 'x-max-length': { type: 'b', value: 5 } });
    const again = { 'x-max-length': { type: 'l', value: 5 }, 'x-mine': 1, 'x-queue-type': 'classic' };
    expect(peer.queue('q', again)).toMatchObject([{ name: 'queue.declare-ok' }]);
  });

  test.each([
    [{ type: 'fanout' }, "'type' for exchange 'e' in vhost '/': received 'fanout' but current is 'direct'"],
    [{ durable: true }, "'durable' for exchange 'e' in vhost '/': received 'true' but current is 'false'"],
    [{ internal: true }, "'internal' for exchange 'e' in vhost '/': received 'true' but current is 'false'"],
  ])('an exchange as %o', (args, text) => {
    expect(
      told((peer) => {
        peer.call('exchange.declare', { exchange: 'e' });
        return peer.call('exchange.declare', { exchange: 'e', ...args });
      }),
    ).toBe(`channel 406 PRECONDITION_FAILED - inequivalent arg ${text}`);
  });

  test.each([
    [
      { 'x-message-ttl': 'soon' },
      `'x-message-ttl' for queue 'q' in vhost '/': "expected integer, got longstr"`,
    ],
    [{ 'x-message-ttl': -1 }, "'x-message-ttl' for queue 'q' in vhost '/': {value_negative,-1}"],
    [{ 'x-expires': 0 }, "'x-expires' for queue 'q' in vhost '/': {value_zero,0}"],
    [{ 'x-overflow': 'explode' }, "'x-overflow' for queue 'q' in vhost '/': invalid_overflow"],
    [{ 'x-max-priority': 300 }, "'x-max-priority' for queue 'q' in vhost '/': {max_value_exceeded,300}"],
    [
      { 'x-dead-letter-routing-key': 'k' },
      "'x-dead-letter-routing-key' for queue 'q' in vhost '/': routing_key_but_no_dlx_defined",
    ],
    [{ 'x-queue-type': 'zap' }, `'x-queue-type' for queue 'q' in vhost '/': "unsupported queue type 'zap'"`],
  ])('arguments %o', (args, text) => {
    expect(told((peer) => peer.queue('q', args))).toBe(
      `channel 406 PRECONDITION_FAILED - invalid arg ${text}`,
    );
  });

  test('a quorum queue is durable and nobody has it for itself', () => {
    const args = { 'x-queue-type': 'quorum' };
    expect(told((peer) => peer.queue('q', args))).toContain(
      "406 PRECONDITION_FAILED - invalid property 'non-durable' for queue 'q'",
    );
    expect(told((peer) => peer.queue('q', args, { durable: true, exclusive: true }))).toContain(
      "invalid property 'exclusive-owner'",
    );
    expect(new Lab().connect().queue('q', args, { durable: true })).toMatchObject([
      { name: 'queue.declare-ok' },
    ]);
  });
});

describe('names', () => {
  test.each([
    ['queue.declare', { queue: 'amq.foo' }, "queue name 'amq.foo' contains reserved prefix 'amq.*'"],
    ['exchange.declare', { exchange: 'amq.foo' }, "exchange name 'amq.foo' contains reserved prefix 'amq.*'"],
    ['exchange.declare', { exchange: '' }, 'operation not permitted on the default exchange'],
    ['exchange.delete', { exchange: '' }, 'operation not permitted on the default exchange'],
    ['queue.bind', { queue: 'q', exchange: '' }, 'operation not permitted on the default exchange'],
    ['queue.unbind', { queue: 'q', exchange: '' }, 'operation not permitted on the default exchange'],
    [
      'exchange.delete',
      { exchange: 'amq.direct' },
      "deletion of system exchange 'amq.direct' in vhost '/' not allowed",
    ],
  ])('%s %o', (method, args, text) => {
    expect(told((peer) => peer.call(method, args))).toBe(`channel 403 ACCESS_REFUSED - ${text}`);
  });

  test('line ends are taken out, and amq.direct may be declared as it is', () => {
    const peer = new Lab().connect();
    expect(peer.queue('a\r\nb')).toMatchObject([{ args: { queue: 'ab' } }]);
    expect(peer.call('exchange.declare', { exchange: 'amq.direct', durable: true })).toMatchObject([
      { name: 'exchange.declare-ok' },
    ]);
    expect(peer.queue('')[0]?.args['queue']).toMatch(/^amq\.gen-.{22}$/);
  });

  test('an unknown type of exchange ends the channel only', () => {
    expect(told((peer) => peer.call('exchange.declare', { exchange: 'e', type: 'zap' }))).toBe(
      "channel 406 PRECONDITION_FAILED - unknown exchange type 'zap'",
    );
  });
});

describe('who may', () => {
  const locked =
    "channel 405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'mine' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.";

  test.each(['queue.declare', 'basic.consume', 'basic.get', 'queue.delete', 'queue.purge'])(
    '%s of another connection’s own queue',
    (method) => {
      const lab = new Lab();
      lab.connect().queue('mine', {}, { exclusive: true });
      expect(refusal(lab.connect().call(method, { queue: 'mine' }))).toBe(locked);
    },
  );

  test('exclusive and not are two different queues', () => {
    expect(
      told((peer) => {
        peer.queue('mine');
        return peer.queue('mine', {}, { exclusive: true });
      }),
    ).toBe(locked);
  });

  test.each([
    ['queue.declare', { queue: 'q' }, "configure access to queue 'q' in vhost '/'"],
    ['basic.get', { queue: 'q' }, "read access to queue 'q' in vhost '/'"],
    ['exchange.declare', { exchange: 'e' }, "configure access to exchange 'e' in vhost '/'"],
  ])('%s without permission', (method, args, text) => {
    const lab = new Lab();
    lab.addUser('small');
    lab.core.users.allow('small', '/', { configure: '', write: '^ok$', read: '' });
    const got = lab.connect({ user: 'small' }).call(method, args);
    expect(refusal(got)).toBe(`channel 403 ACCESS_REFUSED - ${text} refused for user 'small'`);
  });

  test('a publish without permission, also when it was there a moment ago', () => {
    const lab = new Lab();
    lab.addUser('small');
    const peer = lab.connect({ user: 'small' });
    expect(peer.publish({ exchange: 'amq.direct', routingKey: 'k' }, 'x')).toEqual([]);
    lab.core.users.allow('small', '/', { configure: '', write: '', read: '' });
    expect(refusal(peer.publish({ exchange: 'amq.direct', routingKey: 'k' }, 'x'))).toBe(
      "channel 403 ACCESS_REFUSED - write access to exchange 'amq.direct' in vhost '/' refused for user 'small'",
    );
  });

  test('only an impersonator may claim to be somebody else', () => {
    const lab = new Lab();
    lab.addUser('actor', ['impersonator']);
    const args = { exchange: 'amq.direct' };
    expect(lab.connect({ user: 'actor' }).publish(args, '', { userId: 'm' })).toEqual([]);
    expect(lab.connect().publish(args, '', { userId: 'guest' })).toEqual([]);
    expect(refusal(lab.connect().publish(args, '', { userId: 'm' }))).toBe(
      "channel 406 PRECONDITION_FAILED - user_id property set to 'm' but authenticated user was 'guest'",
    );
  });

  test('an exclusive consumer has the queue for itself', () => {
    const text = "channel 403 ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use";
    for (const [first, second] of [
      [true, false],
      [false, true],
    ]) {
      expect(
        told((peer) => {
          peer.queue('q');
          peer.call('basic.consume', { queue: 'q', exclusive: first });
          return peer.call('basic.consume', { queue: 'q', exclusive: second });
        }),
      ).toBe(text);
    }
  });
});

describe('misuse', () => {
  test.each([
    ['basic.ack', { deliveryTag: 42 }],
    ['basic.nack', { deliveryTag: 42 }],
    ['basic.reject', { deliveryTag: 42 }],
  ])('%s of an unknown tag', (method, args) => {
    expect(told((peer) => peer.call(method, args))).toBe(
      'channel 406 PRECONDITION_FAILED - unknown delivery tag 42',
    );
  });

  test('a tag is settled once, and tag 0 alone is none', () => {
    const peer = new Lab().connect();
    peer.queue('q');
    peer.publish({ routingKey: 'q' }, 'x');
    peer.call('basic.get', { queue: 'q' });
    expect(peer.call('basic.ack', { deliveryTag: 1 })).toEqual([]);
    expect(refusal(peer.call('basic.ack', { deliveryTag: 1 }))).toContain('unknown delivery tag 1');
    expect(told((other) => other.call('basic.ack', { deliveryTag: 0 }))).toContain('unknown delivery tag 0');
  });

  test('delete if empty and if unused', () => {
    expect(
      told((peer) => {
        peer.queue('q');
        peer.publish({ routingKey: 'q' }, 'x');
        return peer.call('queue.delete', { queue: 'q', ifEmpty: true });
      }),
    ).toBe("channel 406 PRECONDITION_FAILED - queue 'q' in vhost '/' not empty");
    expect(
      told((peer) => {
        peer.queue('q');
        peer.call('basic.consume', { queue: 'q' });
        return peer.call('queue.delete', { queue: 'q', ifUnused: true });
      }),
    ).toBe("channel 406 PRECONDITION_FAILED - queue 'q' in vhost '/' in use");
    expect(
      told((peer) => {
        peer.queue('q');
        peer.call('exchange.declare', { exchange: 'e' });
        peer.call('queue.bind', { queue: 'q', exchange: 'e' });
        return peer.call('exchange.delete', { exchange: 'e', ifUnused: true });
      }),
    ).toBe("channel 406 PRECONDITION_FAILED - exchange 'e' in vhost '/' in use");
  });

  test('a consumer tag used twice ends the connection', () => {
    expect(
      told((peer) => {
        peer.queue('q');
        peer.call('basic.consume', { queue: 'q', consumerTag: 't' });
        return peer.call('basic.consume', { queue: 'q', consumerTag: 't' });
      }),
    ).toBe("connection 530 NOT_ALLOWED - attempt to reuse consumer tag 't'");
  });

  test('what a message’s properties say wrongly', () => {
    expect(told((peer) => peer.publish({}, '', { expiration: 'abc' }))).toBe(
      "channel 406 PRECONDITION_FAILED - invalid expiration 'abc': no_integer",
    );
    expect(
      told((peer) => {
        peer.call('exchange.declare', { exchange: 'e', internal: true });
        return peer.publish({ exchange: 'e' }, '');
      }),
    ).toBe("channel 403 ACCESS_REFUSED - cannot publish to internal exchange 'e' in vhost '/'");
    const small = new Lab({ limits: { messageBytesMax: 10 } });
    expect(refusal(small.connect().publish({}, 'eleven bytes'))).toBe(
      'channel 406 PRECONDITION_FAILED - message size 12 is larger than configured max size 10',
    );
  });

  test.each([
    ['basic.publish', { immediate: true }, 'immediate=true'],
    ['basic.qos', { prefetchSize: 1 }, 'prefetch_size!=0 (1)'],
    ['channel.flow', { active: false }, 'active=false'],
    ['basic.recover', { requeue: false }, 'requeue=false'],
  ])('%s %o is not implemented', (method, args, text) => {
    expect(told((peer) => peer.call(method, args))).toBe(`connection 540 NOT_IMPLEMENTED - ${text}`);
  });

  test('modes exclude each other', () => {
    const precondition = 'channel 406 PRECONDITION_FAILED - ';
    expect(
      told((peer) => {
        peer.call('confirm.select');
        return peer.call('tx.select');
      }),
    ).toBe(`${precondition}cannot switch from confirm to tx mode`);
    expect(
      told((peer) => {
        peer.call('tx.select');
        return peer.call('confirm.select');
      }),
    ).toBe(`${precondition}cannot switch from tx to confirm mode`);
    expect(told((peer) => peer.call('tx.commit'))).toBe(`${precondition}channel is not transactional`);
    expect(told((peer) => peer.call('tx.rollback'))).toBe(`${precondition}channel is not transactional`);
  });

  test('direct reply-to', () => {
    const queue = 'amq.rabbitmq.reply-to';
    const precondition = 'channel 406 PRECONDITION_FAILED - ';
    expect(told((peer) => peer.publish({}, '', { replyTo: queue }))).toBe(
      `${precondition}fast reply consumer does not exist`,
    );
    expect(told((peer) => peer.call('basic.consume', { queue }))).toBe(
      `${precondition}reply consumer cannot acknowledge`,
    );
    expect(
      told((peer) => {
        peer.call('basic.consume', { queue, noAck: true });
        return peer.call('basic.consume', { queue, noAck: true });
      }),
    ).toBe(`${precondition}reply consumer already set`);
    expect(new Lab().connect().queue(queue, {}, { passive: true })).toMatchObject([
      { args: { messageCount: 0, consumerCount: 1 } },
    ]);
  });

  test('bindings of a headers exchange', () => {
    const bind = (value: unknown): string | undefined =>
      told((peer) => {
        peer.queue('q');
        return peer.call('queue.bind', { queue: 'q', exchange: 'amq.headers', args: { 'x-match': value } });
      });
    expect(bind('zap')).toBe(
      'channel 406 PRECONDITION_FAILED - Invalid x-match field value <<"zap">>; expected all, any, all-with-x, or any-with-x',
    );
    expect(bind({ type: 'b', value: 5 })).toBe(
      'channel 406 PRECONDITION_FAILED - Invalid x-match field type byte (value 5); expected longstr',
    );
  });
});
