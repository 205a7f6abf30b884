// futexWaitAsync: waits in threads of their own, which hold up nothing and nobody.

import { readFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from './index.ts';
import { actFile, addon, sleepers, Stage, threadsOf, until } from './stage.fixture.ts';

describe.skipIf(tryNative() === undefined)(`futexWaitAsync (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: Stage;
  let buffer: ArrayBuffer | SharedArrayBuffer;
  beforeEach(() => {
    stage = new Stage();
    buffer = stage.mapped('a');
  });
  afterEach(() => stage.close());

  test('it resolves to what happened', async () => {
    expect(await addon.futexWaitAsync(buffer, 0, 1, -1, true)).toBe('changed');
    expect(await addon.futexWaitAsync(buffer, 0, 0, 5, true)).toBe('timeout');
    const wait = addon.futexWaitAsync(buffer, 0, 0, -1, true);
    await until('it is woken', () => addon.futexWake(buffer, 0, 1) === 1);
    expect(await wait).toBe('woken');
  });

  test('a time-out is kept to, below a millisecond and over a second boundary', async () => {
    for (const timeoutMs of [0, 0.25, 1100]) {
      const start = performance.now();
      expect(await addon.futexWaitAsync(buffer, 0, 0, timeoutMs, true)).toBe('timeout');
      const took = performance.now() - start;
      expect(took).toBeGreaterThanOrEqual(timeoutMs);
      expect(took).toBeLessThan(timeoutMs + 1000);
    }
    for (const forEver of [-1, 1e300, Number.POSITIVE_INFINITY])
      expect(await addon.futexWaitAsync(buffer, 0, 1, forEver, true)).toBe('changed');
  });

  test('a hundred at once leave the thread pool free', async () => {
    const threads = threadsOf().length;
    const waits = Array.from({ length: 100 }, () => addon.futexWaitAsync(buffer, 0, 0, -1, true));
    await until('all sleep', () => sleepers() === 100);
    // Would never return if they sat in the pool's four threads: they wait for ever.
    for (let i = 0; i < 20; i++) await readFile(actFile);
    expect(sleepers()).toBeGreaterThan(90);
    Atomics.store(new Int32Array(buffer), 0, 1);
    addon.futexWake(buffer, 0, 1000);
    const results = await Promise.all(waits);
    expect(results.every((result) => result === 'woken' || result === 'changed')).toBe(true);
    await until('the threads are gone', () => threadsOf().length <= threads + 4);
  });

  test('it keeps the event loop alive only when asked to', async () => {
    const idle = stage.act('linger', stage.path('a'), 'drop');
    expect(await idle.line()).toBe('ready');
    expect(await idle.end()).toMatchObject({ code: 0, signal: null });

    const kept = stage.act('linger', stage.path('a'), 'keep');
    expect(await kept.line()).toBe('ready');
    await until('eight threads sleep', () => sleepers(kept.pid) === 8);
    Atomics.store(new Int32Array(buffer), 0, 1);
    addon.futexWake(buffer, 0, 1000);
    expect((await kept.line()).split(' ')).toHaveLength(8);
    expect(await kept.end()).toMatchObject({ code: 0, signal: null });
  });

  test('process.exit ends the threads and keeps the exit code', async () => {
    const child = stage.act('linger', stage.path('a'), 'keep', 'exit');
    expect(await child.line()).toBe('ready');
    expect(await child.end()).toMatchObject({ code: 7, signal: null });
  });

  test('worker.terminate ends all threads of the worker within a second, and no others', async () => {
    const mine = addon.futexWaitAsync(buffer, 4, 0, -1, true);
    const worker = new Worker(actFile, { workerData: { name: 'crowd', args: [stage.path('a'), '30'] } });
    await until('all sleep', () => sleepers() === 31);
    const start = performance.now();
    expect(await worker.terminate()).toBe(1);
    expect(performance.now() - start).toBeLessThan(1000);
    await until('only ours is left', () => sleepers() === 1);
    await until('ours is woken', () => addon.futexWake(buffer, 4, 1) === 1);
    expect(await mine).toBe('woken');
  });

  test('a worker that ends itself with waits pending ends', async () => {
    for (let i = 0; i < 5; i++) {
      const worker = new Worker(actFile, { workerData: { name: 'leave', args: [stage.path('a'), '10'] } });
      expect(await new Promise((resolve) => worker.once('exit', resolve))).toBe(3);
      expect(sleepers()).toBe(0);
    }
  });

  test('results that come while a worker is terminated harm nothing', async () => {
    for (let i = 0; i < 10; i++) {
      const worker = new Worker(actFile, { workerData: { name: 'crowd', args: [stage.path('a'), '20'] } });
      await until('all sleep', () => sleepers() === 20);
      const ended = worker.terminate();
      addon.futexWake(buffer, 0, i * 2);
      expect(await ended).toBe(1);
    }
  });
});
