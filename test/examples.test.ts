// Every example runs, ends by itself with code 0, and prints what stands beside it. Reads and runs; knows no example by name.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { expectedOf, runExample } from './examples.fixture.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const sources = readdirSync(join(root, 'examples'));
const names = sources.filter((file) => file.endsWith('.expected')).map((file) => file.slice(0, -9));
const base = process.platform === 'linux' ? '/dev/shm' : tmpdir();
const runtime = mkdtempSync(join(base, 'naru-examples-'));

afterAll(() => rmSync(runtime, { recursive: true, force: true }));

/** Where `{number}` is expected, any number will do: what is measured differs each time. */
function withoutFigures(output: string, expected: string): string {
  const lines = expected.split('\n');
  return output
    .split('\n')
    .map((line, index) =>
      lines[index]?.includes('{number}') === true ? line.replace(/\d[\d,.]*/g, '{number}') : line,
    )
    .join('\n');
}

describe('the examples', () => {
  test('every numbered example has its expected output', () => {
    const numbered = sources.filter((file) => /^\d\d-.*\.ts$/.test(file)).map((file) => file.slice(0, 2));
    expect(names.map((name) => name.slice(0, 2))).toEqual([...new Set(numbered)]);
  });

  test.each(names)('%s prints what is expected, and exits with 0', async (name) => {
    const { code, output, problems } = await runExample(name, { NARU_RUNTIME_DIR: runtime });
    const expected = expectedOf(name);
    expect({ output: withoutFigures(output, expected), code }, problems).toEqual({
      output: expected,
      code: 0,
    });
  });

  test('they leave nothing in the runtime folder', () => {
    expect(readdirSync(runtime)).toEqual([]);
  });
});
