// SIGKILL of whoever uses a lock, a semaphore or an event, at every labelled step, in real processes. What must hold: never two holders, never
// a lost lock or permit, the next one is told, those who wait go on within 100 ms of the proof of death, and nothing is left lying.

import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { defaultEdges, type RingEdges } from '../../mapped-ring/edges.ts';
import { undisturbedMs } from '../../native/undisturbed.fixture.ts';
import type { Lock } from '../../sync/lock.ts';
import type { Semaphore } from '../../sync/semaphore.ts';
import type { SharedEvent } from '../../sync/event.ts';
import { cleanLeftovers, listSyncs } from './leftovers.ts';
import { rounds } from './death.fixture.ts';
import { labelsIn } from './labels.fixture.ts';
import { type PeerProcess, Scene, until } from './scene.fixture.ts';
import { lifeOf, type LifeOrders, live } from './sync-life.fixture.ts';
import { type AnySync, openSync, type SyncOrders } from './sync-peer.fixture.ts';

const PEER = fileURLToPath(new URL('./sync-peer.fixture.js', import.meta.url));
const LIFE_PROGRAM = fileURLToPath(new URL('./sync-life.fixture.js', import.meta.url));
/** Where the steps of locks, semaphores and events are labelled. */
const LABELLED = [
  'mapped-sync/',
  ...['lock-word', 'permits', 'event-word', 'sync-recovery', 'doorbell'].map((name) => `ring/${name}`),
  ...['object-file', 'fifo', 'folder', 'waiter', 'seat'].map((name) => `mapped-ring/${name}`),
];
const ROUNDS = Number(process.env['NARU_CRASH_ROUNDS'] ?? 10);
/** Only for what hangs: a round starts processes, which takes long on a busy machine. */
const TIMEOUT = { timeout: 60_000 + ROUNDS * 30_000 };
/** For processes that have to start on a busy machine: nothing that is measured. */
const PATIENCE_MS = 60_000;
/** From the proof of death until the next one has it, both in this process, while it has a processor. */
const RECOVERY_MS = 100;

interface Models {
  lock: Lock;
  semaphore: Semaphore;
  event: SharedEvent;
}

let scene: Scene;
let opened: AnySync[];

beforeEach(() => {
  scene = new Scene();
  opened = [];
});
afterEach(async () => {
  for (const one of opened) await one.close();
  await scene.end();
});

function start(orders: SyncOrders): PeerProcess {
  return scene.run([process.execPath, PEER, JSON.stringify(orders)]);
}

/** A handle in this process, and when it proved a death. */
async function survivor<K extends SyncOrders['kind']>(
  orders: Pick<SyncOrders, 'name' | 'permits' | 'owner'> & { readonly kind: K },
): Promise<{ model: Models[K]; watch: { provedAt: number } }> {
  const watch = { provedAt: Number.NaN };
  const edges: RingEdges = {
    ...defaultEdges('shm://'),
    failpoint: (name) => {
      if (name === 'recover:proved-dead' && Number.isNaN(watch.provedAt)) watch.provedAt = undisturbedMs();
    },
  };
  const model = (await openSync(orders, edges)) as Models[K];
  opened.push(model);
  return { model, watch };
}

async function nothingIsLeft(): Promise<void> {
  for (const one of opened.splice(0)) await one.close();
  cleanLeftovers(scene.folder);
  expect(scene.mailboxes).toEqual([]);
}

/** One slow round in ten may find a busy machine; never so much that only a later look can have helped. */
function expectQuick(times: readonly number[]): void {
  const sorted = [...times].sort((a, b) => a - b);
  expect(sorted[Math.floor((sorted.length - 1) * 0.9)] ?? 0).toBeLessThan(RECOVERY_MS);
  expect(sorted.at(-1) ?? 0).toBeLessThan(4 * RECOVERY_MS);
}

