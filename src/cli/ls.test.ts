// naru ls: it shows what Naru made and what others made, with who used it last, dead or alive, and changes nothing.

import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PosixQueue, Semaphore, SharedMemory, SystemVQueue } from '../kernel/index.ts';
import { nativeProblem } from '../native/index.ts';
import { Sandbox, until } from './command.fixture.ts';

interface Listed {
  readonly kind: string;
  readonly name: string;
  readonly depth: number | null;
  readonly peers: readonly { readonly what: string; readonly isAlive: boolean }[] | null;
}

async function listed(sandbox: Sandbox): Promise<Listed[]> {
  const { code, stdout } = await sandbox.run(['ls', '--json']);
  expect(code).toBe(0);
  return (JSON.parse(stdout.toString()) as { objects: Listed[] }).objects;
}

test.skipIf(nativeProblem() !== undefined)(
  'kernel objects and mailboxes are listed as they are',
  async () => {
    await using sandbox = new Sandbox();
    const name = `/naru-ls-${process.pid}`;
    const key = 0x4e000000 | (process.pid & 0xffffff);
    await using queue = SystemVQueue.open({ key, create: 'new' });
    await using other = PosixQueue.open({ name, create: 'new' });
    await using memory = SharedMemory.posix(name, { create: 'new', sizeBytes: 5000 });
    await Semaphore.posix(name, { create: 'new' }).close();
    try {
      queue.trySend(Buffer.from('four'), 7);
      other.trySend(Buffer.from('three'));
      await sandbox.run(['send', 'shm://jobs', 'a', 'b']);
      const objects = await listed(sandbox);
      const find = (kind: string, text: string): Listed | undefined =>
        objects.find((one) => one.kind === kind && one.name.includes(text));
      expect(find('System V queue', `sysv://0x${key.toString(16)}`)).toMatchObject({
        depth: 1,
        bytes: 4,
        mode: 0o600,
        peers: [{ what: `last sender ${process.pid}`, isAlive: true }],
      });
      // Listed by the kernel, or else because this process has it open.
      expect(find('POSIX queue', `posixmq:/${name}`)).toMatchObject({
        depth: 1,
        bytes: 5,
        peers: [{ what: `reads and writes ${process.pid}`, isAlive: true }],
        state: 'live',
      });
      expect(find('shared memory', `posix-shm:/${name}`)).toMatchObject({
        bytes: 5000,
        peers: [{ what: `maps ${process.pid}`, isAlive: true }],
        state: 'live',
      });
      expect(find('semaphore', `posix-sem:/${name}`)).toMatchObject({ mode: 0o600 });
      expect(find('mailbox', 'shm://jobs')).toMatchObject({ depth: 2, state: 'live', peers: [] });
      expect(queue.stat().count).toBe(1);
      expect((await sandbox.run(['ls'])).stdout.toString()).toMatch(/^System V queue +sysv:\/\/0x4e/m);
    } finally {
      queue.remove();
      other.unlink();
      memory.remove();
      Semaphore.unlink(name);
    }
  },
);

test.skipIf(nativeProblem() !== undefined)('a sender that has died is shown as gone', async () => {
  await using sandbox = new Sandbox();
  const key = 0x4f000000 | (process.pid & 0xffffff);
  await using queue = SystemVQueue.open({ key, create: 'new' });
  try {
    const kernel = new URL('../kernel/index.js', import.meta.url).href;
    const program = `import { SystemVQueue } from '${kernel}'; SystemVQueue.open({ key: ${key} }).trySend(Buffer.from('x'));`;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', program]);
    const found = (await listed(sandbox)).find((one) => one.name === `sysv://0x${key.toString(16)}`);
    expect(found?.peers).toEqual([{ what: `last sender ${child.pid}`, isAlive: false }]);
  } finally {
    queue.remove();
  }
});

test.skipIf(nativeProblem() !== undefined)(
  'a FIFO is listed while somebody has it open, and not those of a mailbox',
  async () => {
    await using sandbox = new Sandbox();
    sandbox.share();
    const path = sandbox.path('a fifo');
    execFileSync('mkfifo', ['-m', '640', path]);
    const names = async (): Promise<string[]> => (await listed(sandbox)).map(({ name }) => name);
    const url = `fifo://${path.replace(' ', '%20')}`;
    expect(await names()).not.toContain(url);
    const fd = openSync(path, 'r+');
    try {
      const receiver = sandbox.start(['receive', 'shm://jobs']);
      await until(async () => (await names()).includes('shm://jobs'));
      const objects = await listed(sandbox);
      expect(objects.find(({ name }) => name === url)).toMatchObject({
        kind: 'FIFO',
        mode: 0o640,
        depth: null,
        peers: [{ what: `reads and writes ${process.pid}`, isAlive: true }],
      });
      const own = process.env['NARU_RUNTIME_DIR'];
      expect(own === undefined ? [] : objects.filter(({ name }) => name.includes(own))).toEqual([]);
      receiver.child.kill('SIGTERM');
      await receiver.done;
    } finally {
      closeSync(fd);
    }
  },
);
