// naru inspect, peek and purge: what they show and remove, and that looking changes nothing.

import { describe, expect, test } from 'vitest';
import { Sandbox } from './command.fixture.ts';
import { looksThrough } from './look-engines.fixture.ts';
import { SHARED_PLACES, startHost } from './places.fixture.ts';

describe.each(SHARED_PLACES)('through %s', (place) => {
  test('peek and inspect leave every message as it was, and purge removes them', async () => {
    await using sandbox = new Sandbox();
    const bodies = ['one', 'two', 'three', '--header', 'a=b'];
    // In shared memory it ends at once; elsewhere it holds the mailbox, and waits for receivers of what it sent.
    const url = place === 'shm' ? 'shm://mailbox' : (await startHost(sandbox, place, 'send', bodies)).url;
    if (place === 'shm') {
      await sandbox.run(['send', url, ...bodies]);
      await sandbox.run(['send', url, 'four']);
    }
    const waiting = place === 'shm' ? 4 : 3;
    const peeked = await sandbox.run(['peek', url, '--count', '2', '--json']);
    expect(peeked.code).toBe(0);
    const lines = peeked.stdout.toString().trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { body: 'one', headers: { a: 'b' }, deliveries: 1 },
      { body: 'two', headers: { a: 'b' }, deliveries: 1 },
    ]);
    const { code, stdout } = await sandbox.run(['inspect', url, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout.toString())).toMatchObject({
      mailbox: url,
      place,
      stats: { depth: waiting, unsettled: 0, consumers: 0 },
      features: { ack: 'native' },
      limits: { priorityMin: 0 },
    });
    expect((await sandbox.run(['peek', url])).stdout.toString()).toBe('one\n');
    expect((await sandbox.run(['inspect', url])).stdout.toString()).toMatch(
      new RegExp(`^waiting +${waiting}$`, 'm'),
    );
    const purged = await sandbox.run(['purge', url, '--json']);
    expect(purged.code).toBe(0);
    expect(JSON.parse(purged.stdout.toString())).toEqual({ mailbox: url, removed: waiting });
  });
});

test.skipIf(!SHARED_PLACES.includes('shm'))(
  'a mailbox in a file of SQLite is inspected, looked into, emptied and removed',
  { timeout: 120_000 },
  async () => {
    await using sandbox = new Sandbox();
    await looksThrough(sandbox, `sqlite://${sandbox.path('jobs.db')}?mailbox=jobs`, 'sqlite');
  },
);

test('none of them creates a mailbox', async () => {
  await using sandbox = new Sandbox();
  for (const name of ['inspect', 'peek', 'purge']) {
    const { code, stderr } = await sandbox.run([name, sandbox.socketUrl]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^naru: NARU_NOT_FOUND: /);
  }
});

test('a place that cannot be looked into is NARU_UNSUPPORTED with the places that can', async () => {
  await using sandbox = new Sandbox();
  const { code, stderr } = await sandbox.run(['peek', `${sandbox.socketUrl}?format=raw&frame=lines`]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^naru: NARU_UNSUPPORTED: .*peek.*places that have it: .*tcp:\/\//);
});

test.skipIf(!SHARED_PLACES.includes('shm'))('a topic cannot be purged', async () => {
  await using sandbox = new Sandbox();
  await sandbox.run(['send', 'shm://news?deliver=all&retain=5', 'x']);
  const { code, stderr } = await sandbox.run(['purge', 'shm://news']);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^naru: NARU_UNSUPPORTED: .*is a topic.*can be emptied: /);
});
