// Each feature of the store on its own. Random sequences of operations against a naive model are in model.test.ts.

import { describe, expect, test } from 'vitest';
import { makeBench, PLAIN } from './clock.fixture.ts';
import { Store } from './store.ts';
import type { Entry } from './types.ts';

describe('order', () => {
  test('items of one priority come out in the order they were offered', () => {
    const { send, join } = makeBench();
    for (const item of ['a', 'b', 'c']) expect(send(item)).toBe('taken');
    expect(join().items()).toEqual(['a', 'b', 'c']);
  });

  test('a higher priority comes first, always', () => {
    const { send, join } = makeBench();
    send('low', { priority: 0 });
    send('high', { priority: 9 });
    send('middle', { priority: 5 });
    const guest = join();
    expect(guest.items(1)).toEqual(['high']);
    send('higher again', { priority: 9 });
    expect(guest.items()).toEqual(['higher again', 'middle', 'low']);
  });

  test('a priority outside the range, or not an integer, is refused with the range', () => {
    const { send } = makeBench();
    for (const priority of [-1, 10, 1.5, Number.NaN]) {
      expect(() => send('x', { priority })).toThrow(
        expect.objectContaining({ code: 'NARU_INVALID_ARGUMENT' }),
      );
    }
    expect(() => send('x', { priority: 10 })).toThrow(/priority is 10, .* from 0 to 9/);
  });

  test('a ring that wraps and grows keeps the order', () => {
    const { send, join } = makeBench({ capacityMessages: 100_000 });
    const guest = join();
    const got: string[] = [];
    let sent = 0;
    for (let round = 1; round < 200; round += 1) {
      for (let n = 0; n < round; n += 1) {
        send(String(sent));
        sent += 1;
      }
      got.push(...guest.items(round - 1));
    }
    got.push(...guest.items(100_000));
    expect(got).toEqual(Array.from({ length: sent }, (_, n) => String(n)));
  });
});

describe('settling', () => {
  test('requeue brings an item back to its old place with one delivery more', () => {
    const { send, join } = makeBench();
    for (const item of ['a', 'b', 'c', 'd']) send(item);
    const { sub, entries } = join();
    const taken = entries(3);
    expect(sub.settle(taken[1]?.token ?? 0, 'requeue', 0)).toBe(true);
    expect(sub.settle(taken[0]?.token ?? 0, 'requeue', 0)).toBe(true);
    expect(entries().map((entry) => [entry.item, entry.deliveries])).toEqual([
      ['a', 2],
      ['b', 2],
      ['d', 1],
    ]);
    expect(taken.map((entry) => entry.deliveries)).toEqual([1, 1, 1]);
  });

  test('release brings an item back as if it had never been taken', () => {
    const { send, join } = makeBench();
    send('a');
    const { sub, entries } = join();
    sub.settle(entries()[0]?.token ?? 0, 'release', 0);
    expect(entries()).toMatchObject([{ item: 'a', deliveries: 1 }]);
  });

  test('requeue with a delay keeps the item back for that long', () => {
    const { send, join, clock } = makeBench();
    send('a');
    send('b');
    const guest = join();
    guest.sub.want(1);
    guest.sub.settle(guest.entries(1)[0]?.token ?? 0, 'requeue', 100);
    expect(guest.items()).toEqual(['b']);
    clock.advance(99);
    expect(guest.items()).toEqual([]);
    const before = guest.calls();
    clock.advance(1);
    expect(guest.calls()).toBe(before + 1);
    expect(guest.entries()).toMatchObject([{ item: 'a', deliveries: 2 }]);
  });

  test('reject drops and counts; a token settles once', () => {
    const { send, join, drops, store } = makeBench();
    send('a');
    const { sub, entries } = join();
    const token = entries()[0]?.token ?? 0;
    expect(sub.settle(token, 'reject', 0)).toBe(true);
    for (const outcome of ['ack', 'requeue', 'reject', 'release'] as const) {
      expect(sub.settle(token, outcome, 0)).toBe(false);
    }
    expect(sub.extend(token, 10)).toBe(false);
    expect(drops).toEqual({ rejected: 1 });
    expect(store.stats()).toMatchObject({ depth: 0, unsettled: 0, dropped: { rejected: 1 } });
  });

  test('a token of old does not settle what reuses its place, and no garbage token settles anything', () => {
    const { send, join } = makeBench();
    const { sub, entries } = join();
    send('a');
    const old = entries()[0]?.token ?? 0;
    sub.settle(old, 'ack', 0);
    send('b');
    const taken = entries();
    for (const token of [old, -1, 0, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 52]) {
      expect(sub.settle(token, 'ack', 0)).toBe(false);
    }
    expect(sub.settle(taken[0]?.token ?? 0, 'ack', 0)).toBe(true);
  });

  test('closing gives back what is in flight: counted, unless unseen', () => {
    const { send, join } = makeBench();
    for (const item of ['a', 'b', 'c']) send(item);
    const { sub, entries } = join();
    const taken = entries();
    sub.close([taken[2]?.token ?? 0]);
    sub.close();
    expect(sub.take(10, [])).toBe(0);
    expect(sub.settle(taken[0]?.token ?? 0, 'ack', 0)).toBe(false);
    expect(
      join()
        .entries()
        .map((entry) => [entry.item, entry.deliveries]),
    ).toEqual([
      ['a', 2],
      ['b', 2],
      ['c', 1],
    ]);
  });
});

