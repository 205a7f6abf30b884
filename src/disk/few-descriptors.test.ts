// A log whose process has no descriptor left for the next segment waits, tells, and goes on when there is one again.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

test('a log without a descriptor for its next segment waits, and goes on', () => {
  const folder = mkdtempSync(join(tmpdir(), 'naru-descriptors-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const program = fileURLToPath(new URL('./few-descriptors.fixture.js', import.meta.url));
  const limited = ['-c', 'ulimit -n 64 && exec "$@"', 'sh', process.execPath, program, folder];
  const { stdout, stderr } = spawnSync('sh', limited, { encoding: 'utf8', timeout: 30_000 });
  expect(stderr).toBe('');
  const said = JSON.parse(stdout) as { readonly taken: number };
  expect(said.taken).toBeGreaterThan(5);
  expect(said).toMatchObject({ states: [true, false], synced: 200 });
});
