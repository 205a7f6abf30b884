// What a transaction settles: which messages, how often, and what does not touch them.

import { describe, expect, test } from 'vitest';
import { bench, drain } from './bench.fixture.ts';
import { refusal } from './got.fixture.ts';

describe('what a transaction settles', () => {
  test('is what was there when it was said, not what came until the commit', () => {
    for (const how of ['basic.ack', 'basic.nack']) {
      const b = bench();
      b.peer.queue('q');
      b.put('q', '1', '2', '3');
      b.peer.call('tx.select');
      for (const _ of '12') b.peer.send('basic.get', { queue: 'q' });
      b.peer.send(how, { deliveryTag: 0, multiple: true, requeue: false });
      b.peer.send('basic.get', { queue: 'q' });
      b.peer.call('tx.commit');
      expect([how, b.lab.core.vhosts.get('/')?.queue('q')?.unacked]).toEqual([how, 1]);
      expect(b.peer.call('basic.reject', { deliveryTag: 3, requeue: true })).toEqual([]);
      b.peer.call('tx.commit');
      expect(drain(b, 'q')).toEqual(['3']);
    }
  });

  test('cannot be settled again, one by one or together', () => {
    const b = bench();
    b.peer.queue('q');
    b.put('q', '1', '2');
    b.peer.call('tx.select');
    for (const _ of '12') b.peer.send('basic.get', { queue: 'q' });
    b.peer.send('basic.ack', { deliveryTag: 2, multiple: true });
    const refused = refusal(b.peer.call('basic.ack', { deliveryTag: 1 }));
    expect(refused).toBe('channel 406 PRECONDITION_FAILED - unknown delivery tag 1');
  });

  test('does not go back by basic.recover', () => {
    const b = bench();
    b.peer.queue('q');
    b.put('q', '1', '2');
    b.peer.call('tx.select');
    for (const _ of '12') b.peer.send('basic.get', { queue: 'q' });
    b.peer.send('basic.ack', { deliveryTag: 1 });
    b.peer.call('basic.recover', { requeue: true });
    expect(b.counts('q')).toEqual([1, 0]);
    expect(b.peer.call('tx.commit').map(({ name }) => name)).toEqual(['tx.commit-ok']);
    expect(drain(b, 'q')).toEqual(['2']);
  });
});