describe('the holder of a lock that dies', () => {
  test.each([
    ['lock:taken', true],
    ['lock:before-unlock', true],
    ['lock:unlocked', false],
    ['ring:before-bell', false],
    ['ring:before-mark', false],
    ['lock:rung', false],
  ])('at %s is followed by one who waits; who is told: %s', TIMEOUT, async (failpoint, told) => {
    const times: number[] = [];
    await rounds(async (number) => {
      const name = `l${number}`;
      const orders = { name, kind: 'lock', owner: 'system' } as const;
      const { model: lock, watch } = await survivor(orders);
      const dying = start({ ...orders, untilAwaited: true, failpoint, isAsync: number % 2 === 0 });
      const has = (): boolean => dying.lines.includes('held') || dying.child.signalCode !== null;
      await until(has, 'it has the lock, or died with it', PATIENCE_MS);
      const guard = await lock.acquire({ timeoutMs: PATIENCE_MS });
      expect(await dying.exit).toBe('SIGKILL');
      expect(guard.recovered).toBe(told);
      if (!Number.isNaN(watch.provedAt) && told) times.push(undisturbedMs() - watch.provedAt);
      guard.release();
      expect(lock.tryAcquire()?.recovered).toBe(false);
      await lock.unlink();
    }, ROUNDS);
    if (told) expect(times).toHaveLength(ROUNDS);
    expectQuick(times);
    await nothingIsLeft();
  });

  test('when two threads block on it, one after the other goes on', TIMEOUT, async () => {
    await rounds(async (number) => {
      const orders = { name: `l${number}`, kind: 'lock', owner: 'system' } as const;
      const holder = start({ ...orders, stays: true });
      await until(() => holder.lines.includes('held'), 'it has the lock', PATIENCE_MS);
      const others = [start(orders), start(orders)];
      await until(() => others.every(({ lines }) => lines.includes('open')), 'they are there', PATIENCE_MS);
      await until(() => waiters(orders.name) === 2, 'they wait', PATIENCE_MS);
      holder.child.kill('SIGKILL');
      expect(await Promise.all(others.map(({ exit }) => exit))).toEqual([0, 0]);
      const said = others.map(({ lines }) => lines[1]);
      expect(new Set(said)).toEqual(new Set(['held', 'recovered']));
    }, ROUNDS);
    expect(listSyncs(scene.folder).map(({ state, value }) => `${state} ${value}`)).toEqual(
      Array.from({ length: ROUNDS }, () => 'live 1'),
    );
  });

  test('again, having been told, leaves the news to the next', TIMEOUT, async () => {
    const orders = { name: 'l', kind: 'lock' } as const;
    const { model: lock } = await survivor(orders);
    await rounds(async () => {
      for (const failpoint of ['lock:taken', 'lock:recovered', 'lock:recovered'])
        expect(await start({ ...orders, failpoint }).exit).toBe('SIGKILL');
      const guard = await lock.acquire({ timeoutMs: PATIENCE_MS });
      expect(guard.recovered).toBe(true);
      guard.release();
    }, 1);
    await nothingIsLeft();
  });
});

function waiters(name: string): number {
  const found = listSyncs(scene.folder).find((one) => one.name === name);
  return found?.handles.filter(({ isWaiting }) => isWaiting).length ?? 0;
}

describe('somebody who waits for a lock and dies', () => {
  test.each([
    ['park:before-look', false],
    ['park:before-look', true],
  ])('at %s (in its event loop: %s) takes nobody’s turn', TIMEOUT, async (failpoint, isAsync) => {
    await rounds(async (number) => {
      const orders = { name: `l${number}`, kind: 'lock' } as const;
      const { model: lock } = await survivor(orders);
      const { model: second } = await survivor(orders);
      const guard = await lock.acquire();
      const waiting = second.acquire({ timeoutMs: PATIENCE_MS });
      const dying = start({ ...orders, isAsync, failpoint });
      expect(await dying.exit).toBe('SIGKILL');
      guard.release();
      expect((await waiting).recovered).toBe(false);
    }, ROUNDS);
    await nothingIsLeft();
  });
});

describe('a holder of permits that dies', () => {
  test.each([
    ['permits:announced', 1],
    ['permits:before-swap', 1],
    ['permits:swapped', 1],
    ['permits:noted', 1],
    ['permits:announced', 2],
    ['permits:before-swap', 2],
    ['permits:swapped', 2],
    ['permits:noted', 2],
    ['permits:rung', 1],
  ])('at %s, call %i, gives all of them back, once', TIMEOUT, async (failpoint, nth) => {
    const times: number[] = [];
    await rounds(async (number) => {
      const orders = { name: `s${number}`, kind: 'semaphore', permits: 2 } as const;
      const { model: semaphore, watch } = await survivor(orders);
      const keeper = start({ ...orders, stays: true });
      await until(() => keeper.lines.includes('held'), 'it has one', PATIENCE_MS);
      const dying = start({ ...orders, failpoint, nth, rounds: 2, isAsync: number % 2 === 0 });
      expect(await dying.exit).toBe('SIGKILL');
      const permit = await semaphore.acquire({ timeoutMs: PATIENCE_MS });
      if (!Number.isNaN(watch.provedAt)) times.push(undisturbedMs() - watch.provedAt);
      // The other one lives, and has the second.
      expect(semaphore.tryAcquire()).toBe(undefined);
      permit.release();
      keeper.child.kill('SIGKILL');
      await keeper.exit;
      await until(() => semaphore.value === 2, 'both are back', PATIENCE_MS);
      const all = [semaphore.tryAcquire(), semaphore.tryAcquire(), semaphore.tryAcquire()];
      expect(all.map((one) => one?.recovered)).toEqual([true, false, undefined]);
      for (const one of all) one?.release();
    }, ROUNDS);
    expectQuick(times);
    await nothingIsLeft();
  });

  test.each(['permits:settled', 'permits:returning', 'permits:before-swap', 'permits:returned'])(
    'is cleared up after by somebody who dies at %s, and by the next',
    TIMEOUT,
    async (failpoint) => {
      await rounds(async (number) => {
        const orders = { name: `s${number}`, kind: 'semaphore', permits: 3, owner: 'system' } as const;
        const dead = start({ ...orders, failpoint: 'permits:swapped' });
        expect(await dead.exit).toBe('SIGKILL');
        expect(await start({ ...orders, failpoint }).exit).toBe('SIGKILL');
        const { model: semaphore } = await survivor(orders);
        expect(semaphore.value).toBe(3);
        await semaphore.unlink();
      }, ROUNDS);
      await nothingIsLeft();
    },
  );
});

