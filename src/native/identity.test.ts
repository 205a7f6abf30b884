// Names of processes and threads: told apart, written and read back.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { formatIdentity, newHandleIdentity, ownIdentity, parseIdentity, processStart } from './identity.ts';

describe('identity', () => {
  test('ours names this process and thread and does not change', () => {
    const own = ownIdentity();
    expect(own.pid).toBe(process.pid);
    expect(own.thread).toBeGreaterThanOrEqual(0);
    expect(own.start).toBeGreaterThan(0);
    expect(ownIdentity()).toBe(own);
  });

  test('each handle has a name of its own that leads back to us', () => {
    const [one, two] = [newHandleIdentity(), newHandleIdentity()];
    expect(one).not.toBe(two);
    expect(parseIdentity(one)).toEqual(ownIdentity());
    expect(parseIdentity(two)).toEqual(ownIdentity());
  });

  test('what is written is read back', () => {
    const identity = { pid: 4_194_304, start: 123_456_789, thread: 17 };
    expect(formatIdentity(identity)).toBe('4194304.123456789.17');
    expect(parseIdentity(formatIdentity(identity))).toEqual(identity);
  });

  test.each([
    '',
    '1',
    '1.2',
    '1.2.3.4',
    '1.2.x',
    '-1.2.3',
    '1.2.3/',
    '1.2.3/x',
    ' 1.2.3',
    '1.2.3\n',
    '1e3.2.3',
    '9'.repeat(40),
  ])('%j is no identity', (text) => {
    expect(parseIdentity(text)).toBeUndefined();
  });

  test.skipIf(process.platform !== 'linux')('a process has one start, and none when it is gone', async () => {
    const child = spawn('sleep', ['600'], { stdio: 'ignore' });
    try {
      const pid = child.pid as number;
      const start = processStart(pid);
      expect(start).toBeGreaterThanOrEqual(processStart(process.pid) as number);
      expect(processStart(pid)).toBe(start);
      child.kill('SIGKILL');
      await once(child, 'exit');
      expect(processStart(pid)).toBeUndefined();
    } finally {
      child.kill('SIGKILL');
    }
  });

  test('what cannot be a pid has no start', () => {
    for (const pid of [0, -1, 2 ** 31, Number.NaN]) expect(processStart(pid)).toBeUndefined();
  });
});
