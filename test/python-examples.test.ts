// Python's multiprocessing beside Naru's counterparts: the originals of the examples 19 and 22 print the lines that the examples are
// expected to print (test/examples.test.ts runs the examples themselves).

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { expectedOf } from './examples.fixture.ts';

const examples = new URL('../../examples/', import.meta.url);

test.each([
  ['Queue and Pipe', '19-queue-and-pipe'],
  ["Manager's dict and list", '22-manager'],
])('%s print what example %s prints', { timeout: 120_000 }, async (_, name) => {
  const original = fileURLToPath(new URL(`${name}.py`, examples));
  const { stdout } = await promisify(execFile)('python3', [original], { timeout: 50_000 });
  expect(stdout).toBe(expectedOf(name));
});
