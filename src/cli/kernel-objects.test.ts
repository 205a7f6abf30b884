// naru inspect, rm, peek and purge on objects of the kernel that others made, by the names that naru ls prints; and that looking changes
// nothing.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { PosixQueue, Semaphore, SharedMemory, SystemVQueue } from '../kernel/index.ts';
import { native, nativeProblem } from '../native/index.ts';
import { Sandbox } from './command.fixture.ts';

const key = 0x51000000 | (process.pid & 0xffffff);
const keyText = `0x${key.toString(16)}`;
const posixName = `naru-object ${process.pid}`;
const posixText = encodeURIComponent(posixName);

interface Listed {
  readonly kind: string;
  readonly name: string;
}

/** What is made before the commands run, and removed should they not have done it. */
interface Made {
  readonly kind: string;
  readonly url: string;
  /** What inspect shows of it, beside what all have. */
  readonly facts: object;
  readonly make: () => { readonly exists: () => boolean; readonly remove: () => void };
}

const isListed = (all: readonly object[], wanted: object): boolean =>
  all.some((one) => Object.entries(wanted).every(([name, value]) => Reflect.get(one, name) === value));

const OBJECTS: readonly Made[] = [
  {
    kind: 'shared memory',
    url: `posix-shm://${posixText}`,
    facts: { bytes: 5000, mode: 0o640 },
    make: () => {
      SharedMemory.posix(posixName, { create: 'new', sizeBytes: 5000, mode: 0o640 }).close();
      return {
        exists: () => isListed(SharedMemory.list(), { name: `/${posixName}` }),
        remove: () => SharedMemory.unlink(posixName),
      };
    },
  },
  {
    kind: 'shared memory',
    url: `sysv-shm://${keyText}`,
    facts: { bytes: 5000, mode: 0o600, key: keyText, attached: 0, creatorPid: process.pid, isRemoved: false },
    make: () => {
      // Not through the class: where a mapping is a SharedArrayBuffer (Node 24) the collector detaches it, some time after close().
      const id = native('a test').systemVShmGet(key, 5000, true, 0o600);
      return {
        exists: () => isListed(SharedMemory.list(), { kind: 'system-v', id }),
        remove: () => SharedMemory.removeSegment(id),
      };
    },
  },
  {
    kind: 'semaphore',
    url: `posix-sem://${posixText}`,
    facts: { value: '3', mode: 0o600 },
    make: () => {
      void Semaphore.posix(posixName, { create: 'new', value: 3 }).close();
      return {
        exists: () => isListed(Semaphore.list(), { name: `/${posixName}` }),
        remove: () => Semaphore.unlink(posixName),
      };
    },
  },
  {
    kind: 'semaphore',
    url: `sysv-sem://${keyText}`,
    facts: { depth: 3, values: '2 2 2', key: keyText },
    make: () => {
      const semaphore = Semaphore.systemV(key, { create: 'new', count: 3, value: 2 });
      const { id = 0 } = semaphore;
      void semaphore.close();
      return {
        exists: () => isListed(Semaphore.list(), { kind: 'system-v', id }),
        remove: () => Semaphore.removeSet(id),
      };
    },
  },
];

describe.skipIf(nativeProblem() !== undefined)('objects that are no mailboxes', () => {
  test.each(OBJECTS)('$kind $url is listed, shown and removed', async ({ kind, url, facts, make }) => {
    await using sandbox = new Sandbox();
    const made = make();
    try {
      const { objects } = JSON.parse((await sandbox.run(['ls', '--json'])).stdout.toString()) as {
        objects: Listed[];
      };
      expect(objects).toContainEqual(expect.objectContaining({ kind, name: url }));
      const shown = await sandbox.run(['inspect', url, '--json']);
      expect(shown).toMatchObject({ code: 0, stderr: '' });
      expect(JSON.parse(shown.stdout.toString())).toMatchObject({ object: { kind, name: url, ...facts } });
      expect((await sandbox.run(['inspect', url])).stdout.toString()).toContain(`${kind} ${url}`);
      for (const command of ['peek', 'purge']) {
        const { code, stderr } = await sandbox.run([command, url]);
        expect(code).toBe(1);
        expect(stderr).toMatch(/^naru: NARU_UNSUPPORTED: .*holds no messages/);
      }
      expect(made.exists()).toBe(true);
      expect(await sandbox.run(['rm', url])).toMatchObject({ code: 0, stderr: '' });
      expect(made.exists()).toBe(false);
      expect((await sandbox.run(['rm', url])).stderr).toMatch(/^naru: NARU_NOT_FOUND: /);
    } finally {
      if (made.exists()) made.remove();
    }
  });

  test('a FIFO is shown without being opened, and removed', async () => {
    await using sandbox = new Sandbox();
    const path = sandbox.path('fifo');
    execFileSync('mkfifo', ['-m', '600', path]);
    const shown = await sandbox.run(['inspect', `fifo://${path}`, '--json']);
    expect(JSON.parse(shown.stdout.toString())).toMatchObject({
      object: { kind: 'FIFO', mode: 0o600, bytes: null },
    });
    expect((await sandbox.run(['rm', `fifo://${path}`])).code).toBe(0);
    expect(existsSync(path)).toBe(false);
    for (const command of ['inspect', 'rm']) {
      // A plain file is no FIFO.
      const { code, stderr } = await sandbox.run([command, `fifo://${process.execPath}`]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^naru: NARU_NOT_FOUND: /);
    }
  });
});

