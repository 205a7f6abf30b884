// A wait at a kernel queue in the event loop looks for some turns before it sleeps: what comes while it looks and what comes late are
// both received once, and limits hold in both. That sleeping costs nothing: queue-process.test.ts.

import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from '../native/index.ts';
import { PosixQueue, SystemVQueue } from './index.ts';
import { codeOf, KernelStage, uniqueName } from './stage.fixture.ts';

/** Longer than any test turns: a wait with these is looking, never asleep. */
const ALWAYS_LOOKING = 10_000;

describe.skipIf(tryNative() === undefined)(
  `looking before sleeping (${nativeProblem() ?? 'addon loaded'})`,
  () => {
    let stage: KernelStage;
    beforeEach(() => {
      stage = new KernelStage();
    });
    afterEach(() => stage.close());

    /** Two objects of one queue: the first looks for so many turns, the second is somebody else. */
    function pair(
      kind: 'System V' | 'POSIX',
      yields?: number,
    ): [SystemVQueue, SystemVQueue] | [PosixQueue, PosixQueue] {
      const queues = kind === 'POSIX' ? posixPair(yields) : systemVPair(yields);
      stage.cleanup(() => Promise.all(queues.map((queue) => queue.close())));
      return queues;
    }
    function posixPair(yields?: number): [PosixQueue, PosixQueue] {
      const name = `/${uniqueName()}`;
      const queues: [PosixQueue, PosixQueue] = [
        PosixQueue.open({ name, yields, maxMessages: 2, maxMessageBytes: 16 }),
        PosixQueue.open({ name, create: 'never' }),
      ];
      stage.cleanup(() => PosixQueue.unlink(name));
      return queues;
    }
    function systemVPair(yields?: number): [SystemVQueue, SystemVQueue] {
      const queue = SystemVQueue.open({ key: 'private', yields });
      // By a handle of its own: these two are closed by then.
      stage.cleanup(() => SystemVQueue.open({ id: queue.id }).remove());
      return [queue, SystemVQueue.open({ id: queue.id })];
    }
    async function turns(count: number): Promise<void> {
      for (let passed = 0; passed < count; passed += 1) await turn();
    }

    describe.each(['System V', 'POSIX'] as const)('%s', (kind) => {
      test.each([0, 1, 24, ALWAYS_LOOKING, undefined])(
        'yields %s: what comes in any turn after the wait began is received, once and in order',
        async (yields) => {
          const [mine, other] = pair(kind, yields);
          for (let after = 0; after < 60; after += 1) {
            const waiting = [mine.receive(), mine.receive()];
            await turns(after % 30);
            other.trySend(Buffer.of(after, 1));
            await turns(after % 7);
            other.trySend(Buffer.of(after, 2));
            const bodies = (await Promise.all(waiting)).map(({ body }) => [...body]);
            expect(bodies).toEqual([
              [after, 1],
              [after, 2],
            ]);
          }
          expect(other.tryReceive()).toBeUndefined();
        },
      );

      test.each([0, 24, ALWAYS_LOOKING, undefined])(
        'yields %s: a send that waits for room goes in when there is some',
        async (yields) => {
          const [mine, other] = pair(kind, yields);
          const size = kind === 'POSIX' ? 1 : 1_024;
          while (other.trySend(Buffer.alloc(size))) continue;
          for (let after = 1; after <= 40; after += 1) {
            const sending = mine.send(Buffer.alloc(size, after));
            await turns(after);
            other.tryReceive();
            await sending;
          }
          expect(firstBytes(other).at(-1)).toBe(40);
        },
      );

      test.each([0, ALWAYS_LOOKING])('yields %s: limits end a wait, and nothing is taken', async (yields) => {
        const [mine, other] = pair(kind, yields);
        expect(await codeOf(() => mine.receive({ timeoutMs: 20 }))).toBe('NARU_TIMEOUT');
        const aborted = new AbortController();
        const receiving = mine.receive({ signal: aborted.signal });
        receiving.catch(() => undefined);
        await turns(3);
        aborted.abort(new Error('enough'));
        await expect(receiving).rejects.toThrow('enough');
        other.trySend(Buffer.of(1));
        await turns(3);
        expect(other.tryReceive()?.body).toEqual(Uint8Array.of(1));
      });

      test('timers run between the turns of a wait that looks for long', async () => {
        const [mine, other] = pair(kind, ALWAYS_LOOKING);
        const timer = setTimeout(() => other.trySend(Buffer.of(1)), 1);
        stage.cleanup(() => clearTimeout(timer));
        expect((await mine.receive()).body).toHaveLength(1);
      });

      test('closing ends a wait that looks', async () => {
        const [mine, other] = pair(kind, ALWAYS_LOOKING);
        const receiving = codeOf(() => mine.receive());
        await turns(2);
        await mine.close();
        expect(await receiving).toBe('NARU_CLOSED');
        other.trySend(Buffer.of(1));
        await turns(3);
        expect(other.tryReceive()).toBeDefined();
      });

      test('yields must be a whole number', async () => {
        for (const yields of [-1, 0.5, 10_001, Number.NaN]) {
          expect(await codeOf(() => pair(kind, yields))).toBe('NARU_INVALID_ARGUMENT');
        }
      });
    });

    test('System V: waits for different types look side by side', async () => {
      const [mine, other] = systemVPair(ALWAYS_LOOKING);
      const three = mine.receive({ type: 3 });
      const four = mine.receive({ type: 4 });
      await turns(2);
      other.trySend(Buffer.of(40), 4);
      expect((await four).body).toEqual(Uint8Array.of(40));
      other.trySend(Buffer.of(30), 3);
      expect((await three).body).toEqual(Uint8Array.of(30));
      await Promise.all([mine.close(), other.close()]);
    });

    test('System V: removing the queue ends a wait that looks', async () => {
      const [mine] = systemVPair(ALWAYS_LOOKING);
      const receiving = codeOf(() => mine.receive());
      await turns(2);
      mine.remove();
      expect(await receiving).toBe('NARU_CLOSED');
    });
  },
);

/** Takes everything that is in the queue. @returns the first byte of each */
function firstBytes(queue: SystemVQueue | PosixQueue): (number | undefined)[] {
  const bytes: (number | undefined)[] = [];
  for (let message = queue.tryReceive(); message !== undefined; message = queue.tryReceive()) {
    bytes.push(message.body[0]);
  }
  return bytes;
}
