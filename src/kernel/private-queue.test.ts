// Private queues: they go with their owner, the kernel proves its death, and nobody else's queue is ever taken for one.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from '../native/index.ts';
import { SystemVQueue } from './index.ts';
import {
  cleanPrivateQueues,
  findPrivateQueue,
  listDeadPrivateQueues,
  makePrivateQueue,
} from './private-queue.ts';
import { KernelStage } from './stage.fixture.ts';

describe.skipIf(tryNative() === undefined)(`private queues (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: KernelStage;

  beforeEach(() => {
    stage = new KernelStage();
  });
  afterEach(() => stage.close());

  /** Another process that has such a queue. */
  async function owner(): Promise<{ readonly child: ChildProcess; readonly key: number }> {
    const program = `import { makePrivateQueue } from '${new URL('./private-queue.js', import.meta.url).href}';
      console.log(makePrivateQueue(0o600).key); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program]);
    stage.cleanup(() => child.kill('SIGKILL'));
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    return { child, key: Number(line.toString()) };
  }

  async function kill(child: ChildProcess): Promise<void> {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  test("a living process's queue is found, its mode is what was asked for, and it is gone with close()", () => {
    const own = makePrivateQueue(0o660);
    stage.cleanup(() => own.close());
    const found = findPrivateQueue(own.key);
    expect(found?.id).toBe(own.id);
    expect(found?.isGone()).toBe(false);
    const queue = SystemVQueue.open({ id: own.id });
    expect(queue.stat().mode & 0o666).toBe(0o660);
    own.close();
    own.close();
    expect(found?.isGone()).toBe(true);
    expect(findPrivateQueue(own.key)).toBeUndefined();
  });

  test('SIGKILL of the owner: whoever looks knows at once, and removes what is left', async () => {
    const { child, key } = await owner();
    const found = findPrivateQueue(key);
    expect(found?.isGone()).toBe(false);
    expect(listDeadPrivateQueues().map((queue) => queue.key)).not.toContain(key);
    await kill(child);
    expect(found?.isGone()).toBe(true);
    expect(SystemVQueue.list().map((queue) => queue.key)).not.toContain(key);
  });

  test('the next who makes one removes what the dead left', async () => {
    const { child, key } = await owner();
    await kill(child);
    expect(listDeadPrivateQueues().map((queue) => queue.key)).toContain(key);
    makePrivateQueue(0o600).close();
    expect(SystemVQueue.list().map((queue) => queue.key)).not.toContain(key);
  });

  test.each([0o777, 0o666, 0o600, 0o711, 0o755])(
    "a queue of somebody else's with mode %o is neither found nor removed, whatever its key",
    async (mode) => {
      const dead = await owner();
      await kill(dead.child);
      cleanPrivateQueues();
      // The key of a dead owner: the queue has everything but the marks.
      const queue = SystemVQueue.open({ key: dead.key, create: 'new', mode });
      stage.cleanup(() => queue.remove());
      expect(findPrivateQueue(dead.key)).toBeUndefined();
      makePrivateQueue(0o600).close();
      expect(cleanPrivateQueues()).not.toContainEqual(expect.objectContaining({ key: dead.key }));
      expect(queue.stat().mode).toBe(mode);
    },
  );
});