describe('who is told', () => {
  test('an item calls one of those who want, in turn; who wants nothing is left alone', () => {
    const { send, join } = makeBench();
    const guests = [join(), join(), join()];
    guests[0]?.sub.want(1);
    guests[1]?.sub.want(1);
    const calls = (): number[] => guests.map((guest) => guest.calls());
    send('a');
    expect(calls()).toEqual([1, 0, 0]);
    guests[0]?.items();
    send('b');
    expect(calls()).toEqual([1, 1, 0]);
    guests[1]?.items();
    send('c');
    expect(calls()).toEqual([2, 1, 0]);
  });

  test('a called consumer that gives up passes the call on', () => {
    const { send, join } = makeBench();
    const [first, second, third] = [join(), join(), join()];
    for (const guest of [first, second, third]) guest.sub.want(1);
    send('a');
    first.sub.want(0);
    expect([first.calls(), second.calls(), third.calls()]).toEqual([1, 1, 0]);
    second.sub.close();
    expect(third.calls()).toBe(1);
  });

  test('wanting something while items wait calls at once', () => {
    const { send, join } = makeBench();
    send('a');
    const guest = join();
    expect(guest.calls()).toBe(0);
    guest.sub.want(5);
    expect(guest.calls()).toBe(1);
  });

  test('a consumer that takes less than there is is called again, or another is', () => {
    const { send, join } = makeBench();
    const guest = join();
    for (const item of ['a', 'b', 'c']) send(item);
    guest.sub.want(3);
    guest.items(1);
    expect(guest.calls()).toBe(2);
    guest.items(2);
    expect(guest.calls()).toBe(2);
  });

  test('handlers may call the store: nothing recurses', () => {
    const { store } = makeBench({ capacityMessages: 100_000 });
    let taken = 0;
    const sub = store.subscribe(() => {
      const out: Entry<string>[] = [];
      sub.take(1, out);
      for (const entry of out) sub.settle(entry.token, 'ack', 0);
      taken += out.length;
      if (taken < 50_000) store.offer('again', { sizeBytes: 1 });
    });
    sub.want(1);
    store.offer('first', { sizeBytes: 1 });
    expect(taken).toBe(50_000);
  });
});

