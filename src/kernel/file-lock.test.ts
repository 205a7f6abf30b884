// FileLock: who excludes whom, waiting and its limits, and what a death leaves; C and Python on the other side.

import { rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from '../native/index.ts';
import { FileLock } from './file-lock.ts';
import { codeOf, hasCompiler, KernelStage } from './stage.fixture.ts';

describe.skipIf(tryNative() === undefined)(`FileLock (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: KernelStage;
  let path: string;
  beforeEach(() => {
    stage = new KernelStage();
    path = stage.path('lock');
  });
  afterEach(() => stage.close());

  test('one exclusive holder, or several shared ones', async () => {
    await using one = new FileLock(path);
    await using two = new FileLock(path);
    expect([one.tryAcquire(), two.tryAcquire(), two.tryAcquire('shared')]).toEqual([true, false, false]);
    expect([one.held, two.held]).toEqual(['exclusive', undefined]);
    one.release();
    one.release();
    expect([one.tryAcquire('shared'), two.tryAcquire('shared')]).toEqual([true, true]);
    two.release();
    expect(await codeOf(() => two.acquireSync('exclusive', { timeoutMs: 10 }))).toBe('NARU_TIMEOUT');
    expect(await codeOf(() => two.acquire('exclusive', { timeoutMs: 10 }))).toBe('NARU_TIMEOUT');
    expect(await codeOf(() => two.acquire('exclusive', { timeoutMs: 0 }))).toBe('NARU_TIMEOUT');
    expect(await codeOf(() => one.tryAcquire())).toBe('NARU_INVALID_ARGUMENT');
    one.release();
    two.acquireSync();
    expect(two.held).toBe('exclusive');
  });

  test('a lock on a file that was removed or replaced is refused: it would exclude nobody', async () => {
    await using one = new FileLock(path);
    await using waiting = new FileLock(path);
    one.acquireSync();
    const wait = codeOf(() => waiting.acquire());
    rmSync(path);
    one.release();
    expect(await wait).toBe('NARU_CLOSED');
    expect(waiting.held).toBeUndefined();
    writeFileSync(path, '');
    expect(await codeOf(() => one.tryAcquire())).toBe('NARU_CLOSED');
    expect(await codeOf(() => one.acquireSync())).toBe('NARU_CLOSED');
    expect(one.held).toBeUndefined();
    await using anew = new FileLock(path);
    expect(anew.tryAcquire()).toBe(true);
  });

  test('a waiting acquire gets the lock when it is released, and gives it back when it was aborted', async () => {
    await using one = new FileLock(path);
    await using two = new FileLock(path);
    one.acquireSync();
    const wait = two.acquire('shared');
    expect(await codeOf(() => two.tryAcquire())).toBe('NARU_INVALID_ARGUMENT');
    one.release();
    await wait;
    expect(two.held).toBe('shared');
    const abort = new AbortController();
    const aborted = one.acquire('exclusive', { signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    two.release();
    await using three = new FileLock(path);
    await three.acquire();
    expect(three.held).toBe('exclusive');
  });

  test('close() frees the lock and ends a wait', async () => {
    const one = new FileLock(path);
    await using two = new FileLock(path);
    two.acquireSync();
    const wait = codeOf(() => one.acquire());
    await one.close();
    await one.close();
    expect(await wait).toBe('NARU_CLOSED');
    expect(await codeOf(() => one.release())).toBe('NARU_CLOSED');
    expect(await codeOf(() => new FileLock('/nowhere/at/all'))).toBe('NARU_NOT_FOUND');
    expect(await codeOf(() => new FileLock(stage.path('none'), { create: false }))).toBe('NARU_NOT_FOUND');
  });

  test.skipIf(!hasCompiler())('a C program that holds it is killed: it is free', async () => {
    await using lock = new FileLock(path);
    const child = stage.c(
      'holder',
      `int fd = open(argv[1], O_RDWR); if (flock(fd, LOCK_EX) != 0) fail("flock"); say("holds"); for (;;) pause();`,
      path,
    );
    expect(await child.line()).toBe('holds');
    expect(lock.tryAcquire('shared')).toBe(false);
    const wait = lock.acquire('exclusive', { timeoutMs: 20_000 });
    child.process.kill('SIGKILL');
    await wait;
    expect(lock.held).toBe('exclusive');
  });

  test("Python's fcntl.flock and ours exclude each other", async () => {
    await using lock = new FileLock(path);
    lock.acquireSync();
    const program = `
import fcntl, sys
f = open(sys.argv[1], 'r+')
try:
    fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print('free', flush=True)
except BlockingIOError:
    print('busy', flush=True)
fcntl.flock(f, fcntl.LOCK_EX)
print('holds', flush=True)
import signal
signal.pause()
`;
    const child = stage.start('python3', ['-c', program, path]);
    expect(await child.line()).toBe('busy');
    lock.release();
    expect(await child.line()).toBe('holds');
    expect(lock.tryAcquire()).toBe(false);
  });
});
