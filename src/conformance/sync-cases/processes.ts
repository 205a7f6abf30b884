// Holders in other processes: contention, death, being stopped, blocking, and when a process may end.

import { readFileSync, writeFileSync } from 'node:fs';
import type { SyncRule } from '../sync-rule.ts';
import { isSettled } from '../waiting.ts';

const LONG = { timeoutMs: 45_000 };

export const processes: readonly SyncRule[] = [
  {
    id: 'processes.1',
    text: 'several processes add to a file under a lock, and lose nothing',
    needs: ['crossProcess'],
    covers: ['S1', 'S3'],
    run: async (t) => {
      const lock = await t.lock();
      const file = t.file('number');
      writeFileSync(file, new Uint8Array(8));
      const guard = await lock.acquire();
      const others = [1, 2, 3].map(() => t.holder({ act: 'count', file, count: 200 }));
      guard.release();
      t.equal(await Promise.all(others.map(({ done }) => done)), [0, 0, 0], 'how they ended');
      t.equal(readFileSync(file).readBigUInt64LE(), 600n, 'the number');
    },
  },
  {
    id: 'processes.2',
    text: 'a lock whose holder is killed goes to who waits, who is told once',
    needs: ['crossProcess'],
    covers: ['S2', 'S3'],
    run: async (t) => {
      const lock = await t.lock();
      const other = t.holder({ act: 'hold' });
      await other.said('held');
      const waiting = lock.acquire(LONG);
      t.ok(!(await isSettled(waiting)), 'it waits');
      other.kill();
      const guard = await waiting;
      t.equal(guard.recovered, true, 'it is told');
      guard.release();
      t.equal((await lock.acquire()).recovered, false, 'once');
    },
  },
  {
    id: 'processes.3',
    text: 'a stopped holder is not robbed, however long; when it is killed then, others go on',
    needs: ['crossProcess'],
    covers: ['S2'],
    run: async (t) => {
      const [lock, semaphore] = [await t.lock(), await t.semaphore({ count: 1 })];
      const others = [t.holder({ act: 'hold' }), t.holder({ act: 'permit' })];
      for (const other of others) await other.said('held');
      for (const other of others) other.kill('SIGSTOP');
      const waits = [
        t.rejects(() => lock.acquire({ timeoutMs: 600 }), 'NARU_TIMEOUT'),
        t.rejects(() => semaphore.acquire({ timeoutMs: 600 }), 'NARU_TIMEOUT'),
      ];
      await Promise.all(waits);
      for (const other of others) other.kill();
      t.equal((await lock.acquire(LONG)).recovered, true, 'the lock');
      t.equal((await semaphore.acquire(LONG)).recovered, true, 'the permit');
    },
  },
  {
    id: 'processes.4',
    text: 'permits of a killed process come back, each once; who takes one then is told, once',
    needs: ['crossProcess'],
    covers: ['S2', 'S3'],
    run: async (t) => {
      const semaphore = await t.semaphore({ count: 3 });
      const other = t.holder({ act: 'permit', count: 3 });
      await other.said('held');
      const waiting = [1, 2, 3].map(() => semaphore.acquire(LONG));
      other.kill();
      const permits = await Promise.all(waiting);
      t.ok(
        permits.some(({ recovered }) => recovered),
        'it is told',
      );
      await t.rejects(() => semaphore.acquire({ timeoutMs: 50 }), 'NARU_TIMEOUT');
      for (const permit of permits) permit.release();
      t.equal((await semaphore.acquire()).recovered, false, 'once');
    },
  },
  {
    id: 'processes.5',
    text: 'an event that another process sets wakes who waits, and stays set when that process dies',
    needs: ['crossProcess'],
    covers: ['S3'],
    run: async (t) => {
      const event = await t.event();
      const waiting = event.wait(LONG);
      const setter = t.holder({ act: 'set' });
      await waiting;
      setter.kill();
      t.equal(await setter.done, 'SIGKILL', 'how it ended');
      await event.wait(LONG);
      event.clear();
      const waiter = t.holder({ act: 'wait' });
      await waiter.said('waits');
      event.set();
      t.equal(await waiter.done, 0, 'how the waiter ended');
    },
  },
  {
    id: 'processes.6',
    text: 'handles that nobody waits with keep no process alive, and what it had is free then',
    needs: ['crossProcess'],
    covers: ['S4'],
    run: async (t) => {
      const [lock, semaphore] = [await t.lock(), await t.semaphore({ count: 1 })];
      await t.event();
      const idle = t.holder({ act: 'idle' });
      t.equal(await idle.done, 0, 'it ends by itself');
      (await lock.acquire(LONG)).release();
      (await semaphore.acquire(LONG)).release();
    },
  },
  {
    id: 'processes.7',
    text: 'a process that blocks on a lock or an event goes on when another lets go or sets it',
    needs: ['crossProcess', 'blocking'],
    covers: ['S5'],
    run: async (t) => {
      const [lock, event] = [await t.lock(), await t.event()];
      const guard = await lock.acquire();
      const others = [t.holder({ act: 'block' }), t.holder({ act: 'blockEvent' })];
      for (const other of others) await other.said('blocks');
      t.ok(!(await isSettled(Promise.race(others.map(({ done }) => done)), 100)), 'both block');
      guard.release();
      event.set();
      t.equal(await Promise.all(others.map(({ done }) => done)), [0, 0], 'how they ended');
    },
  },
];
