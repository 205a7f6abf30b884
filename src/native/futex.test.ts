// futexWait and futexWake: one thread sleeps, another process wakes it, and the sleeper notices what it must.

import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from './index.ts';
import { actFile, addon, sleepers, Stage, until } from './stage.fixture.ts';

describe.skipIf(tryNative() === undefined)(`futex (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: Stage;
  let buffer: ArrayBuffer | SharedArrayBuffer;
  beforeEach(() => {
    stage = new Stage();
    buffer = stage.mapped('a');
  });
  afterEach(() => stage.close());

  test('a word that differs is "changed" without a sleep, read as signed or unsigned', () => {
    new Int32Array(buffer)[2] = -1;
    expect(addon.futexWait(buffer, 0, 1, -1)).toBe('changed');
    expect(addon.futexWait(buffer, 8, -1, 1)).toBe('timeout');
    expect(addon.futexWait(buffer, 8, 0xffff_ffff, 1)).toBe('timeout');
    expect(addon.futexWait(buffer, 8, 0, Number.POSITIVE_INFINITY)).toBe('changed');
  });

  test('a time-out is kept to, also below a millisecond and over several slices', () => {
    for (const timeoutMs of [0, 0.25, 20, 130]) {
      const start = performance.now();
      expect(addon.futexWait(buffer, 0, 0, timeoutMs)).toBe('timeout');
      const took = performance.now() - start;
      expect(took).toBeGreaterThanOrEqual(timeoutMs);
      expect(took).toBeLessThan(timeoutMs + 1000);
    }
  });

  test('a sleeper of another process is woken, and as many as asked for', async () => {
    const children = [0, 1, 2].map(() => stage.act('sleep', stage.path('a')));
    for (const child of children) expect(await child.line()).toBe('ready');
    await until('three sleepers', () => children.every(({ pid }) => sleepers(pid) === 1));
    let woken = 0;
    // A sleeper is for a moment between two slices, and cannot be counted then.
    await until('two are woken', () => {
      woken += addon.futexWake(buffer, 0, 2 - woken);
      return woken === 2;
    });
    const first = children.map(async (child, at) => (await child.ended, at));
    await Promise.race(first);
    await until('one is left', () => children.filter(({ pid }) => sleepers(pid) > 0).length === 1);
    await until('the last is woken', () => addon.futexWake(buffer, 0, 100) === 1);
    for (const child of children) {
      expect(await child.line()).toBe('woken');
      expect(await child.end()).toMatchObject({ code: 0 });
    }
  });

  test('with nobody there, a wake wakes nobody', () => {
    expect(addon.futexWake(buffer, 0, 1)).toBe(0);
    expect(addon.futexWake(buffer, 0, 0)).toBe(0);
  });

  test('an ordinary ArrayBuffer and SharedArrayBuffer serve within the process', () => {
    for (const own of [new ArrayBuffer(8), new SharedArrayBuffer(8)]) {
      expect(addon.futexWait(own, 4, 0, 1)).toBe('timeout');
      expect(addon.futexWait(own, 4, 1, -1)).toBe('changed');
      expect(addon.futexWake(own, 4, 1)).toBe(0);
    }
  });

  test('a word outside the buffer or off its alignment is refused', () => {
    for (const offset of [-4, 4093, 4096, 2, Number.NaN, 0.5])
      expect(() => addon.futexWait(buffer, offset, 0, 0)).toThrow(RangeError);
    expect(() => addon.futexWait(buffer, 0, 2 ** 32, 0)).toThrow(RangeError);
    expect(() => addon.futexWait(buffer, 0, 0, Number.NaN)).toThrow(TypeError);
    expect(() => addon.futexWake(new ArrayBuffer(0), 0, 1)).toThrow(RangeError);
  });

  test('a worker that sleeps for ever is terminated within a second', async () => {
    const worker = new Worker(actFile, { workerData: { name: 'sleep', args: [stage.path('a')] } });
    await until('the worker sleeps', () => sleepers() === 1);
    const start = performance.now();
    expect(await worker.terminate()).toBe(1);
    expect(performance.now() - start).toBeLessThan(1000);
    expect(sleepers()).toBe(0);
  });

  test('the addon loads in the main thread and in workers at the same time, and lives on without them', async () => {
    const workers = [0, 1].map(
      () => new Worker(actFile, { workerData: { name: 'sleep', args: [stage.path('a')] } }),
    );
    await until('both sleep', () => sleepers() === 2);
    await Promise.all(workers.map((worker) => worker.terminate()));
    expect(addon.futexWait(buffer, 0, 0, 1)).toBe('timeout');
    const again = new Worker(actFile, { workerData: { name: 'sleep', args: [stage.path('a'), '1'] } });
    const said: unknown[] = [];
    again.on('message', (text) => said.push(text));
    expect(await new Promise((resolve) => again.once('exit', resolve))).toBe(0);
    expect(said).toEqual(['ready', 'changed']);
  });

  test.skipIf(!addon.hasSharedArrayBuffer)(
    'a SharedArrayBuffer outlives the worker that mapped it, in a process that has not loaded the addon (Node 22.23 and up)',
    async () => {
      const child = stage.act('inherit', stage.path('a'));
      expect(await child.line()).toBe('0');
      expect(await child.end()).toMatchObject({ code: 0, signal: null });
    },
  );
});