describe.skipIf(nativeProblem() !== undefined)('queues that others made', () => {
  test('a private System V queue is inspected, peeked at, purged and removed by its id', async () => {
    await using sandbox = new Sandbox();
    await using queue = SystemVQueue.open({ key: 'private' });
    const url = `sysv://id/${queue.id}`;
    try {
      for (let n = 1; n <= 3; n += 1) queue.trySend(Buffer.from(`message ${n}`), n);
      const before = queue.stat();
      const shown = await sandbox.run(['inspect', url, '--json']);
      expect(JSON.parse(shown.stdout.toString())).toMatchObject({
        mailbox: url,
        stats: { depth: 3, depthBytes: 27, producers: null },
        object: { key: 'private', id: queue.id, lastSenderPid: process.pid, lastReceiverPid: 'none' },
      });
      const peeked = await sandbox.run(['peek', url, '--count', '2', '--json']);
      expect(
        peeked.stdout
          .toString()
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as object),
      ).toMatchObject([
        { body: 'message 1', type: '1' },
        { body: 'message 2', type: '2' },
      ]);
      expect((await sandbox.run(['peek', `${url}?type=3`])).stdout.toString()).toBe('message 3\n');
      expect(queue.stat()).toEqual(before);
      const purged = await sandbox.run(['purge', url, '--json']);
      expect(JSON.parse(purged.stdout.toString())).toEqual({ mailbox: url, removed: 3 });
      expect((await sandbox.run(['rm', url])).code).toBe(0);
      expect(SystemVQueue.list().map(({ id }) => id)).not.toContain(queue.id);
      expect((await sandbox.run(['inspect', url])).stderr).toMatch(/^naru: NARU_NOT_FOUND: /);
    } finally {
      if (SystemVQueue.list().some(({ id }) => id === queue.id)) queue.remove();
    }
  });

  test('a POSIX queue of any name is inspected, purged and removed; it cannot be peeked at', async () => {
    await using sandbox = new Sandbox();
    const name = `/${posixName}`;
    const url = `posixmq://${posixText}`;
    await using queue = PosixQueue.open({ name, create: 'new', maxMessages: 5, maxMessageBytes: 100 });
    const names = (): boolean => {
      try {
        void PosixQueue.open({ name, create: 'never' }).close();
        return true;
      } catch {
        return false;
      }
    };
    try {
      for (let n = 1; n <= 3; n += 1) queue.trySend(Buffer.from('four'), n);
      const shown = await sandbox.run(['inspect', url, '--json']);
      expect(JSON.parse(shown.stdout.toString())).toMatchObject({
        mailbox: url,
        stats: { depth: 3, depthBytes: 12, producers: null },
        // The kernel keeps neither.
        object: {
          lastSenderPid: null,
          lastReceiverPid: null,
          maxMessages: 5,
          maxMessageBytes: 100,
          state: 'live',
        },
      });
      expect((await sandbox.run(['inspect', url])).stdout.toString()).toMatch(/^last sender pid +unknown$/m);
      const { code, stderr } = await sandbox.run(['peek', url]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^naru: NARU_UNSUPPORTED: .*places that have it: .*sysv:\/\//);
      expect(queue.depth()).toBe(3);
      expect((await sandbox.run(['purge', url])).stdout.toString()).toBe('removed 3 messages\n');
      expect((await sandbox.run(['rm', url])).code).toBe(0);
      expect(names()).toBe(false);
    } finally {
      if (names()) PosixQueue.unlink(name);
    }
  });
});
