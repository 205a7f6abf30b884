// tryLock and unlock: a held lock is the proof that its holder lives.

import { closeSync, constants, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { processStart } from './identity.ts';
import { nativeProblem, tryNative } from './index.ts';
import { actFile, addon, Stage, until } from './stage.fixture.ts';

describe.skipIf(tryNative() === undefined)(`locks (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: Stage;
  beforeEach(() => {
    stage = new Stage();
  });
  afterEach(() => stage.close());

  test('one exclusive or many shared holders, also within one process', () => {
    const [one, two, three] = [stage.open('a'), stage.open('a'), stage.open('a')];
    expect(addon.tryLock(one, 'exclusive')).toBe(true);
    expect(addon.tryLock(two, 'exclusive')).toBe(false);
    expect(addon.tryLock(two, 'shared')).toBe(false);
    addon.unlock(one);
    expect(addon.tryLock(two, 'shared')).toBe(true);
    expect(addon.tryLock(three, 'shared')).toBe(true);
    expect(addon.tryLock(one, 'exclusive')).toBe(false);
  });

  test('a lock can be taken again by its holder, and unlock needs none', () => {
    const fd = stage.open('a');
    addon.unlock(fd);
    expect(addon.tryLock(fd, 'shared')).toBe(true);
    expect(addon.tryLock(fd, 'exclusive')).toBe(true);
    expect(addon.tryLock(fd, 'exclusive')).toBe(true);
  });

  test('a duplicate shares the lock, which goes with the last of them', () => {
    const [one, other] = [stage.open('a'), stage.open('a')];
    const copy = addon.duplicate(one);
    expect(addon.tryLock(one, 'exclusive')).toBe(true);
    expect(addon.tryLock(copy, 'exclusive')).toBe(true);
    expect(addon.tryLock(other, 'shared')).toBe(false);
    closeSync(copy);
    expect(addon.tryLock(other, 'shared')).toBe(false);
    addon.unlock(one);
    expect(addon.tryLock(other, 'shared')).toBe(true);
    expect(() => addon.duplicate(copy)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });

  test.each(['a file', 'a FIFO'])('%s is locked by a process until SIGKILL', async (what) => {
    if (what === 'a FIFO') addon.makeFifo(stage.path('a'), 0o600);
    const fd = stage.open('a', what === 'a FIFO' ? constants.O_RDWR | constants.O_NONBLOCK : 'a+');
    const child = stage.act('hold', stage.path('a'));
    expect(await child.line()).toBe('true');
    expect(addon.tryLock(fd, 'shared')).toBe(false);
    child.process.kill('SIGKILL');
    await until('the kernel frees the lock', () => addon.tryLock(fd, 'shared'));
    expect(await child.end()).toMatchObject({ signal: 'SIGKILL' });
  });

  test('a zombie holds no lock and has no start, although its pid still answers', async () => {
    const fd = stage.open('a');
    // The shell becomes a program that never asks after its child.
    const script = '"$0" "$1" hold "$2" & echo $!; exec sleep 600';
    const shell = stage.start('sh', ['-c', script, process.execPath, actFile, stage.path('a')]);
    const pid = Number(await shell.line());
    expect(await shell.line()).toBe('true');
    expect(addon.tryLock(fd, 'shared')).toBe(false);
    expect(processStart(pid)).toBeGreaterThan(0);
    process.kill(pid, 'SIGKILL');
    await until('it is a zombie', () => /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1')));
    // The first thread is a zombie a little before the last one has closed the files.
    await until('the kernel frees the lock', () => addon.tryLock(fd, 'exclusive'));
    expect(process.kill(pid, 0)).toBe(true);
    expect(processStart(pid)).toBeUndefined();
  });

  test('a bad mode or descriptor is refused', () => {
    const fd = stage.open('a');
    expect(() => addon.tryLock(fd, 'both' as 'shared')).toThrow(TypeError);
    expect(() => addon.tryLock(1_000_000, 'shared')).toThrow(
      expect.objectContaining({ code: 'EBADF', syscall: 'flock' }),
    );
    expect(() => addon.unlock(-1)).toThrow(RangeError);
  });
});