describe('capacity', () => {
  test('a full store refuses, counts what is in flight, and says when there is room', () => {
    const { send, join, rooms } = makeBench({ capacityMessages: 2 });
    const { sub, entries } = join();
    expect([send('a'), send('b'), send('c')]).toEqual(['taken', 'taken', 'full']);
    const taken = entries();
    expect(send('c')).toBe('full');
    expect(rooms()).toBe(0);
    sub.settle(taken[0]?.token ?? 0, 'ack', 0);
    expect(rooms()).toBe(1);
    expect(send('c')).toBe('taken');
    sub.settle(taken[1]?.token ?? 0, 'ack', 0);
    expect(rooms()).toBe(1);
  });

  test('bytes count too; room is told when the smallest refused item fits', () => {
    const { send, join, rooms } = makeBench({ capacityBytes: 10 });
    send('a', { sizeBytes: 2 });
    send('b', { sizeBytes: 8 });
    expect(send('c', { sizeBytes: 7 })).toBe('full');
    expect(send('nothing', { sizeBytes: 0 })).toBe('taken');
    const guest = join();
    guest.items(1);
    expect(rooms()).toBe(0);
    guest.items(1);
    expect(rooms()).toBe(1);
    expect(send('c', { sizeBytes: 7 })).toBe('taken');
  });

  test('drop-oldest makes room with what waits longest, whatever its priority, never with what is in flight', () => {
    const { send, join, drops, store } = makeBench({ capacityMessages: 3, dropOldest: true });
    const guest = join();
    send('flying');
    const flying = guest.entries(1);
    send('old and urgent', { priority: 9 });
    send('b');
    expect(send('c')).toBe('taken');
    expect(drops).toEqual({ full: 1 });
    expect(guest.entries().map((entry) => entry.item)).toEqual(['b', 'c']);
    expect(send('d')).toBe('full');
    guest.sub.settle(flying[0]?.token ?? 0, 'ack', 0);
    expect(send('d')).toBe('taken');
    expect(store.stats().dropped).toEqual({ full: 1 });
  });

  test('room set aside counts like an item, and room is told when it is given back', () => {
    const { send, join, rooms, store } = makeBench({ capacityMessages: 2, capacityBytes: 10 });
    expect(store.reserve(6)).toBe(true);
    expect([store.held, store.heldBytes, store.stats().depth]).toEqual([1, 6, 0]);
    expect(send('too large', { sizeBytes: 5 })).toBe('full');
    expect(send('a', { sizeBytes: 4 })).toBe('taken');
    expect([send('b', { sizeBytes: 0 }), store.reserve(0)]).toEqual(['full', false]);
    expect(rooms()).toBe(0);
    store.unreserve(6);
    expect(rooms()).toBe(1);
    expect(send('c', { sizeBytes: 6 })).toBe('taken');
    expect(join().items()).toEqual(['a', 'c']);
    expect(makeBench({ capacityMessages: 0 }).store.reserve(1)).toBe(false);
  });

  test.each(['one', 'all'] as const)(
    'deliver %s: room is set aside at the cost of what waits longest, and is no room to be dropped itself',
    (deliver) => {
      const { send, join, drops, store } = makeBench({ deliver, capacityMessages: 2, dropOldest: true });
      const guest = join();
      send('old');
      send('b');
      expect(store.reserve(1)).toBe(true);
      expect(drops).toEqual({ full: 1 });
      expect(store.reserve(1)).toBe(true);
      expect(drops).toEqual({ full: 2 });
      expect([store.reserve(1), send('c')]).toEqual([false, 'full']);
      store.unreserve(1);
      expect(send('c')).toBe('taken');
      expect([send('d'), drops['full']]).toEqual(['taken', 3]);
      expect(guest.items()).toEqual(['d']);
    },
  );

  test('room is never told before the answer `full` that it belongs to', () => {
    let now = 0;
    const log: string[] = [];
    const clock = { now: () => now, schedule: () => () => undefined };
    const events = { room: () => void log.push('room'), drop: () => undefined };
    const store = new Store<string>({ ...PLAIN, capacityBytes: 100 }, clock, events);
    const offer = (sizeBytes: number, ttlMs?: number): void => {
      log.push(`${sizeBytes} ${store.offer('x', { sizeBytes, ttlMs })}`);
    };
    const sub = store.subscribe(() => undefined);
    offer(70);
    offer(30, 10);
    offer(5);
    now = 20;
    offer(40);
    expect(log).toEqual(['70 taken', '30 taken', '5 full', 'room', '40 full']);
    const out: Entry<string>[] = [];
    sub.take(1, out);
    sub.settle(out[0]?.token ?? 0, 'ack', 0);
    expect(log.at(-1)).toBe('room');
  });

  test('rendezvous: an item is taken only while a consumer wants one', () => {
    const { send, join, rooms } = makeBench({ capacityMessages: 0 });
    expect(send('a')).toBe('full');
    const guest = join();
    expect(send('a')).toBe('full');
    guest.sub.want(1);
    expect(rooms()).toBe(1);
    expect([send('a'), send('b')]).toEqual(['taken', 'full']);
    expect(guest.items()).toEqual(['a']);
    expect(rooms()).toBe(2);
    guest.sub.want(0);
    expect(send('b')).toBe('full');
  });
});

