// The table of limits: every value in its bounds, wrong ones refused, and what a peer is told that reaches one.

import { describe, expect, test } from 'vitest';
import { socketBudget } from './edge/descriptors.ts';
import { LIMITS, limitsOf, type LimitName } from './limits.ts';
import { bench } from './bench.fixture.ts';
import { refusal } from './got.fixture.ts';
import { Lab } from './peer.fixture.ts';

const names = Object.keys(LIMITS) as LimitName[];

describe('the table', () => {
  test.each(names)('%s', (name) => {
    const { default: usual, min = 1, max, reason } = LIMITS[name];
    expect(usual).toBeGreaterThanOrEqual(min);
    expect(usual).toBeLessThanOrEqual(max);
    expect(reason.length).toBeGreaterThan(10);
    expect(limitsOf()[name]).toBe(usual);
    expect(limitsOf({ [name]: max })[name]).toBe(max);
    for (const wrong of [min - 1, max + 1, Number.NaN, 1.5, '7' as unknown as number]) {
      expect(() => limitsOf({ [name]: wrong })).toThrow(
        expect.objectContaining({ code: 'NARU_INVALID_ARGUMENT', message: expect.stringContaining(name) }),
      );
    }
  });

  test('a limit that does not exist is named', () => {
    expect(() => limitsOf({ conectionsMax: 5 } as never)).toThrow("there is no limit 'conectionsMax'");
  });
});

