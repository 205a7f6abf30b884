// Real processes on the real disk, killed with SIGKILL before and after every write, sync, truncation, allocation, rename and unlink:
// what was confirmed is there, nothing comes from nowhere.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkAftermath, toldBy } from './aftermath.fixture.ts';

const writer = fileURLToPath(new URL('./writer.fixture.js', import.meta.url));
/** CI visits every n-th point; 1 = every one. */
const STEP = Number(process.env['NARU_KILL_STEP'] ?? 25);
let root = '';

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'naru-kill-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function run(
  ...args: readonly string[]
): Promise<{ readonly output: string; readonly signal: string | null }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [writer, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.on('error', reject).on('close', (_code, signal) => resolve({ output, signal }));
  });
}

test.each(['disk', 'os'])(
  'a kill at any operation loses nothing that was confirmed at level %s',
  async (level) => {
    const whole = await run(join(root, `${level}-whole`), '0', 'before', level);
    const operations = Number(/^closed (\d+)$/m.exec(whole.output)?.[1]);
    expect(operations).toBeGreaterThan(100);
    let killed = 0;
    for (let operation = 1; operation <= operations; operation += STEP) {
      for (const when of ['before', 'after']) {
        const where = `${level}, ${when} operation ${operation}`;
        const folder = join(root, `${level}-${when}-${operation}`);
        const { output, signal } = await run(folder, String(operation), when, level);
        // Housekeeping does not come at the same moment every time: the last operations may not be reached.
        if (signal === 'SIGKILL') killed += 1;
        await checkAftermath(folder, toldBy(output), where);
        rmSync(folder, { recursive: true, force: true });
      }
    }
    expect(killed).toBeGreaterThan((operations / STEP) * 1.5);
  },
  600_000,
);
