// An event among handles of one process.

import type { SyncRule } from '../sync-rule.ts';
import { isSettled } from '../waiting.ts';

export const events: readonly SyncRule[] = [
  {
    id: 'event.1',
    text: 'a new one is not set; set() lets everybody go on, also who comes later, until clear()',
    covers: ['S3'],
    run: async (t) => {
      const [mine, theirs, third] = [await t.event(), await t.event(), await t.event()];
      await t.rejects(() => theirs.wait({ timeoutMs: 50 }), 'NARU_TIMEOUT');
      const waiting = [mine.wait(), theirs.wait(), third.wait()];
      t.ok(!(await isSettled(Promise.race(waiting))), 'all wait');
      mine.set();
      await Promise.all(waiting);
      await Promise.all([theirs.wait(), third.wait()]);
      mine.clear();
      await t.rejects(() => mine.wait({ timeoutMs: 50 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'event.2',
    text: 'who waits when it is set goes on, also when it is cleared at once',
    covers: ['S3'],
    run: async (t) => {
      const [mine, theirs] = [await t.event(), await t.event()];
      for (let round = 0; round < 20; round += 1) {
        const waiting = [theirs.wait(), mine.wait()];
        // On a place behind a connection the wait has to arrive first.
        await isSettled(Promise.race(waiting), 5);
        mine.set();
        mine.clear();
        await Promise.all(waiting);
      }
      await t.rejects(() => theirs.wait({ timeoutMs: 50 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'event.3',
    text: 'a wait ends at its time with NARU_TIMEOUT and with its signal’s reason; wrong limits are refused',
    run: async (t) => {
      const mine = await t.event();
      await t.rejects(() => mine.wait({ timeoutMs: 0 }), 'NARU_TIMEOUT');
      const stop = new AbortController();
      const own = new Error('enough');
      const waiting = mine.wait({ signal: stop.signal }).catch((error: unknown) => error);
      stop.abort(own);
      t.ok((await waiting) === own, 'it ends with the signal’s reason');
      for (const timeoutMs of [-1, NaN, '5'])
        await t.rejects(() => mine.wait({ timeoutMs: timeoutMs as number }), 'NARU_INVALID_ARGUMENT');
    },
  },
  {
    id: 'event.4',
    text: 'isSet and tryWait() answer at once what is so',
    needs: ['immediate'],
    run: async (t) => {
      const [mine, theirs] = [await t.event(), await t.event()];
      t.equal([mine.isSet, theirs.tryWait()], [false, false], 'before');
      mine.set();
      t.equal([mine.isSet, theirs.isSet, theirs.tryWait()], [true, true, true], 'set');
      theirs.clear();
      t.equal([mine.isSet, mine.tryWait()], [false, false], 'cleared');
    },
  },
];
