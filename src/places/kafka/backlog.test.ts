// In which order a consumer hands out, and how far its partition is done.

import { expect, test } from 'vitest';
import { Backlog } from './backlog.ts';
import { type Entry, Window } from './window.ts';

const BODY = new Uint8Array(1);

function add(backlog: Backlog, window: Window, offset: number, key?: string): Entry {
  const fields = key === undefined ? undefined : { key };
  const entry = window.add(offset, { body: BODY, sender: '', sequence: 0, time: 0, fields });
  backlog.add(entry);
  return entry;
}

function takeAll(backlog: Backlog, now = 0): number[] {
  const offsets: number[] = [];
  for (let entry = backlog.take(now); entry !== undefined; entry = backlog.take(now))
    offsets.push(entry.offset);
  return offsets;
}

test('the position moves over what is done without a gap', () => {
  const window = new Window(0, 10);
  const backlog = new Backlog();
  // Offsets have gaps where transactions ended or a topic was compacted.
  const entries = [10, 11, 14].map((offset) => add(backlog, window, offset));
  const [one, two, three] = entries as [Entry, Entry, Entry];
  expect(takeAll(backlog)).toEqual([10, 11, 14]);
  expect(window.finish(three)).toBe(false);
  expect(window.position).toBe(10);
  expect(window.finish(one)).toBe(true);
  expect(window.position).toBe(11);
  expect(window.finish(two)).toBe(true);
  expect([window.position, window.length]).toEqual([15, 0]);
});

test('what came back comes first, in its order, and not before its time', () => {
  const window = new Window(0, 0);
  const backlog = new Backlog();
  const entries = [0, 1, 2].map((offset) => add(backlog, window, offset));
  const taken = [backlog.take(0), backlog.take(0)];
  expect(taken).toEqual(entries.slice(0, 2));
  backlog.putBack(window.renew(entries[1] as Entry), 0);
  backlog.putBack(window.renew(entries[0] as Entry), 50);
  expect(takeAll(backlog)).toEqual([1, 2]);
  expect(backlog.nextDue()).toBe(50);
  expect(backlog.hasSome(49)).toBe(false);
  const again = backlog.take(50);
  expect([again?.offset, again?.deliveries]).toEqual([0, 2]);
  expect([entries[0]?.deliveries, entries[2]?.deliveries]).toEqual([1, 1]);
  expect(window.finish(again as Entry)).toBe(true);
  expect(window.position).toBe(1);
  expect([backlog.count, backlog.bytes]).toEqual([0, 0]);
});

test('of one key one message is out at a time, also while it waits to be tried again', () => {
  const window = new Window(0, 0);
  const backlog = new Backlog();
  const [a1] = ['a', 'a', 'b', 'a'].map((key, offset) => add(backlog, window, offset, key)) as [Entry];
  expect(takeAll(backlog)).toEqual([0, 2]);
  const again = window.renew(a1);
  backlog.putBack(again, 50);
  add(backlog, window, 4, 'a');
  expect(takeAll(backlog)).toEqual([]);
  expect(takeAll(backlog, 50)).toEqual([0]);
  backlog.done(again);
  expect(takeAll(backlog)).toEqual([1]);
  expect(backlog.count).toBe(2);
});

test('a partition that is lost leaves nothing behind', () => {
  const [lost, kept] = [new Window(0, 0), new Window(1, 0)];
  const backlog = new Backlog();
  const first = add(backlog, lost, 0, 'a');
  add(backlog, lost, 1, 'a');
  add(backlog, lost, 2);
  add(backlog, kept, 0);
  expect(backlog.take(0)).toBe(first);
  lost.isLost = true;
  backlog.drop(lost);
  expect(takeAll(backlog)).toEqual([0]);
  backlog.done(first);
  expect([backlog.count, backlog.bytes, takeAll(backlog)]).toEqual([0, 0, []]);
});
