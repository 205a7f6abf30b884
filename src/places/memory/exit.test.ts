// What keeps the process alive (rule R11): each case is a process of its own that must end, or must not.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const program = fileURLToPath(new URL('./exit.fixture.js', import.meta.url));

/** @returns what the process printed, and whether it ended by itself within `ms` after it said "ready" */
function run(scenario: string, ms: number): Promise<{ ended: boolean; code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [program, scenario], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    let ended = true;
    let timer: NodeJS.Timeout | undefined;
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
      timer ??= setTimeout(() => {
        ended = false;
        child.kill('SIGKILL');
      }, ms);
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ ended, code, output });
    });
  });
}

test('an idle handle with waiting, delayed and leased messages keeps no process', async () => {
  expect(await run('idle', 5000)).toMatchObject({ ended: true, code: 0 });
});

test('a pending receive keeps the process until it is over', async () => {
  expect(await run('receive', 400)).toMatchObject({ ended: false });
  expect(await run('receive-abort', 5000)).toMatchObject({
    ended: true,
    code: 0,
    output: 'ready\naborted\n',
  });
});

test('a send that waits for room keeps the process at most flushMs', async () => {
  const before = performance.now();
  const { ended, output } = await run('full', 5000);
  expect(ended).toBe(true);
  expect(output).toBe('ready\n');
  expect(performance.now() - before).toBeGreaterThan(300);
});

test('a receipt that is waited for keeps the process', async () => {
  expect(await run('receipt', 400)).toMatchObject({ ended: false });
});