test('who sets an event and dies at event:set or in the ring leaves nobody asleep', TIMEOUT, async () => {
  await rounds(async (number) => {
    const failpoint = ['event:set', 'ring:before-bell', 'ring:before-mark', 'event:rung'][
      number % 4
    ] as string;
    const orders = { name: `e${number}`, kind: 'event' } as const;
    const { model: event } = await survivor(orders);
    const dying = start({ ...orders, untilAwaited: true, failpoint });
    await event.wait({ timeoutMs: PATIENCE_MS });
    expect(await dying.exit).toBe('SIGKILL');
    expect(event.isSet).toBe(true);
  }, ROUNDS);
  await nothingIsLeft();
});

describe('whoever clears up after a dead holder and dies', () => {
  test.each([
    'recover:proved-dead',
    'recover:leaving',
    'recover:given-back',
    'recover:bell-removed',
    'recover:rung',
  ])('at %s leaves the work to the next, who is told', TIMEOUT, async (failpoint) => {
    await rounds(async (number) => {
      const orders = { name: `l${number}`, kind: 'lock', owner: 'system' } as const;
      expect(await start({ ...orders, failpoint: 'lock:taken' }).exit).toBe('SIGKILL');
      expect(await start({ ...orders, failpoint }).exit).toBe('SIGKILL');
      const { model: lock } = await survivor(orders);
      expect(lock.tryAcquire()?.recovered).toBe(true);
      expect(listSyncs(scene.folder).find(({ name }) => name === orders.name)?.handles).toHaveLength(1);
      await lock.unlink();
    }, ROUNDS);
    await nothingIsLeft();
  });
});

describe('a creator that dies', () => {
  test.each([
    'create:empty',
    'create:sized',
    'create:header',
    'seat:before-fifo',
    'seat:fifo-made',
    'seat:fifo-locked',
    'seat:slot-filled',
    'create:before-ready',
    'create:ready',
  ])('at %s leaves nothing that stops the next one', TIMEOUT, async (failpoint) => {
    await rounds(async (number) => {
      const orders = { name: `l${number}`, kind: 'lock' } as const;
      expect(await start({ ...orders, failpoint }).exit).toBe('SIGKILL');
      const { model: lock } = await survivor(orders);
      expect(lock.tryAcquire()?.recovered).toBe(false);
    }, ROUNDS);
    await nothingIsLeft();
  });

  test.each(['remove:ring-gone', 'remove:lock-gone'])(
    'while it removes the lock, at %s, leaves what doctor clears',
    TIMEOUT,
    async (failpoint) => {
      await rounds(async (number) => {
        expect(await start({ name: `l${number}`, kind: 'lock', failpoint }).exit).toBe('SIGKILL');
      }, ROUNDS);
      await nothingIsLeft();
    },
  );
});

describe('one whole life', () => {
  const run = (orders: LifeOrders): PeerProcess =>
    scene.run([process.execPath, LIFE_PROGRAM, JSON.stringify(orders)]);

  /** How often each step is passed. */
  async function steps(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    expect(await run({ act: 'wreck', name: 'dry' }).exit).toBe('SIGKILL');
    await live(
      'dry',
      (label) => counts.set(label, (counts.get(label) ?? 0) + 1),
      () => undefined,
    );
    expect(scene.mailboxes).toEqual([]);
    return counts;
  }

  test('passes every step that has a label, and at each of them whoever dies costs the next one nothing', {
    timeout: 600_000,
  }, async () => {
    const counts = await steps();
    // Nobody may have added a step that this does not come by.
    expect([...labelsIn(LABELLED)].filter((label) => !counts.has(label))).toEqual([]);
    let round = 0;
    for (const [step, count] of counts) {
      round += 1;
      const name = `s${round}`;
      expect(await run({ act: 'wreck', name }).exit).toBe('SIGKILL');
      const dying = run({ act: 'live', name, step, nth: 1 + (round % count) });
      expect([step, await dying.exit]).toEqual([step, 'SIGKILL']);
      const life = lifeOf(name);
      const { model: lock } = await survivor(life.lock);
      (await lock.acquire({ timeoutMs: PATIENCE_MS })).release();
      const { model: semaphore } = await survivor(life.semaphore);
      await until(() => semaphore.value > 0, 'all permits are back', PATIENCE_MS);
      const most = dying.lines.includes('adds') ? 2 : 1;
      expect([step, semaphore.value <= most]).toEqual([step, true]);
      const { model: event } = await survivor(life.event);
      event.set();
      await event.wait({ timeoutMs: PATIENCE_MS });
      await Promise.all([lock.unlink(), semaphore.unlink()]);
    }
    await nothingIsLeft();
  });
});
