// A semaphore among handles of one process.

import type { SyncRule } from '../sync-rule.ts';
import type { SyncTrial } from '../sync-trial.ts';
import { isSettled } from '../waiting.ts';
import type { Permit, Semaphore } from '../../sync/semaphore.ts';

/** So many are left, and no more: takes them all. */
async function takeAll(t: SyncTrial, semaphore: Semaphore, count: number): Promise<readonly Permit[]> {
  const permits: Permit[] = [];
  for (let n = 0; n < count; n += 1) permits.push(await semaphore.acquire({ timeoutMs: 10_000 }));
  await t.rejects(() => semaphore.acquire({ timeoutMs: 50 }), 'NARU_TIMEOUT');
  return permits;
}

export const semaphores: readonly SyncRule[] = [
  {
    id: 'semaphore.1',
    text: 'it has so many permits; who finds none waits for the next one that comes back',
    covers: ['S1', 'S3'],
    run: async (t) => {
      const [mine, theirs] = [await t.semaphore({ count: 2 }), await t.semaphore()];
      const [one, two] = [await mine.acquire(), await mine.acquire()];
      t.equal([mine.held, theirs.held, mine.bounded, one.recovered], [2, 0, false, false], 'who has them');
      const waiting = [theirs.acquire(), theirs.acquire()] as const;
      t.ok(!(await isSettled(waiting[0])), 'the other waits');
      one.release();
      one.release();
      await waiting[0];
      t.ok(!(await isSettled(waiting[1])), 'a permit comes back once');
      two.release();
      await waiting[1];
      t.equal([mine.held, theirs.held], [0, 2], 'who has them then');
    },
  },
  {
    id: 'semaphore.2',
    text: 'a bounded one takes back from nobody who has none: NARU_NOT_HELD; another one has one more then',
    run: async (t) => {
      const bounded = [await t.semaphore({ count: 1, bounded: true }), await t.semaphore()] as const;
      t.equal(bounded[1].bounded, true, 'the other handle knows');
      await bounded[0].acquire();
      await t.rejects(() => bounded[1].release(), 'NARU_NOT_HELD');
      bounded[0].release();
      await t.rejects(() => bounded[0].release(), 'NARU_NOT_HELD');
      await takeAll(t, bounded[1], 1);
      const free = await t.semaphore({ count: 0 }, 'free');
      const other = await t.semaphore({}, 'free');
      const waiting = other.acquire();
      free.release();
      await waiting;
      free.release();
      await takeAll(t, free, 1);
    },
  },
  {
    id: 'semaphore.3',
    text: 'a permit that is spent never comes back; closing gives back the others, and tells nobody of a death',
    covers: ['S6'],
    run: async (t) => {
      const [mine, theirs] = [await t.semaphore({ count: 3 }), await t.semaphore()];
      const spent = await mine.acquire();
      await mine.acquire();
      spent.spend();
      spent.release();
      t.equal(mine.held, 1, 'what it has');
      await mine.close();
      const permits = await takeAll(t, theirs, 2);
      t.equal(
        permits.map(({ recovered }) => recovered),
        [false, false],
        'nobody died',
      );
    },
  },
  {
    id: 'semaphore.4',
    text: 'waits that end at their time or are aborted leave no permit taken',
    covers: ['S3'],
    run: async (t) => {
      const [mine, theirs] = [await t.semaphore({ count: 1 }), await t.semaphore()];
      const permit = await mine.acquire();
      const stop = new AbortController();
      const waits = Array.from({ length: 20 }, (_, n) =>
        theirs.acquire(n % 2 === 0 ? { timeoutMs: n } : { signal: stop.signal }),
      );
      const ends = Promise.allSettled(waits);
      await t.rejects(() => theirs.acquire({ timeoutMs: 0 }), 'NARU_TIMEOUT');
      stop.abort(new Error('enough'));
      t.ok(
        (await ends).every(({ status }) => status === 'rejected'),
        'none of them got it',
      );
      permit.release();
      await takeAll(t, await t.semaphore(), 1);
    },
  },
  {
    id: 'semaphore.5',
    text: 'never more have permits than there are, and all who want one get one; with() gives back when the work throws',
    covers: ['S1', 'S3'],
    run: async (t) => {
      const first = await t.semaphore({ count: 2 });
      const handles = [first, ...(await Promise.all(Array.from({ length: 5 }, () => t.semaphore())))];
      let [inside, most, times] = [0, 0, 0];
      const use = async (semaphore: Semaphore): Promise<void> => {
        for (let round = 0; round < 10; round += 1) {
          const work = semaphore.with(async () => {
            inside += 1;
            most = Math.max(most, inside);
            await new Promise(setImmediate);
            inside -= 1;
            times += 1;
            if (round % 3 === 0) throw new Error('mine');
          });
          await work.catch(() => undefined);
        }
      };
      await Promise.all(handles.map(use));
      t.ok(most <= 2, 'never more than two');
      t.equal(times, 60, 'how often');
      await takeAll(t, first, 2);
    },
  },
  {
    id: 'semaphore.6',
    text: 'tryAcquire() and value answer at once what is so',
    needs: ['immediate'],
    covers: ['S1'],
    run: async (t) => {
      const [mine, theirs] = [await t.semaphore({ count: 2 }), await t.semaphore()];
      const permits = [mine.tryAcquire(), theirs.tryAcquire()];
      t.equal([mine.tryAcquire(), mine.value, theirs.value], [undefined, 0, 0], 'while all are held');
      for (const permit of permits) permit?.release();
      t.equal([mine.value, theirs.value], [2, 2], 'afterwards');
    },
  },
];
