// Policies: which one counts, what it sets beside a queue's own arguments, and that queues follow it at once. And the time in which
// what was given must be settled, which a policy may set.

import { describe, expect, test } from 'vitest';
import { bench, drain } from './bench.fixture.ts';
import { exportDefinitions, importDefinitions } from './definitions.ts';
import { refusal } from './got.fixture.ts';
import { Lab } from './peer.fixture.ts';
import type { Policy } from './policies.ts';

function policy(definition: Policy['definition'], more: Partial<Policy> = {}): Policy {
  return { name: 'p', pattern: '.*', applyTo: 'all', priority: 0, definition, ...more };
}

describe('which policy counts', () => {
  test('the one with the highest priority whose pattern and kind fit; without it the next', () => {
    const { lab, peer } = bench();
    const place = lab.core.addVhost('/');
    place.putPolicy(policy({ 'max-length': 1 }, { name: 'low' }));
    place.putPolicy(policy({ 'max-length': 2 }, { name: 'high', priority: 5, pattern: '^q' }));
    place.putPolicy(policy({ 'max-length': 3 }, { name: 'other', priority: 9, applyTo: 'exchanges' }));
    place.putPolicy(policy({ 'max-length': 4 }, { name: 'quorums', priority: 9, applyTo: 'quorum_queues' }));
    peer.queue('q');
    peer.queue('r');
    peer.queue('qq', { 'x-queue-type': 'quorum' }, { durable: true });
    const names = (): unknown => ['q', 'r', 'qq'].map((name) => place.queue(name)?.policyName);
    expect(names()).toEqual(['high', 'low', 'quorums']);
    expect(place.queue('q')?.policy.maxLength).toBe(2);
    place.deletePolicy('high');
    expect(names()).toEqual(['low', 'low', 'quorums']);
    place.deletePolicy('low');
    expect(names()).toEqual([undefined, undefined, 'quorums']);
    expect(place.queue('q')?.policy.maxLength).toBeUndefined();
    expect(place.deletePolicy('low')).toBe(false);
  });

  test('of times and lengths the smaller counts, of the rest the argument', () => {
    const { lab, peer } = bench();
    const place = lab.core.addVhost('/');
    peer.queue('q', {
      'x-message-ttl': 100,
      'x-max-length': 50,
      'x-dead-letter-exchange': 'mine',
      'x-overflow': 'reject-publish',
    });
    const definition = {
      'message-ttl': 200,
      'max-length': 5,
      'dead-letter-exchange': 'theirs',
      'dead-letter-routing-key': 'k',
      overflow: 'drop-head',
    };
    place.putPolicy(policy(definition));
    expect(place.queue('q')?.policy).toMatchObject({
      ttlMs: 100,
      maxLength: 5,
      deadLetterExchange: 'mine',
      deadLetterRoutingKey: 'k',
      overflow: 'reject-publish',
    });
  });
});

describe('queues and exchanges follow at once', () => {
  test('a length drops what is too much, into the dead letters that the policy names', () => {
    const b = bench();
    b.peer.queue('q');
    b.peer.queue('dead');
    b.put('q', 'a', 'b', 'c');
    const definition = {
      'max-length': 1,
      'dead-letter-exchange': '',
      'dead-letter-routing-key': 'dead',
    };
    b.lab.core.addVhost('/').putPolicy(policy(definition, { pattern: '^q$' }));
    b.lab.core.endTurn();
    expect(drain(b, 'q')).toEqual(['c']);
    expect(drain(b, 'dead')).toEqual(['a', 'b']);
  });

  test('a time to live counts for what comes after it', () => {
    const b = bench();
    b.peer.queue('q');
    b.put('q', 'old');
    b.lab.core.addVhost('/').putPolicy(policy({ 'message-ttl': 1000 }));
    b.put('q', 'new');
    expect(b.get('q')?.body).toBe('old');
    b.lab.advance(1000);
    expect(b.counts('q')).toEqual([0, 0]);
  });

  test('an expiry starts, changes and ends', () => {
    const { lab, peer } = bench();
    const place = lab.core.addVhost('/');
    for (const name of ['a', 'b']) peer.queue(name);
    place.putPolicy(policy({ expires: 1000 }));
    lab.advance(500);
    place.putPolicy(policy({ expires: 10_000 }));
    lab.advance(1000);
    expect(place.queues.size).toBe(2);
    lab.advance(9000);
    expect(place.queues.size).toBe(0);
    peer.queue('c');
    place.deletePolicy('p');
    lab.advance(100_000);
    expect(place.queues.size).toBe(1);
  });

  test('an alternate exchange takes what nobody wants, as long as the policy is there', () => {
    const b = bench();
    const place = b.lab.core.addVhost('/');
    b.peer.call('exchange.declare', { exchange: 'e', type: 'direct' });
    b.peer.queue('rest');
    b.peer.call('queue.bind', { queue: 'rest', exchange: 'amq.fanout' });
    b.peer.publish({ exchange: 'e', routingKey: 'x' }, '1');
    place.putPolicy(policy({ 'alternate-exchange': 'amq.fanout' }, { pattern: '^e$', applyTo: 'exchanges' }));
    b.peer.publish({ exchange: 'e', routingKey: 'x' }, '2');
    place.deletePolicy('p');
    b.peer.publish({ exchange: 'e', routingKey: 'x' }, '3');
    expect(drain(b, 'rest')).toEqual(['2']);
  });

  test('a policy changes nothing that declarations are compared by', () => {
    const { lab, peer } = bench();
    lab.core.addVhost('/').putPolicy(policy({ 'max-length': 5 }));
    peer.queue('q');
    expect(peer.queue('q')[0]?.name).toBe('queue.declare-ok');
    expect(refusal(peer.queue('q', { 'x-max-length': 5 }))).toContain("inequivalent arg 'x-max-length'");
  });
});

