// Every example runs, ends by itself with code 0, and prints what stands beside it. Reads and runs; knows no example by name.

import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const sources = readdirSync(join(root, 'examples'));
const names = sources.filter((file) => file.endsWith('.expected')).map((file) => file.slice(0, -9));
const base = process.platform === 'linux' ? '/dev/shm' : tmpdir();
const runtime = mkdtempSync(join(base, 'naru-examples-'));
const WATCHDOG_MS = 20_000;

afterAll(() => rmSync(runtime, { recursive: true, force: true }));

interface Run {
  readonly code: number | string | undefined;
  readonly output: string;
  readonly problems: string;
}

/** Runs a program to its end; kills it when it takes too long. */
function run(file: string): Promise<Run> {
  return new Promise((resolve) => {
    const options = {
      cwd: root,
      env: { ...process.env, NARU_RUNTIME_DIR: runtime },
      timeout: WATCHDOG_MS,
      killSignal: 'SIGKILL' as const,
    };
    execFile(process.execPath, [file], options, (error, output, problems) => {
      const code =
        error === null
          ? 0
          : error.killed === true
            ? `killed after ${WATCHDOG_MS} ms`
            : (error.code ?? undefined);
      resolve({ code, output, problems });
    });
  });
}

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
    const { code, output, problems } = await run(join(root, 'build', 'examples', `${name}.js`));
    const expected = readFileSync(join(root, 'examples', `${name}.expected`), 'utf8');
    expect({ output: withoutFigures(output, expected), code }, problems).toEqual({
      output: expected,
      code: 0,
    });
  });

  test('they leave nothing in the runtime folder', () => {
    expect(readdirSync(runtime)).toEqual([]);
  });
});