describe('who reaches a limit is told', () => {
  const many = 'x'.repeat(255);
  test.each<[string, Partial<Record<LimitName, number>>, (lab: Lab) => string | undefined]>([
    [
      'channel 406 PRECONDITION_FAILED - the channel has 1 consumers, that is the limit',
      { consumersPerChannelMax: 1 },
      (lab) => {
        const peer = lab.connect();
        peer.queue('q');
        peer.call('basic.consume', { queue: 'q' });
        return refusal(peer.call('basic.consume', { queue: 'q' }));
      },
    ],
    [
      "channel 406 PRECONDITION_FAILED - cannot have more queues in vhost '/': the limit of 1 is reached",
      { queuesPerVhostMax: 1 },
      (lab) => {
        const peer = lab.connect();
        peer.queue('q');
        return refusal(peer.queue('q2'));
      },
    ],
    [
      "channel 406 PRECONDITION_FAILED - cannot have more exchanges in vhost '/': the limit of 7 is reached",
      { exchangesPerVhostMax: 7 },
      (lab) => refusal(lab.connect().call('exchange.declare', { exchange: 'e', type: 'fanout' })),
    ],
    [
      "channel 406 PRECONDITION_FAILED - cannot have more bindings in vhost '/': the limit of 1 is reached",
      { bindingsPerVhostMax: 1 },
      (lab) => {
        const peer = lab.connect();
        peer.queue('q');
        peer.call('queue.bind', { queue: 'q', exchange: 'amq.direct', routingKey: 'a' });
        return refusal(peer.call('queue.bind', { queue: 'q', exchange: 'amq.direct', routingKey: 'b' }));
      },
    ],
    [
      'channel 406 PRECONDITION_FAILED - a transaction of more than 1 messages',
      { txMessagesMax: 1 },
      (lab) => {
        const peer = lab.connect();
        peer.call('tx.select');
        peer.publish({ routingKey: 'q' });
        return refusal(peer.publish({ routingKey: 'q' }));
      },
    ],
    [
      'channel 406 PRECONDITION_FAILED - message size 11 is larger than configured max size 10',
      { messageBytesMax: 10 },
      (lab) => refusal(lab.connect().publish({ routingKey: 'q' }, 'x'.repeat(11))),
    ],
    [
      'channel 406 PRECONDITION_FAILED - routing key pattern of 129 words is longer than 128 words',
      {},
      (lab) => {
        const peer = lab.connect();
        peer.queue('q');
        const bind = { queue: 'q', exchange: 'amq.topic', routingKey: `${'.'.repeat(128)}a` };
        return refusal(peer.call('queue.bind', bind));
      },
    ],
    [
      'connection 530 NOT_ALLOWED - negotiated frame_max = 8192 is higher than the maximum allowed value (4096)',
      { frameBytesMax: 4096 },
      (lab) => {
        const peer = lab.stranger();
        peer.shakeHands({ frameMax: 8192 });
        return refusal(peer.take());
      },
    ],
    [
      'connection 530 NOT_ALLOWED - number of channels opened (1) has reached the negotiated channel_max (1)',
      { channelsMax: 1 },
      (lab) => {
        const peer = lab.connect({ channelMax: 1 });
        return refusal(peer.call('channel.open', {}, 2));
      },
    ],
    [
      `connection 501 FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,4097,4088}`,
      { frameBytesMax: 4096 },
      (lab) => {
        const peer = lab.connect({ frameMax: 4096 });
        peer.rawFrame(1, 1, Buffer.alloc(4097));
        return refusal(peer.take());
      },
    ],
    [
      'connection 501 FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,8185,131064}',
      {},
      (lab) => {
        const peer = lab.stranger();
        peer.bytes(Buffer.from('AMQP\0\0\x09\x01'));
        peer.rawFrame(1, 0, Buffer.alloc(8185));
        return refusal(peer.take());
      },
    ],
    [
      "channel 406 PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue 'q' in vhost '/': {max_value_exceeded,256}",
      {},
      (lab) => refusal(lab.connect().queue('q', { 'x-max-priority': 256 })),
    ],
    [
      `channel 406 PRECONDITION_FAILED - invalid expiration '3153600000001': {value_too_large,3153600000001}`,
      {},
      (lab) => refusal(lab.connect().publish({ routingKey: many }, '', { expiration: '3153600000001' })),
    ],
  ])('%s', (expected, limits, reach) => {
    expect(reach(new Lab({ limits }))).toBe(expected);
  });

  test('virtual hosts and users', () => {
    const { core } = new Lab({ limits: { vhostsMax: 1, usersMax: 1 } });
    expect(() => core.addVhost('b')).toThrow("vhost 'b' cannot be added: the limit of 1 is reached");
    expect(() => core.users.put({ name: 'b', passwordHash: '', tags: [] })).toThrow(
      "user 'b' cannot be added: the limit of 1 is reached",
    );
    core.users.put({ name: 'guest', passwordHash: '', tags: [] });
  });

  test('a dead-letter routing key that no frame can hold costs that message and nothing else', () => {
    const { peer, put, get } = bench();
    peer.queue('dead');
    peer.queue('q', {
      'x-dead-letter-exchange': 'amq.fanout',
      'x-dead-letter-routing-key': 'k'.repeat(300),
      'x-max-length': 1,
    });
    peer.call('queue.bind', { queue: 'dead', exchange: 'amq.fanout' });
    put('q', 'a', 'b');
    expect(get('q')?.body).toBe('b');
    expect(get('dead')).toBeUndefined();
  });
});

describe('descriptors', () => {
  const limits = limitsOf();
  test('enough: the limits are what counts', () => {
    expect(socketBudget(limits, 20_000)).toMatchObject({ connections: 10_000, handshakes: 1000, http: 256 });
    expect(socketBudget(limits, 20_000).narrowedBy).toBeUndefined();
  });

  test.each([40, 64, 1024, 9000])('%i: all sockets together leave the reserve alone', (descriptors) => {
    const { connections, handshakes, http, narrowedBy } = socketBudget(limits, descriptors);
    expect(connections + handshakes + http).toBeLessThanOrEqual(descriptors - limits.descriptorsReserved);
    expect(Math.min(connections, handshakes, http)).toBeGreaterThan(0);
    expect(narrowedBy).toBe(descriptors);
  });
});
