// Python's multiprocessing.Queue and Pipe beside Naru's counterparts: the original of example 19 prints the lines that the example is
// expected to print (test/examples.test.ts runs the example itself).

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const examples = new URL('../../examples/', import.meta.url);

test('Queue and Pipe print what example 19 prints', { timeout: 60_000 }, async () => {
  const original = fileURLToPath(new URL('19-queue-and-pipe.py', examples));
  const { stdout } = await promisify(execFile)('python3', [original], { timeout: 50_000 });
  expect(stdout).toBe(readFileSync(new URL('19-queue-and-pipe.expected', examples), 'utf8'));
});
