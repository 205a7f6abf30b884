// Forgotten claims and views, with a real collector: each case is a process of its own.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const program = fileURLToPath(new URL('./leak.fixture.js', import.meta.url));

interface Outcome {
  readonly result: unknown;
  readonly kind?: string;
  readonly createdAt?: string;
}

async function run(scenario: string): Promise<{ outcome: Outcome; stderr: string }> {
  const args = ['--expose-gc', '--enable-source-maps', program, 'memory://leaks', scenario];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { timeout: 20_000 });
  return { outcome: JSON.parse(stdout) as Outcome, stderr };
}

test('a forgotten claim is reported with the call that made it, and what waits behind it goes on', async () => {
  const { outcome, stderr } = await run('claim');
  expect(outcome).toMatchObject({ result: [1], kind: 'claim' });
  expect(outcome.createdAt).toContain('forgetClaim');
  expect(stderr).toBe('');
});

test('a forgotten view is reported with the call that made it, and its message is delivered again', async () => {
  const { outcome, stderr } = await run('view');
  expect(outcome).toMatchObject({ result: 2, kind: 'view' });
  expect(outcome.createdAt).toContain('forgetView');
  expect(stderr).toBe('');
});

test('a leak that nobody listens to is a process warning with the stack', async () => {
  const { outcome, stderr } = await run('unheard');
  const [name, message, detail] = outcome.result as string[];
  expect(name).toBe('NaruWarning');
  expect(message).toBe('memory://leaks: a claim was never committed nor aborted; it has been aborted');
  expect(detail).toContain('forgetClaim');
  expect(stderr).toContain('forgetClaim');
});

test('what was committed, aborted or settled is never reported', async () => {
  expect((await run('tidy')).outcome.result).toBe(0);
});

test('what is no more than its bytes is not collected while somebody has them', async () => {
  expect((await run('data')).outcome.result).toEqual([0, 1, 2]);
});

test('of many in a short time only some have a stack; after one without was reported, all have', async () => {
  expect((await run('many')).outcome.result).toEqual([1_000, true, true, 1_000]);
});

test('what close() has given back is not reported', async () => {
  expect((await run('closed')).outcome.result).toBe(0);
});
