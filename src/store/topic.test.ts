// deliver all: every subscription or group gets each item, the capacity counts each item once, the slowest holds back.

import { describe, expect, test } from 'vitest';
import { makeBench } from './clock.fixture.ts';

describe('deliver all', () => {
  test('each subscription gets each item, groups share one copy', () => {
    const { send, join } = makeBench({ deliver: 'all' });
    const alone = join();
    const [left, right] = [join({ group: 'g' }), join({ group: 'g' })];
    for (const item of ['a', 'b']) send(item);
    expect(alone.items()).toEqual(['a', 'b']);
    expect(left.items(1)).toEqual(['a']);
    expect(right.items()).toEqual(['b']);
  });

  test('an item counts once, until the slowest has settled it', () => {
    const { send, join, rooms, store } = makeBench({ deliver: 'all', capacityMessages: 2 });
    const [fast, slow] = [join(), join()];
    expect([send('a'), send('b'), send('c')]).toEqual(['taken', 'taken', 'full']);
    fast.items();
    expect(rooms()).toBe(0);
    expect(store.stats()).toMatchObject({ depth: 2, unsettled: 0, consumers: 2 });
    slow.items(1);
    expect(rooms()).toBe(1);
    expect(send('c')).toBe('taken');
  });

  test('with nobody there items are dropped and counted', () => {
    const { send, drops, join } = makeBench({ deliver: 'all' });
    expect(send('a')).toBe('dropped');
    expect(drops).toEqual({ nobody: 1 });
    expect(join().items()).toEqual([]);
  });

  test('kept for nobody, items wait for the first subscriber, also after the last one left', () => {
    const { send, drops, join } = makeBench({ deliver: 'all', keepForNobody: true });
    expect(send('a')).toBe('taken');
    const first = join();
    expect(first.entries(1)).toHaveLength(1);
    send('b');
    first.sub.close();
    send('c');
    const second = join();
    expect(second.entries().map((entry) => [entry.item, entry.deliveries])).toEqual([
      ['a', 2],
      ['b', 1],
      ['c', 1],
    ]);
    expect(join().items()).toEqual([]);
    expect(drops).toEqual({});
  });

  test('what only a leaving subscriber had and never took is counted; it no longer holds others back', () => {
    const { send, drops, join, rooms } = makeBench({ deliver: 'all', capacityMessages: 3 });
    const [first, second] = [join(), join()];
    for (const item of ['a', 'b', 'c']) send(item);
    expect(send('d')).toBe('full');
    first.items();
    second.entries(1);
    second.sub.close();
    expect(rooms()).toBe(1);
    expect(drops).toEqual({});
    send('e');
    first.sub.close();
    expect(drops).toEqual({ nobody: 1 });
  });

  test('drop-oldest: room is told when what was in flight is settled, though others still wait for it', () => {
    const { send, join, rooms, drops } = makeBench({ deliver: 'all', dropOldest: true, capacityMessages: 1 });
    const [quick, slow] = [join(), join()];
    send('a');
    const [taken] = quick.entries(1);
    expect(send('b')).toBe('full');
    expect(rooms()).toBe(0);
    quick.sub.settle(taken?.token ?? 0, 'ack', 0);
    expect(rooms()).toBe(1);
    expect(send('b')).toBe('taken');
    expect(drops).toEqual({ full: 1 });
    expect(slow.items()).toEqual(['b']);
  });

  test('drop-oldest takes the item from everybody who has not taken it', () => {
    const { send, drops, join } = makeBench({ deliver: 'all', capacityMessages: 2, dropOldest: true });
    const [fast, slow] = [join(), join()];
    send('a');
    send('b');
    fast.items(1);
    expect(send('c')).toBe('taken');
    expect(drops).toEqual({ full: 1 });
    expect(fast.items()).toEqual(['b', 'c']);
    expect(slow.items()).toEqual(['b', 'c']);
  });

  test('requeue by one subscriber concerns nobody else', () => {
    const { send, join } = makeBench({ deliver: 'all' });
    const [first, second] = [join(), join()];
    send('a');
    first.sub.settle(first.entries()[0]?.token ?? 0, 'requeue', 0);
    expect(second.items()).toEqual(['a']);
    expect(second.items()).toEqual([]);
    expect(first.entries()).toMatchObject([{ item: 'a', deliveries: 2 }]);
  });

  test('rendezvous waits until every subscriber wants one', () => {
    const { send, join, rooms } = makeBench({ deliver: 'all', capacityMessages: 0 });
    const [first, second] = [join(), join()];
    first.sub.want(1);
    expect(send('a')).toBe('full');
    second.sub.want(1);
    expect(rooms()).toBe(1);
    expect(send('a')).toBe('taken');
    expect([first.items(), second.items()]).toEqual([['a'], ['a']]);
  });

  test('each subscription ends when it has settled its own', () => {
    const { send, join, store } = makeBench({ deliver: 'all' });
    const [first, second] = [join(), join()];
    send('a');
    store.end();
    first.items();
    expect([first.sub.ended, second.sub.ended]).toEqual([true, false]);
  });
});

describe('retain', () => {
  test('late subscribers get the last n, unless they start now', () => {
    const { send, join, drops } = makeBench({ deliver: 'all', retain: 2 });
    for (const item of ['a', 'b', 'c']) expect(send(item)).toBe('taken');
    expect(drops).toEqual({ nobody: 1 });
    expect(join().items()).toEqual(['b', 'c']);
    expect(join({ from: 'now' }).items()).toEqual([]);
    send('d');
    expect(join().items()).toEqual(['c', 'd']);
    expect(drops).toEqual({ nobody: 1 });
  });

  test('a retained item that expired is not given to anybody', () => {
    const { send, join, clock } = makeBench({ deliver: 'all', retain: 5 });
    send('a', { ttlMs: 10 });
    send('b', { ttlMs: 100 });
    clock.advance(50);
    const guest = join();
    expect(guest.entries(0)).toEqual([]);
    clock.advance(40);
    expect(guest.items()).toEqual(['b']);
  });

  test('a late subscriber counts against the capacity like any other', () => {
    const { send, join } = makeBench({ deliver: 'all', retain: 2, capacityMessages: 2 });
    send('a');
    send('b');
    const guest = join();
    expect(send('c')).toBe('full');
    guest.items();
    expect(send('c')).toBe('taken');
  });

  test('what is retained is bounded in bytes by the capacity', () => {
    const { send, join } = makeBench({ deliver: 'all', retain: 100, capacityBytes: 10 });
    for (const item of ['a', 'b', 'c']) send(item, { sizeBytes: 4 });
    expect(join().items()).toEqual(['b', 'c']);
  });

  test('purge forgets what is retained', () => {
    const { send, join, store } = makeBench({ deliver: 'all', retain: 2 });
    send('a');
    store.purge();
    expect(join().items()).toEqual([]);
  });
});
