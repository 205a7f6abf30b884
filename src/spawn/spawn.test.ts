// spawn() with real processes and workers: live handles, crashes that harm nobody, restarts, stopping, the parent's death.

import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { Mailbox } from '../mailbox/mailbox.ts';
import { open } from '../open.ts';
import { Manager, openArray, openMap, openValue } from '../open-state.ts';
import { openEvent, openLock, openSemaphore } from '../open-sync.ts';
import { spawn } from '../spawn.ts';
import type { Child, ChildCrash } from './child.ts';
import type { SpawnOptions } from './options.ts';
import type { Shareable } from '../mailbox/shared-handle.ts';

const MODULE = new URL('./child.fixture.js', import.meta.url);
const BOTH = ['process', 'worker'] as const;
const ends: (() => unknown)[] = [];
let names = 0;

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

/** A URL of this test's own. */
function fresh(): string {
  names += 1;
  return `shm://spawn-${process.pid}-${names}`;
}

function kept<T extends { close(): unknown }>(handle: T): T {
  ends.push(() => handle.close());
  return handle;
}

async function start(
  act: string,
  options: SpawnOptions<Readonly<Record<string, Shareable>>> & { readonly count?: number } = {},
): Promise<Child> {
  const child = await spawn(MODULE, { ...options, data: { act, count: options.count } });
  ends.push(() => child.stop({ graceMs: 0 }));
  return child;
}

async function mailbox(): Promise<Mailbox> {
  return kept((await open(fresh())) as unknown as Mailbox);
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`${what}: not within 10 s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe.each(BOTH)('a child (%s)', (as) => {
  test('has live handles to everything that is shared', async () => {
    const share = {
      orders: await mailbox(),
      total: kept(await openValue(fresh(), 'i32')),
      lock: kept(await openLock(fresh())),
      cells: kept(await openArray(fresh(), Float64Array, 4)),
      seen: kept(await openMap(fresh())),
      permits: kept(await openSemaphore(fresh(), { count: 2 })),
      go: kept(await openEvent(fresh())),
    };
    const children = [
      await start('everything', { share, as, count: 500 }),
      await start('everything', { share, as, count: 500 }),
    ];
    share.go.set();
    const exits = await Promise.all(children.map((child) => child.exited));
    expect(exits).toEqual(exits.map(() => ({ code: 0, signal: null, error: undefined, restarts: 0 })));
    expect([share.total.get(), share.cells.get(0)]).toEqual([1000, 1000]);
    expect(await share.seen.get('pids')).toHaveLength(2);
    expect((await share.orders.receiveMany(2)).length).toBeGreaterThan(0);
    expect(children.map(({ isRunning }) => isRunning)).toEqual([false, false]);
  });

  test('has live handles to what lives in a Manager, and its key', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'naru-spawn-'));
    ends.push(() => rmSync(folder, { recursive: true, force: true }));
    const manager = await Manager.start({ listen: `unix://${folder}/m.sock` });
    ends.push(() => manager.stop());
    const { key } = manager;
    const at = (name: string) => `${manager.url}?name=${name}` as `unix://${string}`;
    const share = {
      orders: kept((await open(at('orders'), { key })) as unknown as Mailbox),
      total: kept(await openValue(at('total'), 'i32', { key })),
      lock: kept(await openLock(at('lock'), { key })),
      seen: kept(await openMap(at('seen'), { key })),
      permits: kept(await openSemaphore(at('permits'), { key, count: 2 })),
      go: kept(await openEvent(at('go'), { key })),
    };
    const children = [
      await start('everythingInAManager', { share, as, count: 50 }),
      await start('everythingInAManager', { share, as, count: 50 }),
    ];
    share.go.set();
    const exits = await Promise.all(children.map((child) => child.exited));
    expect(exits).toEqual(exits.map(() => ({ code: 0, signal: null, error: undefined, restarts: 0 })));
    expect(await share.total.get()).toBe(100);
    expect(await share.seen.get('pids')).toHaveLength(2);
    expect(await share.orders.receiveMany(2, { timeoutMs: 10_000 })).not.toHaveLength(0);
  });

  test('that throws is an event, with the error; its sibling goes on', async () => {
    const orders = await mailbox();
    const sibling = await start('waits', { share: { orders }, as });
    for (const [act, name, message] of [
      ['throws', 'TypeError', 'thrown on purpose'],
      ['throwsLater', 'RangeError', 'thrown later'],
    ]) {
      const child = await start(act as string, { as });
      const crashes: ChildCrash[] = [];
      child.on('crash', (crash) => crashes.push(crash));
      const { error, code } = await child.exited;
      expect([error?.name, error?.message, code]).toEqual([name, message, 1]);
      expect(crashes).toEqual([{ code: 1, signal: null, error, restarts: 0, restartInMs: undefined }]);
    }
    const child = await start('exits', { as });
    child.on('crash', () => undefined);
    expect(await child.exited).toMatchObject({ code: 3, error: undefined });
    expect(sibling.isRunning).toBe(true);
  });

  test('that crashes is started again, and later each time; then given up', async () => {
    const orders = await mailbox();
    const child = await start('recovers', { share: { orders }, as, count: 2, restart: { delayMs: 10 } });
    const restarts: number[] = [];
    child.on('crash', () => undefined);
    child.on('restart', (restart) => restarts.push(restart.restarts));
    expect(await child.exited).toMatchObject({ code: 0, error: undefined, restarts: 2 });
    expect(restarts).toEqual([1, 2]);
    const said = [];
    for (let i = 0; i < 3; i += 1) said.push((await orders.receive({ timeoutMs: 5_000 })).data);
    expect(said).toEqual(['start 0', 'start 1', 'start 2']);

    const hopeless = await start('recovers', {
      share: { orders },
      as,
      count: 99,
      restart: { attempts: 2, delayMs: 1, delayMsMax: 4 },
    });
    const crashes: ChildCrash[] = [];
    hopeless.on('crash', (crash) => crashes.push(crash));
    expect((await hopeless.exited).error?.message).toBe('crash 2');
    expect(crashes.map(({ restartInMs }) => restartInMs !== undefined)).toEqual([true, true, false]);
    expect(crashes.every(({ restartInMs = 0 }) => restartInMs <= 4)).toBe(true);
  });

  test('is asked to stop, and killed when it does not', async () => {
    const orders = await mailbox();
    for (const act of ['waits', 'abortable']) {
      const child = await start(act, { share: { orders }, as });
      await orders.receive({ timeoutMs: 5_000 });
      expect(await child.stop(), act).toMatchObject({ code: 0, signal: null, error: undefined });
    }
    const child = await start('stays', { share: { orders }, as, restart: true });
    await orders.receive({ timeoutMs: 5_000 });
    const exit = await child.stop({ graceMs: 50 });
    expect(exit.signal ?? exit.code).toBe(as === 'process' ? 'SIGKILL' : 1);
    expect(await child.stop()).toBe(exit);
  });

  test('that cannot start says why', async () => {
    const orders = await mailbox();
    const nowhere = new URL('./nowhere.js', import.meta.url);
    await expect(spawn(nowhere, { as })).rejects.toThrow(/nowhere/);
    await expect(spawn(new URL('./options.js', import.meta.url), { as })).rejects.toMatchObject({
      code: 'NARU_INVALID_ARGUMENT',
      message: expect.stringContaining('default export') as unknown,
    });
    const lost = { toShared: () => ({ ...orders.toShared(), options: { create: 'never' }, url: fresh() }) };
    await expect(spawn(MODULE, { as, share: { lost } })).rejects.toMatchObject({ code: 'NARU_NOT_FOUND' });
    await expect(spawn(MODULE, { as, timeoutMs: 0 })).rejects.toMatchObject({ code: 'NARU_TIMEOUT' });
  });

  test('whose function has returned ends, though it left a timer', async () => {
    expect(await (await start('lingers', { as })).exited).toMatchObject({ code: 0 });
  });

  test('ends when the signal fires', async () => {
    const controller = new AbortController();
    const orders = await mailbox();
    const child = await start('waits', { share: { orders }, as, signal: controller.signal });
    controller.abort();
    expect(await child.exited).toMatchObject({ code: 0 });
    await expect(spawn(MODULE, { as, signal: controller.signal })).rejects.toBe(controller.signal.reason);
  });
});

