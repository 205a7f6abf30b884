// Messages on their way over wires of paper: their order, and how each ends. What engines make of it is in the places that have an outbox.

import { expect, test } from 'vitest';
import { NaruError } from '../errors/index.ts';
import { Outbox, type Parcel, type Wire } from './outbox.ts';

class Note implements Parcel<'taken'> {
  readonly name: string;
  wasWritten = false;
  waitsSince = 0;
  losses = 0;
  end: 'taken' | Error | undefined;

  constructor(name: string) {
    this.name = name;
  }

  get bytes(): number {
    return this.name.length;
  }

  over(what: 'taken' | Error): void {
    this.end = what;
  }
}

/** Keeps what is written, up to `room`. */
class Paper implements Wire<Note> {
  readonly written: Note[] = [];
  room: number;

  constructor(room = Number.POSITIVE_INFINITY) {
    this.room = room;
  }

  write(note: Note): boolean {
    if (note.name === 'unspeakable') throw new Error(note.name);
    if (this.written.length >= this.room) return false;
    this.written.push(note);
    return true;
  }

  abandon(): Note[] {
    return this.written.splice(0);
  }

  get names(): string[] {
    return this.written.map(({ name }) => name);
  }
}

function outboxOf(notes: readonly Note[]) {
  const held: boolean[] = [];
  const outbox = new Outbox<Note, 'taken'>({
    place: 'paper',
    text: 'paper://x',
    hold: (isNeeded) => held.push(isNeeded),
    changed: () => undefined,
  });
  return { outbox, held, send: () => notes.forEach((note) => outbox.send(note)) };
}

const notes = (...names: string[]): Note[] => names.map((name) => new Note(name));

test('what was written and not answered goes out again before what waits, in its order', () => {
  const all = notes('a', 'b', 'c', 'd');
  const { outbox, held, send } = outboxOf(all);
  const first = new Paper(2);
  outbox.connected(first);
  send();
  expect([first.names, outbox.pending, outbox.pendingBytes]).toEqual([['a', 'b'], 4, 4]);
  first.written.shift();
  outbox.answered(all[0] as Note, 'taken');
  outbox.disconnected();
  const second = new Paper();
  outbox.connected(second);
  expect(second.names).toEqual(['b', 'c', 'd']);
  for (const note of second.abandon()) outbox.answered(note, 'taken');
  expect(all.map(({ end }) => end)).toEqual(['taken', 'taken', 'taken', 'taken']);
  expect([outbox.pending, outbox.pendingBytes, held]).toEqual([0, 0, [true, false]]);
});

test('what cannot be written fails by itself, later, and holds up no other', async () => {
  const all = notes('unspeakable', 'b');
  const { outbox, send } = outboxOf(all);
  const paper = new Paper();
  outbox.connected(paper);
  send();
  expect([paper.names, outbox.pending, all[0]?.end]).toEqual([['b'], 2, undefined]);
  outbox.answered(all[1] as Note, 'taken');
  await outbox.whenIdle();
  expect(all[0]?.end).toEqual(new Error('unspeakable'));
});

test('at the end what may have arrived is unknown, and the rest fails with its reason', async () => {
  const all = notes('written', 'waits');
  const { outbox, send } = outboxOf(all);
  outbox.connected(new Paper(1));
  send();
  const reason = new NaruError('NARU_CLOSED', 'over');
  outbox.end(reason);
  expect(all.map(({ end }) => (end as NaruError).code)).toEqual(['NARU_OUTCOME_UNKNOWN', 'NARU_CLOSED']);
  const late = new Note('late');
  outbox.send(late);
  expect(late.end).toBeUndefined();
  await expect.poll(() => late.end).toBe(reason);
});

test('one that waits can be taken out; all that is under way can fail, and what comes later goes on', () => {
  const all = notes('a', 'b', 'c');
  const { outbox, send } = outboxOf(all);
  const paper = new Paper(1);
  outbox.connected(paper);
  send();
  const found = outbox.takeWaiting(({ name }) => name === 'c') as Note;
  outbox.answered(found, new Error('too large'));
  outbox.fail(new Error('in vain'));
  expect(all.map(({ end }) => (end as Error).message)).toEqual(['in vain', 'in vain', 'too large']);
  outbox.send(new Note('d'));
  expect(paper.names).toEqual(['d']);
});

test('one that every connection breaks over goes out alone, and is unknown after the fifth; what was beside it arrives', () => {
  const all = notes('a', 'bad', 'c');
  const { outbox, send } = outboxOf(all);
  send();
  const tries: string[][] = [];
  for (let connection = 1; connection <= 5; connection += 1) {
    const paper = new Paper();
    outbox.connected(paper);
    // From the third on one after the other, and the first is answered.
    if (paper.names.join() === 'a') outbox.answered(paper.written.shift() as Note, 'taken');
    tries.push(paper.names);
    outbox.disconnected();
  }
  expect(tries).toEqual([['a', 'bad', 'c'], ['a', 'bad', 'c'], ['bad'], ['bad'], ['bad']]);
  expect(all[1]?.end).toMatchObject({ code: 'NARU_OUTCOME_UNKNOWN' });
  const last = new Paper();
  outbox.connected(last);
  outbox.send(new Note('d'));
  expect(last.names).toEqual(['c']);
  outbox.answered(last.written.shift() as Note, 'taken');
  expect([all[0]?.end, all[2]?.end, last.names]).toEqual(['taken', 'taken', ['d']]);
});

test('a connection that ended for a reason that was told puts nothing under suspicion', () => {
  const all = notes('a', 'b');
  const { outbox, send } = outboxOf(all);
  send();
  for (let connection = 1; connection <= 9; connection += 1) {
    const paper = new Paper();
    outbox.connected(paper);
    expect(paper.names).toEqual(['a', 'b']);
    outbox.disconnected(true);
  }
});