describe('what a policy may be', () => {
  const place = new Lab().core.addVhost('/');
  test.each<[Partial<Policy>, string]>([
    [{ definition: { 'max-lenght': 1 } }, 'max-lenght are not recognised policy settings'],
    [{ definition: {} }, 'its definition is empty'],
    [{ definition: { 'message-ttl': 'soon' } }, 'expected integer, got longstr'],
    [{ definition: { overflow: 'explode' } }, 'invalid_overflow'],
    [{ definition: { 'alternate-exchange': 5 } }, 'alternate-exchange must be a name'],
    [{ pattern: '(' }, 'is no regular expression'],
    [{ pattern: 'x'.repeat(1025) }, 'is longer than 1024'],
    [{ applyTo: 'streams' as never }, 'but must be one of all, queues'],
    [{ priority: 1.5 }, 'is no whole number'],
  ])('%j: %s', (more, text) => {
    expect(() => place.putPolicy(policy({ 'max-length': 1 }, more))).toThrow(
      expect.objectContaining({ code: 'NARU_INVALID_ARGUMENT', message: expect.stringContaining(text) }),
    );
    expect(place.policies.all).toEqual([]);
  });

  test('settings of clusters are taken and do nothing', () => {
    place.putPolicy(policy({ 'ha-mode': 'all', 'queue-mode': 'lazy' }));
    expect(place.policies.all).toHaveLength(1);
  });

  test('definitions have them, in RabbitMQ’s form, and give them back', () => {
    const one = new Lab();
    const definitions = {
      policies: [
        {
          vhost: '/',
          name: 'p',
          pattern: '^q',
          'apply-to': 'queues',
          priority: 3,
          definition: { 'max-length': 7 },
        },
      ],
      queues: [{ vhost: '/', name: 'q' }],
    };
    importDefinitions(one.core, definitions);
    expect(one.core.addVhost('/').queue('q')?.policy.maxLength).toBe(7);
    const exported = exportDefinitions(one.core);
    expect(exported.policies).toEqual(definitions.policies);
    const other = new Lab();
    importDefinitions(other.core, JSON.parse(JSON.stringify(exported)) as typeof exported);
    expect(exportDefinitions(other.core)).toEqual(exported);
  });

  test.each([
    [5, 'they are no object'],
    [{ users: 5 }, 'users is no list'],
    [{ queues: [5] }, 'queues[0] is no object'],
    [{ queues: [{ vhost: '/' }] }, 'queues[0].name is missing or no text'],
    [{ queues: [{ vhost: '/', name: 'q', arguments: [] }] }, 'queues[0].arguments is missing or no table'],
    [{ users: [{ name: 'u', tags: [5] }] }, 'users[0].tags is missing or no texts'],
    [{ policies: [{ vhost: '/', name: 'p', pattern: '' }] }, 'policies[0].definition is missing or no table'],
    [{ bindings: [{}] }, 'bindings[0].source is missing or no text'],
  ])('definitions %j cannot be imported: %s', (document, text) => {
    expect(() => importDefinitions(new Lab().core, document as never)).toThrow(text);
  });
});

describe('the time in which a message must be settled', () => {
  const late =
    "channel 406 PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 1000 ms. The message is from queue 'q'";

  test('is off by default', () => {
    const { lab, peer, put } = bench();
    peer.queue('q');
    put('q', 'a');
    peer.call('basic.consume', { queue: 'q' });
    lab.advance(365 * 86_400_000);
    expect(refusal(peer.take())).toBeUndefined();
  });

  test.each(['limit', 'argument', 'policy'])(
    'set by a %s: the channel ends, others get the message',
    (how) => {
      const lab = new Lab(how === 'limit' ? { limits: { consumerTimeoutMs: 1000 } } : {});
      const peer = lab.connect();
      if (how === 'policy') lab.core.addVhost('/').putPolicy(policy({ 'consumer-timeout': 1000 }));
      peer.queue('q', how === 'argument' ? { 'x-consumer-timeout': 1000 } : {});
      peer.publish({ routingKey: 'q' }, 'a');
      peer.call('basic.consume', { queue: 'q' });
      for (let i = 0; i < 9; i += 1) lab.advance(100);
      expect(refusal(peer.take())).toBeUndefined();
      for (let i = 0; i < 4; i += 1) lab.advance(100);
      expect(refusal(peer.take())).toBe(late);
      const other = lab.connect();
      expect(other.call('basic.get', { queue: 'q' })).toMatchObject([
        { body: 'a', args: { redelivered: true } },
      ]);
    },
  );

  test('who settles in time goes on, whatever others of the channel hold', () => {
    const lab = new Lab();
    const peer = lab.connect();
    peer.queue('q', { 'x-consumer-timeout': 1000 });
    peer.queue('patient');
    for (const queue of ['patient', 'q']) peer.publish({ routingKey: queue }, queue);
    peer.call('basic.get', { queue: 'patient' });
    for (let tag = 2; tag < 10; tag += 1) {
      peer.call('basic.get', { queue: 'q' });
      for (let i = 0; i < 9; i += 1) lab.advance(100);
      expect(refusal(peer.call('basic.ack', { deliveryTag: tag }))).toBeUndefined();
      peer.publish({ routingKey: 'q' }, 'q');
    }
    lab.advance(100_000);
    expect(refusal(peer.take())).toBeUndefined();
  });
});
