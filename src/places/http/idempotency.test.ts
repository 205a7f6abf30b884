// The window of Idempotency-Keys: bounded in number and time.

import { expect, test } from 'vitest';
import { type Answer, Idempotency } from './idempotency.ts';
import { HTTP } from './limits.ts';

const BODY = Buffer.from('body');

function setup(): { run: (key: string) => Promise<number>; pass: (ms: number) => void } {
  let now = 0;
  let acts = 0;
  const window = new Idempotency(() => now);
  const act = (): Promise<Answer> => Promise.resolve({ status: 201, value: (acts += 1) });
  return {
    run: async (key) => (await window.once(key, BODY, act)).value as number,
    pass: (ms) => {
      now += ms;
    },
  };
}

test('a key is remembered for its time, and then free again', async () => {
  const { run, pass } = setup();
  expect(await run('a')).toBe(1);
  pass(HTTP.keysMs - 1);
  expect(await run('a')).toBe(1);
  pass(1);
  expect(await run('a')).toBe(2);
});

test('of more keys than are remembered the oldest goes', async () => {
  const { run } = setup();
  await run('first');
  for (let n = 1; n <= HTTP.keysMax; n += 1) await run(String(n));
  expect(await run(String(HTTP.keysMax))).toBe(HTTP.keysMax + 1);
  expect(await run('first')).toBe(HTTP.keysMax + 2);
});
