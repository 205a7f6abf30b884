// The module that the tests of spawn() start: does what `data.act` says.

import { setTimeout as pause } from 'node:timers/promises';
import type { ManagerValue } from '../manager/cells.ts';
import type { Mailbox } from '../mailbox/mailbox.ts';
import type { SharedArray } from '../state/array.ts';
import type { SharedMap } from '../state/map.ts';
import type { SharedValue } from '../state/value.ts';
import type { SharedEvent } from '../sync/event.ts';
import type { Lock } from '../sync/lock.ts';
import type { Semaphore } from '../sync/semaphore.ts';
import type { ChildContext } from './run.ts';

export interface Orders {
  readonly act: string;
  readonly count?: number;
}

interface Shared {
  readonly orders: Mailbox;
  readonly total: SharedValue<'i32'>;
  readonly lock: Lock;
  readonly cells: SharedArray<'f64'>;
  readonly seen: SharedMap;
  readonly permits: Semaphore;
  readonly go: SharedEvent;
}

const acts: Record<string, (shared: Shared, context: ChildContext<Orders>) => unknown> = {
  /** Uses everything it was given. */
  async everything({ orders, total, lock, cells, seen, permits, go }, { data }) {
    await go.wait({ timeoutMs: 10_000 });
    for (let i = 0; i < (data.count ?? 0); i += 1) {
      const guard = await lock.acquire({ timeoutMs: 10_000 });
      cells.set(0, (cells.get(0) ?? 0) + 1);
      guard.release();
      total.add(1);
    }
    const permit = permits.tryAcquire();
    await seen.update('pids', (pids) => [...((pids as number[] | undefined) ?? []), process.pid]);
    permit?.release();
    await orders.send('done');
  },
  /** The same with handles of a Manager, whose values give promises. */
  async everythingInAManager({ orders, total, lock, seen, permits, go }, { data }) {
    await go.wait({ timeoutMs: 10_000 });
    const sum = total as unknown as ManagerValue<'i32'>;
    for (let i = 0; i < (data.count ?? 0); i += 1) {
      const guard = await lock.acquire({ timeoutMs: 10_000 });
      await sum.add(1);
      guard.release();
    }
    const permit = await permits.acquire({ timeoutMs: 10_000 });
    await seen.update('pids', (pids) => [...((pids as number[] | undefined) ?? []), process.pid]);
    permit.release();
    await orders.send('done');
  },
  throws: () => {
    throw new TypeError('thrown on purpose');
  },
  /** Not in the function: in a callback that nobody awaits. */
  async throwsLater() {
    setImmediate(() => {
      throw new RangeError('thrown later');
    });
    await pause(60_000);
  },
  exits: () => process.exit(3),
  /** Crashes at the first starts. */
  async recovers({ orders }, { data, restarts }) {
    await orders.send(`start ${restarts}`);
    if (restarts < (data.count ?? 0)) throw new Error(`crash ${restarts}`);
  },
  /** Ends when it is told to. */
  async waits({ orders }, { signal }) {
    await orders.send(process.pid);
    await pause(60_000, undefined, { signal }).catch(() => undefined);
  },
  /** Sleeps in a system call: no message reaches it. Only once its own has been received: it would take it itself. */
  async blocks({ orders }) {
    await orders.send(process.pid, { confirm: 'received' });
    orders.receiveSync();
  },
  /** Is told to stop and says no. */
  async stays({ orders }) {
    await orders.send(process.pid);
    await pause(60_000);
  },
  /** Its handler ends with the reason. */
  async abortable({ orders }, { signal }) {
    await orders.send(process.pid, { confirm: 'received' });
    await orders.receive({ signal });
  },
  /** Leaves a timer behind. */
  lingers: () => void setTimeout(() => undefined, 60_000),
};

export default function run(shared: Shared, context: ChildContext<Orders>): unknown {
  return acts[context.data.act]?.(shared, context);
}