test('a killed process is an event, comes back, and its parent and siblings go on', async () => {
  const orders = await mailbox();
  const child = await start('waits', { share: { orders }, restart: { attempts: 3, delayMs: 1 } });
  const crashes: ChildCrash[] = [];
  child.on('crash', (crash) => crashes.push(crash));
  const first = (await orders.receive({ timeoutMs: 5_000 })).data;
  expect(first).toBe(child.pid);
  child.kill();
  const second = (await orders.receive({ timeoutMs: 5_000 })).data;
  expect(second).not.toBe(first);
  expect(crashes).toMatchObject([{ code: null, signal: 'SIGKILL', error: undefined }]);
  expect(await child.stop()).toMatchObject({ code: 0, restarts: 1 });
});

test.each(['waits', 'blocks', 'stays'])(
  'a child that %s ends with its parent, killed as that may be',
  async (act) => {
    const orders = await mailbox();
    const parent = fork(new URL('./parent.fixture.js', import.meta.url), [orders.address, act]);
    ends.push(() => parent.kill('SIGKILL'));
    const pid = (await orders.receive({ timeoutMs: 10_000 })).data as number;
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await until('the child is gone', () => !isAlive(pid));
  },
);

test('what cannot be handed over is refused before anything starts', async () => {
  const memory = kept(await open('memory://spawn-test'));
  await expect(spawn(MODULE, { share: { memory } })).rejects.toMatchObject({
    code: 'NARU_UNSUPPORTED',
    message: expect.stringContaining('one thread') as unknown,
  });
  const codec = { name: 'own', encode: () => new Uint8Array(), decode: () => 1 };
  const own = kept(await open(fresh(), { codec }));
  await expect(spawn(MODULE, { share: { own } })).rejects.toThrow(/codec/);
  await expect(spawn(MODULE, { share: { plain: 7 as never } })).rejects.toThrow(/no handle/);
  await expect(spawn('./child.js')).rejects.toThrow(/absolute/);
  await expect(spawn(MODULE, { restart: { attempts: -1 } })).rejects.toThrow(/attempts/);
  await expect(spawn(MODULE, { graceMs: 0.5 })).rejects.toThrow(/graceMs/);
  await expect(spawn(MODULE, { as: 'thread' as never })).rejects.toThrow(/"process" or "worker"/);
});
