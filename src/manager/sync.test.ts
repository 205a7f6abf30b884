// Locks, semaphores and events in a Manager: what the suite of conformance does not reach: a Manager that dies, takebacks, lists of waiting.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FaultProxy } from '../link/fault-proxy.fixture.ts';
import { Manager, openValue } from '../open-state.ts';
import { openEvent, openLock, openSemaphore } from '../open-sync.ts';

const key = 'the key of the sync test';
let folder: string;
let manager: Manager;
let open: { [Symbol.asyncDispose](): PromiseLike<void> }[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'naru-manager-'));
  open = [];
  manager = await Manager.start({ listen: `unix://${folder}/m.sock`, key });
});

afterEach(async () => {
  for (const one of open) await one[Symbol.asyncDispose]();
  await manager.stop();
  rmSync(folder, { recursive: true });
});

function kept<T extends { [Symbol.asyncDispose](): PromiseLike<void> }>(one: T): T {
  open.push(one);
  return one;
}

const at = (name: string): string => `${manager.url}?name=${name}`;

async function restart(): Promise<void> {
  const { url } = manager;
  await manager.stop();
  manager = await Manager.start({ listen: url, key });
}

test('a wait of 0 ms asks once, and takes what is free', async () => {
  const one = kept(await openLock(at('lock'), { key }));
  const two = kept(await openLock(at('lock'), { key }));
  const guard = await one.acquire({ timeoutMs: 0 });
  await expect(two.acquire({ timeoutMs: 0 })).rejects.toMatchObject({ code: 'NARU_TIMEOUT' });
  guard.release();
  (await two.acquire({ timeoutMs: 0 })).release();
  const slots = kept(await openSemaphore(at('slots'), { key, count: 1 }));
  const permit = await slots.acquire({ timeoutMs: 0 });
  await expect(slots.acquire({ timeoutMs: 0 })).rejects.toMatchObject({ code: 'NARU_TIMEOUT' });
  permit.release();
  const ready = kept(await openEvent(at('ready'), { key }));
  await expect(ready.wait({ timeoutMs: 0 })).rejects.toMatchObject({ code: 'NARU_TIMEOUT' });
  ready.set();
  await ready.wait({ timeoutMs: 0 });
});

test('what is held when the Manager goes is reported lost; who waits goes on waiting at the next one', async () => {
  const holder = kept(await openLock(at('lock'), { key }));
  const waiter = kept(await openLock(at('lock'), { key }));
  await holder.acquire();
  const waiting = waiter.acquire();
  const work = holder.release.bind(holder);
  await restart();
  const guard = await waiting;
  expect(guard.recovered).toBe(false);
  expect(work).toThrow(/lost with the connection/);
  await expect(holder.acquire()).rejects.toMatchObject({ code: 'NARU_PEER_GONE' });
  guard.release();
});

test('with() tells that its lock was lost while the work ran', async () => {
  const lock = kept(await openLock(at('lock'), { key }));
  await expect(lock.with(restart)).rejects.toMatchObject({ code: 'NARU_PEER_GONE' });
});

test('first come, first served; who gives up leaves the line', async () => {
  const order: number[] = [];
  const handles = await Promise.all(
    Array.from({ length: 5 }, async () => kept(await openLock(at('line'), { key }))),
  );
  const [first, ...others] = handles;
  const guard = await first?.acquire();
  const abort = new AbortController();
  const waits = others.map(async (handle, n) => {
    const mine = await handle.acquire({ signal: abort.signal });
    order.push(n);
    mine.release();
  });
  const gone = kept(await openLock(at('line'), { key }));
  await expect(gone.acquire({ timeoutMs: 20 })).rejects.toMatchObject({ code: 'NARU_TIMEOUT' });
  guard?.release();
  await Promise.all(waits);
  expect(order).toEqual([0, 1, 2, 3]);
  (await gone.acquire()).release();
});

test('a lock that is given in the moment in which its wait ends is given back', async () => {
  const one = kept(await openLock(at('race'), { key }));
  const two = kept(await openLock(at('race'), { key }));
  for (let n = 0; n < 200; n += 1) {
    const guard = await one.acquire();
    const abort = new AbortController();
    const wait = two.acquire({ signal: abort.signal }).then(
      (got) => got.release(),
      () => undefined,
    );
    guard.release();
    if (n % 2 === 0) await new Promise(setImmediate);
    abort.abort();
    await wait;
  }
  (await one.acquire()).release();
});

test('a value has a lock beside it', async () => {
  const one = kept(await openValue(at('total') as 'unix://', 'f64', { key }));
  const two = kept(await openValue(at('total') as 'unix://', 'f64', { key }));
  await Promise.all(
    [one, two].map(async (total) => {
      for (let n = 0; n < 50; n += 1) await total.withLock(async () => total.set((await total.get()) + 0.5));
    }),
  );
  expect(await one.get()).toBe(50);
});

test('who falls silent on tcp:// without an end loses its lock to the next, who is told', {
  timeout: 120_000,
}, async () => {
  await using far = await Manager.start({ listen: 'tcp://127.0.0.1:0', key, heartbeatMs: 200 });
  const proxy = await FaultProxy.to(Number(new URL(far.url).port));
  try {
    const holder = await openLock(`tcp://127.0.0.1:${proxy.port}/lock`, { key });
    const guard = await holder.acquire();
    const waiter = kept(await openLock(`${far.url}/lock`, { key }));
    const waiting = waiter.acquire({ timeoutMs: 50_000 });
    proxy.isStalled = true;
    const next = await waiting;
    expect(next.recovered).toBe(true);
    next.release();
    expect(() => guard.release()).toThrow(/lost with the connection/);
    await holder.close();
  } finally {
    await proxy.close();
  }
});
