// The commands that look at, empty and remove mailboxes, with a mailbox in a mapped file.

import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Sandbox, until } from './command.fixture.ts';
import { FILE_PLACES } from './places.fixture.ts';

const LIMIT = { timeout: 120_000 };

describe.skipIf(!FILE_PLACES.includes('mmap'))('a mailbox in a mapped file', () => {
  test(
    'send, inspect, peek, receive and purge work on it, and it stays when nobody uses it',
    LIMIT,
    async () => {
      await using sandbox = new Sandbox();
      const url = `mmap://${sandbox.path('events')}`;
      expect((await sandbox.run(['send', url, 'one', 'two', 'three'])).code).toBe(0);
      expect(existsSync(sandbox.path('events.naru'))).toBe(false);
      const inspected = JSON.parse(
        (await sandbox.run(['inspect', url, '--json'])).stdout.toString(),
      ) as object;
      expect(inspected).toMatchObject({ mailbox: url, place: 'mmap', stats: { depth: 3 } });
      expect((await sandbox.run(['peek', url])).stdout.toString()).toBe('one\n');
      expect((await sandbox.run(['receive', url, '--count', '2'])).stdout.toString()).toBe('one\ntwo\n');
      const purged = await sandbox.run(['purge', url, '--json']);
      expect(JSON.parse(purged.stdout.toString())).toEqual({ mailbox: url, removed: 1 });
      expect(existsSync(sandbox.path('events'))).toBe(true);
    },
  );

  test('ls shows it while somebody has it open, and who that is', LIMIT, async () => {
    await using sandbox = new Sandbox();
    const url = `mmap://${sandbox.path('a b')}`;
    const { child } = sandbox.start(['receive', url]);
    const shown = async (): Promise<string> => (await sandbox.run(['ls'])).stdout.toString();
    await until(() => existsSync(sandbox.path('a b.naru')));
    let text = '';
    for (let tries = 0; tries < 50 && !/a%20b .*consumer/.test(text); tries += 1) text = await shown();
    expect(text).toMatch(
      new RegExp(`^mailbox +mmap://${sandbox.folder}/a%20b +\\S+ +600 +0 .*consumer ${child.pid}\\.`, 'm'),
    );
  });

  test('rm removes it, also when it is damaged, and never a file that is something else', LIMIT, async () => {
    await using sandbox = new Sandbox();
    const path = sandbox.path('events');
    const url = `mmap://${path}`;
    expect((await sandbox.run(['rm', url])).stderr).toMatch(/NARU_NOT_FOUND/);
    await sandbox.run(['send', url, 'x']);
    expect((await sandbox.run(['rm', url])).code).toBe(0);
    expect(existsSync(path)).toBe(false);
    await sandbox.run(['send', url, 'x']);
    truncateSync(path, 100);
    expect((await sandbox.run(['inspect', url])).stderr).toMatch(/NARU_CORRUPT.*100 bytes/);
    expect((await sandbox.run(['rm', url])).code).toBe(0);
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, 'my diary\n'.repeat(1000), { mode: 0o600 });
    for (const args of [
      ['rm', url],
      ['send', url, 'x'],
      ['purge', url],
    ]) {
      const { code, stderr } = await sandbox.run(args);
      expect(code, args.join(' ')).not.toBe(0);
      expect(stderr).toMatch(/NARU_CORRUPT/);
    }
    expect(readFileSync(path, 'utf8')).toBe('my diary\n'.repeat(1000));
    expect(existsSync(`${path}.naru`)).toBe(false);
  });
});
