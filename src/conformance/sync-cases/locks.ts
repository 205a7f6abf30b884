// A lock among handles of one process.

import type { SyncRule } from '../sync-rule.ts';
import type { SyncTrial } from '../sync-trial.ts';
import { isSettled } from '../waiting.ts';
import type { Lock } from '../../sync/lock.ts';

/** Long enough for a refusal to be one. */
const SHORT = { timeoutMs: 50 };

/** Nobody else gets it. */
async function isRefused(t: SyncTrial, lock: Lock): Promise<void> {
  await t.rejects(() => lock.acquire(SHORT), 'NARU_TIMEOUT');
}

export const locks: readonly SyncRule[] = [
  {
    id: 'lock.1',
    text: 'one handle has it at a time; a guard lets go once, and of nothing that came later',
    covers: ['S1', 'S3'],
    run: async (t) => {
      const [mine, theirs] = [await t.lock(), await t.lock()];
      const guard = await mine.acquire();
      t.equal([mine.isHeld, theirs.isHeld, guard.recovered], [true, false, false], 'who has it');
      await isRefused(t, theirs);
      const waiting = theirs.acquire();
      t.ok(!(await isSettled(waiting)), 'the other waits');
      guard.release();
      await waiting;
      guard.release();
      t.equal([mine.isHeld, theirs.isHeld], [false, true], 'who has it then');
      await isRefused(t, mine);
      theirs.release();
      (await mine.acquire()).release();
    },
  },
  {
    id: 'lock.2',
    text: 'a wait ends at its time with NARU_TIMEOUT and with its signal’s reason, and leaves nothing taken',
    covers: ['S3'],
    run: async (t) => {
      const [mine, theirs] = [await t.lock(), await t.lock()];
      await mine.acquire();
      await t.rejects(() => theirs.acquire({ timeoutMs: 0 }), 'NARU_TIMEOUT');
      await isRefused(t, theirs);
      const stop = new AbortController();
      const own = new Error('enough');
      const waiting = theirs.acquire({ signal: stop.signal }).catch((error: unknown) => error);
      stop.abort(own);
      t.ok((await waiting) === own, 'it ends with the signal’s reason');
      for (const timeoutMs of [-1, NaN, '5'])
        await t.rejects(() => theirs.acquire({ timeoutMs: timeoutMs as number }), 'NARU_INVALID_ARGUMENT');
      mine.release();
      const third = await t.lock();
      (await third.acquire()).release();
    },
  },
  {
    id: 'lock.3',
    text: 'a re-entrant one is let go of as often as its handle took it',
    run: async (t) => {
      const [mine, theirs] = [await t.lock({ reentrant: true }), await t.lock()];
      const outer = await mine.acquire();
      const inner = await mine.acquire();
      t.equal(await mine.with(() => mine.with(() => mine.isHeld)), true, 'inside with()');
      inner.release();
      t.ok(mine.isHeld, 'it still has it');
      await isRefused(t, theirs);
      outer.release();
      t.ok(!mine.isHeld, 'it has let go');
      (await theirs.acquire()).release();
    },
  },
  {
    id: 'lock.4',
    text: 'who would wait for itself for ever is told NARU_DEADLOCK at once; with a limit it waits',
    run: async (t) => {
      const mine = await t.lock();
      await mine.acquire();
      await t.rejects(() => mine.acquire(), 'NARU_DEADLOCK');
      if (t.has('blocking')) await t.rejects(() => mine.acquireSync(), 'NARU_DEADLOCK');
      const later = mine.acquire({ timeoutMs: 10_000 });
      t.ok(!(await isSettled(later, 10)), 'it waits');
      mine.release();
      (await later).release();
    },
  },
  {
    id: 'lock.5',
    text: 'with() keeps tasks of one handle apart, lets go when the work throws, and finds itself inside itself',
    run: async (t) => {
      const [mine, theirs] = [await t.lock(), await t.lock()];
      const seen: string[] = [];
      const task = (name: string): Promise<void> =>
        mine.with(async () => {
          seen.push(`${name} in`);
          await new Promise(setImmediate);
          seen.push(`${name} out`);
        });
      await Promise.all([task('a'), task('b'), task('c')]);
      t.equal(seen, ['a in', 'a out', 'b in', 'b out', 'c in', 'c out'], 'the order');
      const own = new Error('mine');
      const failed = await mine.with(() => Promise.reject(own)).catch((error: unknown) => error);
      t.ok(failed === own, 'the work’s own error comes through');
      await t.rejects(() => mine.with(() => mine.with(() => 1)), 'NARU_DEADLOCK');
      (await theirs.acquire()).release();
    },
  },
  {
    id: 'lock.6',
    text: 'a handle that does not have it cannot let go: NARU_NOT_HELD, and the holder keeps it',
    run: async (t) => {
      const [mine, theirs] = [await t.lock(), await t.lock()];
      await t.rejects(() => mine.release(), 'NARU_NOT_HELD');
      await mine.acquire();
      await t.rejects(() => theirs.release(), 'NARU_NOT_HELD');
      t.ok(mine.isHeld, 'the holder has it');
      await isRefused(t, theirs);
    },
  },
  {
    id: 'lock.7',
    text: 'of many handles that want it again and again, never two have it, and all of them get it',
    covers: ['S1', 'S3'],
    run: async (t) => {
      const handles = await Promise.all(Array.from({ length: 8 }, () => t.lock()));
      let [inside, most, times] = [0, 0, 0];
      const use = async (lock: Lock): Promise<void> => {
        for (let round = 0; round < 20; round += 1) {
          const guard = await lock.acquire();
          inside += 1;
          most = Math.max(most, inside);
          await new Promise(setImmediate);
          inside -= 1;
          times += 1;
          guard.release();
        }
      };
      await Promise.all(handles.map(use));
      t.equal([most, times], [1, 160], 'how many at once, and how often');
    },
  },
  {
    id: 'lock.8',
    text: 'tryAcquire(), holder and using answer at once what is so',
    needs: ['immediate'],
    covers: ['S1'],
    run: async (t) => {
      const [mine, theirs] = [await t.lock(), await t.lock()];
      t.equal([mine.holder, theirs.holder], [undefined, undefined], 'nobody');
      {
        using guard = mine.tryAcquire();
        t.ok(guard !== undefined, 'it is free');
        t.equal([theirs.tryAcquire(), theirs.holder], [undefined, mine.identity], 'while it is held');
      }
      t.equal([mine.isHeld, theirs.holder], [false, undefined], 'after the block');
      theirs.tryAcquire();
      t.equal(mine.holder, theirs.identity, 'the other');
    },
  },
];
