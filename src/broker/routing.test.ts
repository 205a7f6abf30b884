// Where messages go: every type of exchange.

import { describe, expect, test } from 'vitest';
import { bench, drain } from './bench.fixture.ts';

describe('exchanges', () => {
  test('direct by the key, fanout to all, each queue once', () => {
    const b = bench();
    for (const queue of ['a', 'b']) b.peer.queue(queue);
    b.peer.call('queue.bind', { queue: 'a', exchange: 'amq.direct', routingKey: 'k' });
    b.peer.call('queue.bind', { queue: 'a', exchange: 'amq.fanout', routingKey: '1' });
    b.peer.call('queue.bind', { queue: 'a', exchange: 'amq.fanout', routingKey: '2' });
    b.peer.call('queue.bind', { queue: 'b', exchange: 'amq.fanout' });
    b.peer.publish({ exchange: 'amq.direct', routingKey: 'k' }, 'direct');
    b.peer.publish({ exchange: 'amq.direct', routingKey: 'other' }, 'nobody');
    b.peer.publish({ exchange: 'amq.fanout', routingKey: 'x' }, 'all');
    expect(drain(b, 'a')).toEqual(['direct', 'all']);
    expect(drain(b, 'b')).toEqual(['all']);
  });

  test.each([
    ['all', { a: 1, b: 'x' }, { a: 1, b: 'x', c: 0 }, true],
    ['all', { a: 1, b: 'x' }, { a: 1 }, false],
    ['any', { a: 1, b: 'x' }, { a: 1 }, true],
    ['any', { a: 1 }, { a: 2 }, false],
    ['all', { 'x-a': 1, b: 'x' }, { b: 'x' }, true],
    ['all-with-x', { 'x-a': 1, b: 'x' }, { b: 'x' }, false],
    ['any-with-x', { 'x-a': 1 }, { 'x-a': 1 }, true],
    ['any', { 'x-a': 1 }, { 'x-a': 1 }, false],
    ['all', { a: null }, { a: 'anything' }, true],
    ['all', { a: { type: 'b', value: 7 } }, { a: 7 }, true],
    ['all', { a: '7' }, { a: 7 }, false],
  ])('headers, %s of %o, message %o: %s', (match, args, headers, expected) => {
    const b = bench();
    b.peer.queue('q');
    b.peer.call('queue.bind', { queue: 'q', exchange: 'amq.headers', args: { 'x-match': match, ...args } });
    b.peer.publish({ exchange: 'amq.headers' }, 'x', { headers: b.lab.table(headers) });
    expect(b.counts('q')[0]).toBe(expected ? 1 : 0);
  });

  test('exchanges bound to exchanges, in a circle too', () => {
    const b = bench();
    for (const exchange of ['a', 'b', 'c']) b.peer.call('exchange.declare', { exchange, type: 'fanout' });
    for (const [source, destination] of [
      ['a', 'b'],
      ['b', 'c'],
      ['c', 'a'],
    ]) {
      b.peer.call('exchange.bind', { source, destination });
    }
    b.peer.queue('q');
    b.peer.call('queue.bind', { queue: 'q', exchange: 'c' });
    b.peer.publish({ exchange: 'a' }, 'once');
    expect(drain(b, 'q')).toEqual(['once']);
    b.peer.call('exchange.unbind', { source: 'b', destination: 'c' });
    b.peer.publish({ exchange: 'a' }, 'no way');
    expect(drain(b, 'q')).toEqual([]);
  });

  test('what matches nothing goes to the alternate exchange', () => {
    const b = bench();
    b.peer.call('exchange.declare', { exchange: 'main', args: { 'alternate-exchange': 'amq.fanout' } });
    b.peer.queue('q');
    b.peer.queue('rest');
    b.peer.call('queue.bind', { queue: 'q', exchange: 'main', routingKey: 'k' });
    b.peer.call('queue.bind', { queue: 'rest', exchange: 'amq.fanout' });
    b.peer.publish({ exchange: 'main', routingKey: 'k' }, '1');
    b.peer.publish({ exchange: 'main', routingKey: 'z', mandatory: true }, '2');
    expect([drain(b, 'q'), drain(b, 'rest')]).toEqual([['1'], ['2']]);
  });

  test('an auto-delete exchange goes with its last binding', () => {
    const b = bench();
    b.peer.call('exchange.declare', { exchange: 'e', autoDelete: true });
    b.peer.queue('q');
    b.peer.call('queue.bind', { queue: 'q', exchange: 'e' });
    b.peer.call('queue.delete', { queue: 'q' });
    expect(b.lab.core.vhosts.get('/')?.exchange('e')).toBe(undefined);
  });

  test('a message waits in an x-delayed-message exchange for its x-delay', () => {
    const b = bench();
    b.peer.call('exchange.declare', {
      exchange: 'later',
      type: 'x-delayed-message',
      args: { 'x-delayed-type': 'direct' },
    });
    b.peer.queue('q');
    b.peer.call('queue.bind', { queue: 'q', exchange: 'later', routingKey: 'k' });
    for (const [body, delay] of [
      ['slow', 2000],
      ['fast', 500],
      ['now', 0],
    ] as const) {
      b.peer.publish({ exchange: 'later', routingKey: 'k' }, body, {
        headers: b.lab.table({ 'x-delay': delay }),
      });
    }
    expect(drain(b, 'q')).toEqual(['now']);
    b.lab.advance(499);
    expect(drain(b, 'q')).toEqual([]);
    b.lab.advance(1);
    expect(drain(b, 'q')).toEqual(['fast']);
    b.lab.advance(1500);
    expect(drain(b, 'q')).toEqual(['slow']);
    expect(b.lab.core.messages.count).toBe(0);
  });

  test('CC and BCC add keys; nobody sees BCC', () => {
    const b = bench();
    for (const queue of ['a', 'b', 'c']) b.peer.queue(queue);
    b.peer.publish({ routingKey: 'a' }, 'x', {
      headers: b.lab.table({ CC: ['b'], BCC: ['c'] }),
      contentType: 't',
    });
    for (const queue of ['a', 'b', 'c']) {
      const { properties } = b.get(queue) ?? {};
      expect(Object.keys(properties?.headers ?? {}), queue).toEqual(['CC']);
      expect(properties?.contentType).toBe('t');
    }
  });
});
