// naru bridge into each place and out of it again: two bridges at a time, from a mailbox in shared memory to the place and on to another.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { open } from '../open.ts';
import { Sandbox } from './command.fixture.ts';
import { FILE_PLACES, PIPE_PLACES, QUEUE_PLACES, SHARED_PLACES } from './places.fixture.ts';

const COUNT = 25;
const LIMIT = { timeout: 120_000 };

const name = (): string => `naru-test-${process.pid}-${randomBytes(4).toString('hex')}`;

/** URLs that reach a mailbox of this place: for the bridge that sends to it, and for the one that receives. */
const ENDS: Readonly<Record<string, (sandbox: Sandbox) => readonly [string, string]>> = {
  shm: () => both('shm://middle'),
  unix: ({ socketUrl }) => both(socketUrl),
  sysv: () => both(`sysv://${name()}`),
  posixmq: () => both(`posixmq://${name()}`),
  mmap: (sandbox) => both(`mmap://${sandbox.path('ring')}`),
  fifo: (sandbox) => both(`fifo://${sandbox.path('fifo')}`),
};

function both(url: string): readonly [string, string] {
  return [url, url];
}

const bodies = (count: number): string[] => Array.from({ length: count }, (_, i) => `message ${i} 나루`);

/** Fills shm://source. The bodies are the same whoever brings them. */
async function source(count: number): Promise<AsyncDisposable> {
  const mailbox = await open('shm://source', { codec: 'text', owner: 'system' });
  await mailbox.sendMany(bodies(count));
  return mailbox;
}

/** Everything that has come to shm://target. */
async function arrived(count: number): Promise<string[]> {
  await using target = await open('shm://target', { codec: 'text', create: 'never' });
  return (await target.receiveMany(count, { timeoutMs: 20_000 })).map(({ data }) => data);
}

describe.skipIf(!SHARED_PLACES.includes('shm'))('naru bridge', () => {
  const places = [...SHARED_PLACES, ...QUEUE_PLACES, ...FILE_PLACES, ...PIPE_PLACES];

  test.each(places.filter((place) => place in ENDS))('into %s and out of it', LIMIT, async (place) => {
    await using sandbox = new Sandbox();
    sandbox.share();
    await using _source = await source(COUNT);
    const [into, outOf] = ENDS[place]?.(sandbox) ?? both('');
    const count = ['--count', String(COUNT)];
    const bridges = [
      sandbox.start(['bridge', outOf, 'shm://target', ...count], { watchdogMs: 50_000 }),
      sandbox.start(['bridge', 'shm://source', into, ...count], { watchdogMs: 50_000 }),
    ];
    try {
      for (const { code, stderr } of await Promise.all(bridges.map(({ done }) => done))) {
        expect([code, code === 0 ? '' : stderr]).toEqual([0, '']);
      }
      expect((await arrived(COUNT)).toSorted()).toEqual(bodies(COUNT).toSorted());
    } finally {
      await sandbox.run(['rm', into]);
    }
  });

  test('into a plain file, which keeps the newest value, and out of it', LIMIT, async () => {
    await using sandbox = new Sandbox();
    sandbox.share();
    await using _source = await source(1);
    const url = `file://${sandbox.path('value')}?format=raw`;
    expect(await sandbox.run(['bridge', 'shm://source', url, '--count', '1'])).toMatchObject({ code: 0 });
    expect(await sandbox.run(['bridge', url, 'shm://target', '--count', '1'])).toMatchObject({ code: 0 });
    expect(await arrived(1)).toEqual(bodies(1));
  });

  test('into a pipe of the shell and out of it', LIMIT, async () => {
    await using sandbox = new Sandbox();
    sandbox.share();
    await using _source = await source(COUNT);
    const naru = `"${process.execPath}" "${fileURLToPath(new URL('./index.js', import.meta.url))}" bridge --count ${COUNT}`;
    const line = `${naru} shm://source pipe://fd/1 | ${naru} pipe://fd/0 shm://target`;
    await promisify(execFile)('sh', ['-c', line], { timeout: 50_000 });
    expect(await arrived(COUNT)).toEqual(bodies(COUNT));
  });
});
