// What a signal does to a main thread that sleeps in futexWait.

import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from './index.ts';
import { actFile, addon, type Child, sleepers, Stage, until } from './stage.fixture.ts';

describe.skipIf(tryNative() === undefined)(
  `signals during futexWait (${nativeProblem() ?? 'addon loaded'})`,
  () => {
    let stage: Stage;
    let buffer: ArrayBuffer | SharedArrayBuffer;
    beforeEach(() => {
      stage = new Stage();
      buffer = stage.mapped('a');
    });
    afterEach(() => stage.close());

    async function sleeping(...handled: readonly string[]): Promise<Child> {
      const child = stage.act('sleep', stage.path('a'), '0', '-1', ...handled);
      expect(await child.line()).toBe('ready');
      await until('the child sleeps', () => sleepers(child.pid) === 1);
      return child;
    }

    test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
      '%s with a JavaScript handler ends the sleep, then the handler runs',
      async (signal) => {
        const child = await sleeping(signal);
        process.kill(child.pid, signal);
        expect(await child.line()).toBe('interrupted');
        expect(await child.line()).toBe(`handled ${signal}`);
        expect(await child.end()).toMatchObject({ code: 0, signal: null });
      },
    );

    test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
      '%s without a handler kills, as it always does',
      async (signal) => {
        const child = await sleeping();
        process.kill(child.pid, signal);
        expect(await child.end()).toMatchObject({ code: null, signal });
      },
    );

    test('a handler for one signal does not save from another', async () => {
      const child = await sleeping('SIGINT');
      process.kill(child.pid, 'SIGTERM');
      expect(await child.end()).toMatchObject({ code: null, signal: 'SIGTERM' });
    });

    test('a signal with another handler does not end the sleep', async () => {
      const child = await sleeping('SIGINT', 'SIGUSR2');
      process.kill(child.pid, 'SIGUSR2');
      await until('it sleeps on', () => sleepers(child.pid) === 1);
      Atomics.store(new Int32Array(buffer), 0, 1);
      await until('it is woken', () => addon.futexWake(buffer, 0, 1) === 1 || sleepers(child.pid) === 0);
      expect(['woken', 'changed']).toContain(await child.line());
      expect(await child.line()).toBe('handled SIGUSR2');
    });

    test('a storm of signals ends sleeps, runs the handler and kills nobody', async () => {
      const child = stage.act('storm', stage.path('a'));
      expect(await child.line()).toBe('ready');
      const state = { over: false };
      const line = child.line().finally(() => {
        state.over = true;
      });
      while (!state.over) {
        for (let i = 0; i < 5; i++) process.kill(child.pid, 'SIGINT');
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(await line).toBe('handled, interrupted');
      expect(await child.end()).toMatchObject({ code: 0, signal: null });
    });

    test('a sleeping worker is left asleep; the main thread handles the signal', async () => {
      const worker = new Worker(actFile, { workerData: { name: 'sleep', args: [stage.path('a')] } });
      await until('the worker sleeps', () => sleepers() === 1);
      const handled = new Promise((resolve) => process.once('SIGHUP', resolve));
      process.kill(process.pid, 'SIGHUP');
      await handled;
      await until('the worker sleeps still', () => sleepers() === 1);
      await worker.terminate();
    });
  },
);