describe('time', () => {
  test('an expired item is never delivered; the timer counts it even when nobody looks', () => {
    const { send, clock, drops, store, join } = makeBench({ capacityMessages: 2 });
    send('short', { ttlMs: 10 });
    send('long', { ttlMs: 50 });
    expect(send('x')).toBe('full');
    clock.advance(10);
    expect(drops).toEqual({ expired: 1 });
    expect(send('x')).toBe('taken');
    expect(store.stats().depth).toBe(2);
    clock.advance(40);
    expect(join().items()).toEqual(['x']);
  });

  test('expired items in the middle leave no memory behind while nobody takes', () => {
    const { send, clock, store } = makeBench({ capacityMessages: 1_000_000, capacityBytes: 2 ** 40 });
    send('stays');
    for (let round = 0; round < 100; round += 1) {
      for (let n = 0; n < 100; n += 1) send('goes', { ttlMs: 1 });
      clock.advance(1);
    }
    expect(store.stats()).toMatchObject({ depth: 1, dropped: { expired: 10_000 } });
    expect(store.peek(10).map((entry) => entry.item)).toEqual(['stays']);
  });

  test('what an expired item held is let go at once, also behind items that stay', () => {
    const { send, store, clock } = makeBench();
    const lost: string[] = [];
    const watched = new Store<{ text: string }>(PLAIN, clock, {
      room: () => undefined,
      drop: () => undefined,
      lost: (item, reason) => lost.push(`${item.text} ${reason}`),
    });
    watched.offer({ text: 'stays' }, { sizeBytes: 1 });
    watched.offer({ text: 'goes' }, { sizeBytes: 1, ttlMs: 5 });
    clock.advance(5);
    expect(lost).toEqual(['goes expired']);
    send('x', { ttlMs: 5 });
    const [seen] = store.peek(1);
    clock.advance(5);
    expect(seen?.item).toBe('x');
  });

  test('nothing arms a timer again after dispose', () => {
    const { send, join, clock, store } = makeBench({ leaseMs: 10 });
    send('a');
    const { sub, entries } = join();
    const [entry] = entries();
    store.dispose();
    expect(sub.settle(entry?.token ?? 0, 'requeue', 50)).toBe(true);
    expect(clock.timers).toBe(0);
    expect(send('b')).toBe('ended');
  });

  test('a delayed item comes when its time is there, before what was offered after it', () => {
    const { send, clock, join, store } = makeBench();
    const guest = join();
    send('late', { delayMs: 100 });
    expect(store.stats().depth).toBe(1);
    expect(guest.items()).toEqual([]);
    guest.sub.want(1);
    clock.advance(100);
    expect(guest.calls()).toBe(1);
    send('later');
    expect(guest.items()).toEqual(['late', 'later']);
  });

  test('an item whose ttl is over before its delay is dropped', () => {
    const { send, clock, drops, store } = makeBench();
    send('a', { delayMs: 100, ttlMs: 50 });
    clock.advance(50);
    expect(drops).toEqual({ expired: 1 });
    expect(store.stats().depth).toBe(0);
  });

  test('an item not settled within the lease comes back; the late settle is refused', () => {
    const { send, clock, join } = makeBench({ leaseMs: 100 });
    send('a');
    const guest = join();
    const token = guest.entries()[0]?.token ?? 0;
    clock.advance(99);
    expect(guest.sub.extend(token, 100)).toBe(true);
    clock.advance(99);
    expect(guest.entries()).toEqual([]);
    guest.sub.want(1);
    clock.advance(1);
    expect(guest.calls()).toBe(1);
    expect(guest.sub.settle(token, 'ack', 0)).toBe(false);
    expect(guest.entries()).toMatchObject([{ item: 'a', deliveries: 2 }]);
  });

  test('there is one timer for any number of deadlines, none after dispose', () => {
    const { send, clock, store } = makeBench({ leaseMs: 10 });
    for (let n = 0; n < 100; n += 1) send('x', { ttlMs: 1000 - n, delayMs: 500 - n });
    expect(clock.timers).toBe(1);
    store.dispose();
    expect(clock.timers).toBe(0);
    expect(store.stats().depth).toBe(0);
  });
});

