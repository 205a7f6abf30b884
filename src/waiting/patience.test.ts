// How long a wait turns before it sleeps.

import { expect, test } from 'vitest';
import { Patience } from './patience.ts';

test('finds double it, up to 24 turns', () => {
  const patience = new Patience(undefined, 2);
  const seen = Array.from({ length: 6 }, () => {
    patience.found();
    return patience.turns;
  });
  expect(seen).toEqual([4, 8, 16, 24, 24, 24]);
});

test('sleeps halve it, down to none: who waits long turns no more', () => {
  const patience = new Patience(undefined, 24, 24);
  const seen = Array.from({ length: 6 }, () => {
    patience.slept();
    return patience.turns;
  });
  expect(seen).toEqual([12, 6, 3, 1, 0, 0]);
});

test('after 64 sleeps it is tried again, and a find after none begins at 2 turns', () => {
  const patience = new Patience(undefined, 0, 8);
  patience.found();
  expect(patience.turns).toBe(2);
  for (let sleep = 1; sleep < 64; sleep += 1) patience.slept();
  expect(patience.turns).toBe(0);
  patience.slept();
  expect(patience.turns).toBe(8);
});

test('fixed ones stay, whatever they bring', () => {
  const patience = new Patience(0, 24, 24);
  patience.found();
  for (let sleep = 0; sleep < 65; sleep += 1) patience.slept();
  expect(patience.turns).toBe(0);
});
