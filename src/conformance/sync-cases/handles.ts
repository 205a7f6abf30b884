// Opening, closing, removing; and what a place does not have is refused.

import type { SyncRule } from '../sync-rule.ts';

export const handles: readonly SyncRule[] = [
  {
    id: 'handles.1',
    text: 'closing gives back, ends waits with NARU_CLOSED, and may be repeated; a closed handle says NARU_CLOSED',
    covers: ['S6'],
    run: async (t) => {
      const [mine, theirs] = [await t.lock(), await t.lock()];
      const [semaphore, event] = [await t.semaphore({ count: 0 }), await t.event()];
      await mine.acquire();
      const waits = [theirs.acquire(), semaphore.acquire(), event.wait()];
      const ends = waits.map((wait) => t.rejects(() => wait, 'NARU_CLOSED'));
      for (const one of [theirs, semaphore, event]) {
        await one.close();
        await one.close();
      }
      await Promise.all(ends);
      for (const call of [
        () => theirs.acquire(),
        () => theirs.release(),
        () => semaphore.acquire(),
        () => semaphore.release(),
        () => event.wait(),
        () => event.set(),
      ])
        await t.rejects(call, 'NARU_CLOSED');
      const third = await t.lock();
      const waiting = third.acquire({ timeoutMs: 10_000 });
      await mine.close();
      t.equal((await waiting).recovered, false, 'closing is no death');
    },
  },
  {
    id: 'handles.2',
    text: 'objects of different names share nothing',
    run: async (t) => {
      const [one, two] = [await t.lock(), await t.lock({}, 'lock2')];
      await one.acquire();
      await two.acquire({ timeoutMs: 10_000 });
      const [first, second] = [await t.event(), await t.event({}, 'event2')];
      first.set();
      await t.rejects(() => second.wait({ timeoutMs: 50 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'handles.3',
    text: 'a name is one thing: another kind or another count is NARU_EXISTS; create: never and new are kept to',
    run: async (t) => {
      await t.lock({}, 'one');
      await t.rejects(() => t.semaphore({}, 'one'), 'NARU_EXISTS');
      await t.rejects(() => t.event({}, 'one'), 'NARU_EXISTS');
      await t.rejects(() => t.lock({ create: 'new' }, 'one'), 'NARU_EXISTS');
      await t.lock({ create: 'never' }, 'one');
      await t.semaphore({ count: 3 }, 'two');
      await t.rejects(() => t.semaphore({ count: 4 }, 'two'), 'NARU_EXISTS');
      await t.rejects(() => t.semaphore({ bounded: true }, 'two'), 'NARU_EXISTS');
      await t.rejects(() => t.lock({ create: 'never' }, 'three'), 'NARU_NOT_FOUND');
    },
  },
  {
    id: 'handles.4',
    text: 'the address opens the same object; each handle has an identity of its own',
    run: async (t) => {
      const [mine, theirs] = [await t.lock(), await t.lock()];
      t.ok(mine.address.startsWith(`${t.capabilities.scheme}:`), 'the address is a URL of the place');
      t.equal(mine.address, theirs.address, 'the address');
      t.ok(mine.identity !== theirs.identity && mine.identity !== '', 'identities differ');
    },
  },
  {
    id: 'handles.5',
    text: 'unlink() ends the waits of all with NARU_CLOSED; whoever opens it then has a new one',
    covers: ['S8'],
    run: async (t) => {
      const [mine, theirs] = [await t.lock(), await t.lock()];
      const events = [await t.event(), await t.event()] as const;
      await mine.acquire();
      const waits = [theirs.acquire(), events[1].wait()];
      const ends = waits.map((wait) => t.rejects(() => wait, 'NARU_CLOSED'));
      events[0].clear();
      await mine.unlink();
      await events[0].unlink();
      await Promise.all(ends);
      await t.rejects(() => theirs.acquire(), 'NARU_CLOSED');
      (await (await t.lock()).acquire({ timeoutMs: 10_000 })).release();
    },
  },
  {
    id: 'handles.6',
    text: 'options and parameters that these do not have are NARU_INVALID_ARGUMENT, as are wrong values',
    run: async (t) => {
      const wrong = [{ colour: 'red' }, { create: 'sometimes' }, { timeoutMs: -1 }, { owner: 5 }];
      for (const options of wrong) await t.rejects(() => t.lock(options as never), 'NARU_INVALID_ARGUMENT');
      for (const count of [-1, 1.5, NaN, 2 ** 31, '3'])
        await t.rejects(() => t.semaphore({ count: count as number }), 'NARU_INVALID_ARGUMENT');
      await t.rejects(() => t.event({ count: 1 } as never), 'NARU_INVALID_ARGUMENT');
      await t.rejects(() => t.lock({ reentrant: 1 } as never), 'NARU_INVALID_ARGUMENT');
    },
  },
  {
    id: 'lacking.immediate',
    text: 'without immediate, the calls that answer at once are NARU_UNSUPPORTED, and the error names it',
    without: 'immediate',
    run: async (t) => {
      const [lock, semaphore, event] = [await t.lock(), await t.semaphore(), await t.event()];
      for (const call of [
        () => lock.tryAcquire(),
        () => lock.holder,
        () => semaphore.tryAcquire(),
        () => semaphore.value,
        () => event.tryWait(),
        () => event.isSet,
      ]) {
        const error = await t.rejects(call, 'NARU_UNSUPPORTED');
        t.ok(error.message.includes('immediate'), 'the error names it');
      }
    },
  },
  {
    id: 'lacking.blocking',
    text: 'without blocking, the calls that block are NARU_UNSUPPORTED, and the error names it',
    without: 'blocking',
    run: async (t) => {
      const [lock, semaphore, event] = [await t.lock(), await t.semaphore(), await t.event()];
      for (const call of [() => lock.acquireSync(), () => semaphore.acquireSync(), () => event.waitSync()]) {
        const error = await t.rejects(call, 'NARU_UNSUPPORTED');
        t.ok(error.message.includes('blocking'), 'the error names it');
      }
    },
  },
];
