// What waiting for a queue of either kind means to its process: signals reach their handlers, a wait keeps the process alive and an
// idle object does not, and the end of the process is not held up.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from '../native/index.ts';
import { type Child, until } from '../native/stage.fixture.ts';
import { PosixQueue, SystemVQueue } from './index.ts';
import { KernelStage, sleepersIn } from './stage.fixture.ts';

const index: string = new URL('./index.js', import.meta.url).href;

describe.skipIf(tryNative() === undefined)(
  `queues and processes (${nativeProblem() ?? 'addon loaded'})`,
  () => {
    let stage: KernelStage;
    let system: SystemVQueue;
    let posix: PosixQueue;

    beforeEach(() => {
      stage = new KernelStage();
      system = SystemVQueue.open({ key: 'private' });
      stage.cleanup(() => system.close());
      stage.cleanup(() => system.remove());
      posix = PosixQueue.open({ name: `/naru-process-${process.pid}` });
      stage.cleanup(() => posix.close());
      stage.cleanup(() => posix.unlink());
    });
    afterEach(() => stage.close());

    /** Runs a program with `queue` open, of this kind. */
    function run(kind: 'System V' | 'POSIX', program: string): Child {
      const open =
        kind === 'POSIX'
          ? `PosixQueue.open({ name: '${posix.name}' })`
          : `SystemVQueue.open({ id: ${system.id} })`;
      const text = `
      const { PosixQueue, SystemVQueue } = await import('${index}');
      const queue = ${open};
      ${program}`;
      return stage.start(process.execPath, ['--input-type=module', '-e', text]);
    }

    const call = { 'System V': 'msgrcv', POSIX: 'mqTimedReceive' } as const;
    const kinds = ['System V', 'POSIX'] as const;

    test.each(kinds)(
      '%s: a signal with a handler interrupts a blocking receive, and the handler runs',
      async (kind) => {
        for (const signal of ['SIGINT', 'SIGTERM'] as const) {
          const child = run(
            kind,
            `process.on('${signal}', () => console.log('handled'));
        try { queue.receiveSync(); } catch (error) { console.log(error.code); }
        setTimeout(() => process.exit(0), 20_000);`,
          );
          await until('it sleeps', () => sleepersIn(call[kind], child.pid) === 1);
          child.process.kill(signal);
          expect([await child.line(), await child.line()].toSorted()).toEqual([
            'NARU_INTERRUPTED',
            'handled',
          ]);
        }
      },
    );

    test.each(kinds)('%s: a signal without a handler ends the process', async (kind) => {
      const child = run(kind, 'queue.receiveSync();');
      await until('it sleeps', () => sleepersIn(call[kind], child.pid) === 1);
      child.process.kill('SIGTERM');
      expect(await child.ended).toEqual({ code: null, signal: 'SIGTERM' });
    });

    test.each(kinds)('%s: an idle object lets the process end, one that has waited too', async (kind) => {
      const child = run(
        kind,
        `await queue.receive({ timeoutMs: 20 }).catch((error) => console.log(error.code));
      await queue.send(Buffer.from('x'));
      console.log((await queue.receive()).body.length);`,
      );
      expect(await child.line()).toBe('NARU_TIMEOUT');
      expect(await child.line()).toBe('1');
      expect(await child.end()).toMatchObject({ code: 0, signal: null });
    });

    test.each(kinds)(
      '%s: a waiting receive keeps the process until it has a message, and its loop turns',
      async (kind) => {
        const child = run(
          kind,
          `let turns = 0;
      const timer = setInterval(() => { turns += 1; if (turns === 5) console.log('turning'); }, 1);
      timer.unref();
      const { body } = await queue.receive();
      console.log(Buffer.from(body).toString());`,
        );
        expect(await child.line()).toBe('turning');
        if (kind === 'POSIX') posix.trySend(Buffer.from('hello'));
        else system.trySend(Buffer.from('hello'));
        expect(await child.line()).toBe('hello');
        expect(await child.end()).toMatchObject({ code: 0, signal: null });
      },
    );

    test.each(kinds)(
      '%s: a wait that lasts uses no processor time, however often it looked in vain before',
      async (kind) => {
        const child = run(
          kind,
          `for (let i = 0; i < 70; i += 1) await queue.receive({ timeoutMs: 2 }).catch(() => 0);
      const used = process.cpuUsage();
      setTimeout(() => queue.trySend(Buffer.from('x')), 1_000);
      await queue.receive();
      const { user, system } = process.cpuUsage(used);
      console.log((user + system) / 1_000 < 200 ? 'slept' : 'used ' + (user + system) / 1_000 + ' ms');`,
        );
        expect(await child.line()).toBe('slept');
      },
    );

    test.each(kinds)('%s: process.exit ends waits of all kinds and keeps the exit code', async (kind) => {
      const child = run(
        kind,
        `void queue.receive();
      ${kind === 'POSIX' ? 'queue.notify(() => 0);' : 'void queue.receive({ type: 5 });'}
      setTimeout(() => process.exit(7), 50);`,
      );
      expect(await child.end()).toMatchObject({ code: 7, signal: null });
    });

    test('a loop of receives that find messages lets timers run', async () => {
      const seen = { ticks: 0 };
      const timer = setInterval(() => {
        seen.ticks += 1;
      }, 1);
      try {
        const end = performance.now() + 20_000;
        while (seen.ticks < 20 && performance.now() < end) {
          await system.send(Buffer.from('x'));
          await system.receive();
          await posix.send(Buffer.from('x'));
          await posix.receive();
        }
        expect(seen.ticks).toBeGreaterThanOrEqual(20);
      } finally {
        clearInterval(timer);
      }
    });
  },
);
