// The doorbell's protocol, exhaustively: every interleaving of one sleeper and two producers with two messages each, with a
// death of either producer at any step. And the real words do what the model does.

import { describe, expect, test } from 'vitest';
import { bareRing } from './bare-ring.fixture.ts';
import { type Bells, Doorbell, ring, sleepsFor } from './doorbell.ts';
import { BELL, PARTICIPANT, WANT } from './layout.ts';
import { participantWord } from './memory.ts';

const MESSAGES = 2;

/** All that is shared, and where everybody is. Small integers only, so that a state is a string. */
interface State {
  epoch: number;
  bell: number;
  rung: boolean;
  tails: number[];
  read: number[];
  sleeper: 'drain' | 'park' | 'look' | 'sleep' | 'wake';
  step: number[];
  seen: number[];
  sent: number[];
  dead: number;
}

type Order = 'ring-then-mark' | 'mark-then-ring' | 'mark-any-epoch';

const copy = (state: State): State => ({
  ...state,
  tails: [...state.tails],
  read: [...state.read],
  step: [...state.step],
  seen: [...state.seen],
  sent: [...state.sent],
});

/** What the sleeper may do next. */
function sleeperMoves(state: State): State[] {
  const next = copy(state);
  if (state.sleeper === 'drain') {
    next.read = [...state.tails];
    next.sleeper = 'park';
  } else if (state.sleeper === 'park') {
    next.epoch += 1;
    next.bell = next.epoch * 4 + BELL.parkedLoop;
    next.sleeper = 'look';
  } else if (state.sleeper === 'look') {
    const news = state.tails.some((tail, i) => tail !== state.read[i]);
    next.sleeper = news ? 'wake' : 'sleep';
  } else if (state.sleeper === 'sleep') {
    if (!state.rung) return [];
    next.rung = false;
    next.sleeper = 'wake';
  } else {
    next.bell = next.epoch * 4 + BELL.awake;
    next.sleeper = 'drain';
  }
  return [next];
}

/** What producer `p` may do next: publish, load the word, ring, mark; or die, once. */
function producerMoves(state: State, p: number, order: Order): State[] {
  if (state.dead === p || (state.step[p] === 0 && state.sent[p] === MESSAGES)) return [];
  const next = copy(state);
  const word = state.seen[p] as number;
  const parked = (word & 3) === BELL.parkedLoop;
  const doRing = (): void => {
    next.rung = true;
  };
  const doMark = (): void => {
    if (order === 'mark-any-epoch') {
      if ((state.bell & 3) === BELL.parkedLoop) next.bell = (state.bell & ~3) | BELL.rung;
    } else if (state.bell === word) next.bell = (word & ~3) | BELL.rung;
  };
  if (state.step[p] === 0) {
    next.tails[p] = (state.tails[p] as number) + 1;
    next.sent[p] = (state.sent[p] as number) + 1;
    next.step[p] = 1;
  } else if (state.step[p] === 1) {
    next.seen[p] = state.bell;
    next.step[p] = (state.bell & 3) === BELL.parkedLoop ? 2 : 0;
  } else if (state.step[p] === 2) {
    if (parked) (order === 'mark-then-ring' ? doMark : doRing)();
    next.step[p] = 3;
  } else {
    (order === 'mark-then-ring' ? doRing : doMark)();
    next.step[p] = 0;
  }
  if (state.dead >= 0) return [next];
  const died = copy(state);
  died.dead = p;
  return [next, died];
}

/** Explores everything. @returns states in which nothing can move and a survivor's message lies unread */
function stranded(order: Order, withDeath: boolean): State[] {
  const start: State = {
    epoch: 0,
    bell: 0,
    rung: false,
    tails: [0, 0],
    read: [0, 0],
    sleeper: 'drain',
    step: [0, 0],
    seen: [0, 0],
    sent: [0, 0],
    dead: withDeath ? -1 : 9,
  };
  const known = new Set<string>();
  const open = [start];
  const bad: State[] = [];
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    const key = JSON.stringify(state);
    if (known.has(key)) continue;
    known.add(key);
    const moves = [
      ...sleeperMoves(state),
      ...producerMoves(state, 0, order),
      ...producerMoves(state, 1, order),
    ].filter((next) => next.epoch < 8);
    if (moves.length > 0) {
      open.push(...moves);
      continue;
    }
    const lost = state.tails.some((tail, p) => p !== state.dead && tail !== state.read[p]);
    if (lost && state.sleeper === 'sleep') bad.push(state);
  }
  expect(known.size).toBeGreaterThan(200);
  return bad;
}