describe('ordering keys', () => {
  test('one item of a key is in flight; other keys go on', () => {
    const { send, join } = makeBench();
    for (const item of ['a1', 'a2', 'b1', 'a3', 'b2', 'none']) {
      send(item, item === 'none' ? {} : { key: item.slice(0, 1) });
    }
    const [first, second] = [join(), join()];
    const held = first.entries(1);
    expect(second.entries().map((entry) => entry.item)).toEqual(['b1', 'none']);
    second.sub.want(1);
    first.sub.settle(held[0]?.token ?? 0, 'ack', 0);
    expect(second.calls()).toBe(1);
    expect(second.items(1)).toEqual(['a2']);
    expect(second.items()).toEqual(['a3']);
  });

  test('requeue keeps the order within the key, with a delay too', () => {
    const { send, join, clock } = makeBench();
    for (const item of ['a1', 'a2']) send(item, { key: 'a' });
    const guest = join();
    guest.sub.settle(guest.entries(1)[0]?.token ?? 0, 'requeue', 50);
    expect(guest.items()).toEqual([]);
    clock.advance(50);
    expect(guest.items()).toEqual(['a1']);
    expect(guest.items()).toEqual(['a2']);
  });

  test('a more urgent item of a key overtakes one that waits', () => {
    const { send, join } = makeBench();
    send('low', { key: 'a', priority: 1 });
    send('high', { key: 'a', priority: 2 });
    const guest = join();
    expect(guest.items()).toEqual(['high']);
    expect(guest.items()).toEqual(['low']);
  });

  test('an expired item frees its key', () => {
    const { send, join, clock } = makeBench();
    send('a1', { key: 'a', ttlMs: 10 });
    send('a2', { key: 'a', ttlMs: 20 });
    send('a3', { key: 'a' });
    clock.advance(20);
    expect(join().items()).toEqual(['a3']);
  });
});

test('an id within the window is dropped and counted, one beyond it is not', () => {
  const { send, drops, join } = makeBench({ dedup: 2 });
  const results = ['a', 'a', 'b', 'c', 'a', 'c'].map((id) => send(id, { id }));
  expect(results).toEqual(['taken', 'dropped', 'taken', 'taken', 'taken', 'dropped']);
  expect(drops).toEqual({ duplicate: 2 });
  expect(join().items()).toEqual(['a', 'b', 'c', 'a']);
});

describe('end', () => {
  test('consumers finish when everything is settled, and are told', () => {
    const { send, join, store } = makeBench();
    send('a');
    const [first, second] = [join(), join()];
    const taken = first.entries();
    second.sub.want(1);
    store.end();
    expect(send('b')).toBe('ended');
    expect(second.sub.ended).toBe(false);
    first.sub.close();
    expect(second.calls()).toBe(1);
    expect(second.entries()).toMatchObject([{ item: 'a', deliveries: 2 }]);
    expect(taken).toHaveLength(1);
    second.sub.close();
    const third = join();
    expect(third.items()).toEqual(['a']);
    expect(third.sub.ended).toBe(true);
    third.sub.want(1);
    expect(third.calls()).toBe(1);
  });

  test('a handler that keeps wanting after the end is told once', () => {
    const { store } = makeBench();
    let calls = 0;
    const sub = store.subscribe(() => {
      calls += 1;
      sub.take(1, []);
      sub.want(calls % 2);
    });
    sub.want(1);
    store.end();
    expect(calls).toBe(1);
    expect(sub.ended).toBe(true);
  });
});

describe('peek and purge', () => {
  test('peek shows what waits, oldest first, and takes nothing', () => {
    const { send, store, join } = makeBench();
    send('a', { priority: 0 });
    send('b', { priority: 9 });
    send('c', { delayMs: 10 });
    send('d', { key: 'k' });
    send('e', { key: 'k' });
    expect(store.peek(10).map((entry) => entry.item)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(store.peek(2).map((entry) => entry.item)).toEqual(['a', 'b']);
    expect(join().items()).toEqual(['b', 'a', 'd']);
  });

  test('purge removes what waits and leaves what is in flight', () => {
    const { send, store, join, rooms } = makeBench({ capacityMessages: 5 });
    const guest = join();
    for (const item of ['a', 'b', 'c', 'd', 'e']) send(item, item === 'e' ? { delayMs: 9 } : { key: 'k' });
    const taken = guest.entries();
    expect(send('f')).toBe('full');
    expect(store.purge()).toBe(4);
    expect(rooms()).toBe(1);
    expect(store.stats()).toMatchObject({ depth: 0, depthBytes: 0, unsettled: 1 });
    expect(guest.sub.settle(taken[0]?.token ?? 0, 'requeue', 0)).toBe(true);
    expect(guest.items()).toEqual(['a']);
  });
});

test('the age of the oldest ready item is known', () => {
  const { send, store, clock, join } = makeBench();
  expect(store.stats().oldestAgeMs).toBe(0);
  send('a');
  clock.advance(100);
  send('b', { priority: 3 });
  clock.advance(5);
  expect(store.stats().oldestAgeMs).toBe(105);
  const guest = join();
  guest.items(1);
  expect(store.stats().oldestAgeMs).toBe(105);
  guest.items(1);
  expect(store.stats().oldestAgeMs).toBe(0);
});
