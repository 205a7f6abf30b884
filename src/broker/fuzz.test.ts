// A short run of the fuzzer that coverage guides; the long one is `npm run fuzz`.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { replay } from './fuzz.fixture.ts';

const SCRIPT = fileURLToPath(new URL('../../scripts/fuzz.mjs', import.meta.url));

test('the broker and a canary live through inputs that reach ever more of its code', async () => {
  const args = [SCRIPT, '--inputs', '2000', '--seconds', '20', '--seed', '1'];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const report = JSON.parse(stdout) as { inputs: number; corpus: number; reached: number };
  expect(report.inputs).toBeGreaterThan(100);
  // More than it began with: something was found, kept and changed further.
  expect(report.corpus).toBeGreaterThan(80);
  expect(report.reached).toBeGreaterThan(500);
}, 180_000);

test('an input that is reported runs alone', () => {
  const piece = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('base64');
  expect(replay(`${piece('\x01')}.${piece('GET / HTTP/1.1')}`)).toBeUndefined();
});