describe('every interleaving', () => {
  test('without a death: no message is left lying before a sleeper', () => {
    expect(stranded('ring-then-mark', false)).toEqual([]);
  });
  test('with a death anywhere: no survivor’s message is left lying', () => {
    expect(stranded('ring-then-mark', true)).toEqual([]);
  });
  test('the model finds the faults of the two orders that are wrong', () => {
    expect(stranded('mark-then-ring', false)).toEqual([]);
    expect(stranded('mark-then-ring', true).length).toBeGreaterThan(0);
    expect(stranded('mark-any-epoch', false).length).toBeGreaterThan(0);
  });
});

describe('the words', () => {
  const bellWord = participantWord(3, PARTICIPANT.bell);
  function setUp(): { words: Int32Array; bell: Doorbell; rings: string[]; bells: Bells } {
    const { words } = bareRing();
    const rings: string[] = [];
    const bells: Bells = {
      ringLoop: (slot) => rings.push(`loop ${slot}`) > 0,
      ringThread: () => rings.push('thread'),
      failpoint: () => undefined,
    };
    return { words, bell: new Doorbell(words, 3), rings, bells };
  }

  test('nobody rings a participant that is awake, rung already, or wants something else', () => {
    const { words, bell, rings, bells } = setUp();
    expect(ring(words, 3, WANT.messages, bells)).toBe(false);
    bell.park(BELL.parkedLoop, WANT.room);
    expect(sleepsFor(words, 3, WANT.messages)).toBe(false);
    expect(ring(words, 3, WANT.messages, bells)).toBe(false);
    expect(ring(words, 3, WANT.room, bells)).toBe(true);
    expect(ring(words, 3, WANT.room, bells)).toBe(false);
    expect(rings).toEqual(['loop 3']);
    bell.park(BELL.parkedLoop, 0);
    expect(ring(words, 3, 0, bells)).toBe(true);
  });

  test('a blocked thread is rung through its own word, which changes', () => {
    const { words, bell, rings, bells } = setUp();
    bell.park(BELL.parkedThread, WANT.messages);
    const before = bell.threadValue;
    expect(sleepsFor(words, 3, WANT.messages)).toBe(true);
    expect(ring(words, 3, WANT.messages, bells)).toBe(true);
    expect(bell.threadValue).not.toBe(before);
    expect(rings).toEqual(['thread']);
  });

  test('a late mark does not silence a later sleep', () => {
    const { words, bell, bells } = setUp();
    bell.park(BELL.parkedLoop, WANT.messages);
    const late: Bells = {
      ...bells,
      ringLoop: () => {
        bell.wake();
        bell.park(BELL.parkedLoop, WANT.messages);
        return true;
      },
    };
    expect(ring(words, 3, WANT.messages, late)).toBe(true);
    expect((words[bellWord] as number) & 3).toBe(BELL.parkedLoop);
  });

  test('a bell that could not be rung is not marked as rung', () => {
    const { words, bell, bells } = setUp();
    bell.park(BELL.parkedLoop, WANT.messages);
    expect(ring(words, 3, WANT.messages, { ...bells, ringLoop: () => false })).toBe(false);
    expect(ring(words, 3, WANT.messages, bells)).toBe(true);
  });

  test('a new owner of a slot goes on with the epochs of the last one', () => {
    const { words, bell } = setUp();
    bell.park(BELL.parkedLoop, 0);
    const before = words[bellWord] as number;
    const next = new Doorbell(words, 3);
    next.park(BELL.parkedLoop, 0);
    expect((words[bellWord] as number) >>> 2).toBe((before >>> 2) + 1);
  });
});
