// A real file system that is full: the log waits, reads and removes meanwhile, and goes on by itself when there is room. With the addon,
// where fallocate(2) meets the end, and without it, where a write does.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';

const fixture = fileURLToPath(new URL('./full.fixture.js', import.meta.url));
/** A tmpfs of 1 MiB in a mount namespace of its own; it goes with the process. */
const SCRIPT = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$1" "$2" "$0" "$3"';
const canMount = spawnSync('unshare', ['-Ur', '-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;

describe.skipIf(!canMount)(
  `a full file system${canMount ? '' : ' (skipped: needs unshare with a tmpfs)'}`,
  () => {
    test.each([
      ['removals', 'with the addon', ''],
      ['file', 'with the addon', ''],
      ['removals', 'without the addon', '1'],
      ['file', 'without the addon', '1'],
    ])('room from %s, %s: everything is confirmed in the end', (how, _name, noNative) => {
      const folder = mkdtempSync(join(tmpdir(), 'naru-full-'));
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      const env = { ...process.env, NARU_NO_NATIVE: noNative };
      const args = ['-Ur', '-m', 'sh', '-c', SCRIPT, folder, process.execPath, fixture, how];
      const { stdout, stderr, status } = spawnSync('unshare', args, {
        encoding: 'utf8',
        env,
        timeout: 20_000,
      });
      expect(`${stderr}${stdout}`).toMatch(/^\{/);
      expect(status).toBe(0);
      const result = JSON.parse(stdout) as { confirmed: number; appended: number };
      expect(result).toMatchObject({ isReadable: true, isThere: true });
      expect(result.confirmed).toBeLessThan(result.appended);
      expect(result.confirmed).toBeGreaterThan(200);
    });
  },
);
