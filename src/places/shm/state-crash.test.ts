// SIGKILL of holders of values and maps at every labelled step, and at random moments; and histories of several processes that must
// be linearisable. What must hold: the old value or the new one, no lock lost, no room lost, nothing left lying.

import { describe, expect, test } from 'vitest';
import { openMap, openValue, type SharedMap, type SharedValue } from 'naru/state';
import { labelsIn } from './labels.fixture.ts';
import { findDisorder, type Operation } from './state-history.fixture.ts';
import { isWhole, runScript } from './state-peer.fixture.ts';
import { mapWith, type StateScene, stateSceneForEach, valueWith } from './state-scene.fixture.ts';
import { undisturbedMs } from '../../native/undisturbed.fixture.ts';

const KILLS = Number(process.env['NARU_STATE_KILLS'] ?? 15);
const SEED = Number(process.env['NARU_STATE_SEED'] ?? 1);
/** For processes that have to start on a busy machine: nothing that is measured. */
const PATIENCE_MS = 60_000;
/** Where the steps of values and maps are labelled. */
const LABELLED = ['mapped-state/', 'table/', 'ring/lock-word', 'mapped-ring/fifo', 'mapped-ring/folder'];
const OPERATIONS = Number(process.env['NARU_STATE_OPERATIONS'] ?? 1500);

let scene: StateScene;
stateSceneForEach((made) => {
  scene = made;
});

/** Whole values of the script: one character, repeated, after the first. */
const isOfScript = (value: unknown): boolean =>
  value === undefined || (typeof value === 'string' && isWhole(value.slice(1)));

describe('a death', () => {
  /** How often each step is passed by a process that runs the script alone, and which only by one that comes after a death. */
  async function steps(): Promise<{ alone: Map<string, number>; afterDeath: Map<string, number> }> {
    const [alone, afterDeath] = [new Map<string, number>(), new Map<string, number>()];
    const count = (counts: Map<string, number>) => (name: string) =>
      void counts.set(name, (counts.get(name) ?? 0) + 1);
    await runScript('shm://dry', count(alone));
    expect(scene.objects).toEqual([]);
    const others = await openBoth('shm://wrecked');
    await runScript('shm://wrecked', count(afterDeath), true);
    for (const other of others) await other.close();
    for (const name of alone.keys()) afterDeath.delete(name);
    return { alone, afterDeath };
  }

  async function openBoth(url: string): Promise<[SharedMap, SharedValue<'text:4000'>]> {
    const map = await openMap(`${url}-map?capacity=64KiB` as 'shm://');
    return [map, await openValue(`${url}-text` as 'shm://', 'text:4000')];
  }

  /** Whoever comes next finds the old values or the new ones, and all of the room. */
  async function isAllThere(url: string, step: string): Promise<void> {
    const [map, text] = await openBoth(url);
    for (const key of ['a', 'b']) expect([step, isOfScript(await map.get(key))]).toEqual([step, true]);
    expect([step, isWhole(`x${text.get()}`) || isWhole(text.get())]).toEqual([step, true]);
    text.set('again');
    await text.withLock(() => undefined, { timeoutMs: PATIENCE_MS });
    await map.clear();
    for (let n = 0; n < 200; n += 1) await map.set(`n${n}`, 'x'.repeat(150));
    expect([step, await map.size()]).toEqual([step, 200]);
    await map.clear();
    await Promise.all([map.close(), text.close()]);
  }

  test('at every labelled step leaves old or new, no lock, no room and no file lost', {
    timeout: 600_000,
  }, async () => {
    const { alone, afterDeath } = await steps();
    // Nobody may have added a step that this does not come by.
    const passed = new Set([...alone.keys(), ...afterDeath.keys()]);
    const missed = [...labelsIn(LABELLED)].filter((label) => !passed.has(label));
    // A doorbell is a mailbox's and a lock's.
    expect(missed).toEqual(['ring:before-bell']);
    let round = 0;
    for (const [step, count] of [...alone, ...afterDeath]) {
      round += 1;
      const url = `shm://s${round}`;
      const isWrecked = afterDeath.has(step);
      // Somebody else has them open, or nobody has: then the peer makes and removes them, too.
      const isWatched = round % 2 === 0 && /^(table|blob|lock|leave|recover|seat|watch):/.test(step);
      const others = isWatched || isWrecked ? await openBoth(url) : [];
      const nth = 1 + ((SEED * 31 + round * 7) % count);
      const peer = scene.start({ act: 'script', url, step, nth, isWrecked });
      expect([step, await peer.exit]).toEqual([step, 'SIGKILL']);
      await isAllThere(url, step);
      for (const other of others) await other.close();
    }
    expect(scene.objects).toEqual([]);
  });

  test('in the middle of a write keeps the next writer no longer than 100 ms from the proof', {
    timeout: 300_000,
  }, async () => {
    const times: number[] = [];
    for (let round = 0; round < 10; round += 1) {
      const url = `shm://p${round}`;
      const others = await openBoth(url);
      let provedAt = Number.NaN;
      const proved = (name: string): void => {
        if (name.endsWith(':proved-dead')) provedAt = undisturbedMs();
      };
      const map = await mapWith(`${url}-map?capacity=64KiB`, proved);
      expect(await scene.start({ act: 'wreck', url }).exit).toBe('SIGKILL');
      if (round % 2 === 0) map.setSync('a', 'next');
      else await map.set('a', 'next');
      times.push(undisturbedMs() - provedAt);
      await map.close();
      for (const other of others) await other.close();
    }
    expect(Math.max(...times)).toBeLessThan(100);
  });

  test('of processes that write as fast as they can, at random moments', {
    timeout: 120_000 + KILLS * 10_000,
  }, async () => {
    const url = 'shm://churn?capacity=64KiB';
    await using map = await openMap(url, { codec: 'text' });
    let seed = SEED;
    for (let kill = 0; kill < KILLS; kill += 1) {
      seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
      const peers = [1, 2].map((id) => scene.start({ act: 'churn', url, id: id + kill * 2 }));
      await Promise.all(peers.map((peer) => peer.said('ready')));
      const until = performance.now() + ((seed >>> 8) % 40);
      let reads = 0;
      while (performance.now() < until || reads === 0) {
        for (let n = 0; n < 13; n += 1) {
          const value = map.getSync(`k${n}`);
          if (value !== undefined) expect(isWhole(value)).toBe(true);
          reads += 1;
        }
        await new Promise(setImmediate);
      }
      for (const { child } of peers) child.kill('SIGKILL');
      for (const peer of peers) expect(await peer.exit).toBe('SIGKILL');
      const diedAt = undisturbedMs();
      for (let n = 0; n < 13; n += 1) map.setSync(`k${n}`, 'x');
      // Two deaths, each to be proved at the next look.
      expect(undisturbedMs() - diedAt).toBeLessThan(1_000);
      expect(await map.size()).toBe(13);
    }
    await map.clear();
    // All of the room is there again: one block an entry, and each only once.
    const { blocks } = { blocks: 64 * 8 };
    for (let n = 0; n < blocks; n += 1) map.setSync(`f${n}`, 'x');
    expect(() => map.setSync('one more', 'x')).toThrow(/NARU_FULL|no room/);
  });

  test('of a lock’s holder: those who wait go on within 100 ms of the proof, and are told', {
    timeout: 120_000,
  }, async () => {
    let provedAt = Number.NaN;
    const value = await valueWith('shm://held', 'i32', (name) => {
      if (name === 'probe:proved-dead') provedAt = undisturbedMs();
    });
    const [sinceDeath, afterProof]: [number[], number[]] = [[], []];
    for (let round = 0; round < 6; round += 1) {
      const peer = scene.start({ act: 'hold', url: 'shm://held' });
      await peer.said('holding');
      expect(value.lock.tryAcquire()).toBeUndefined();
      const waiting = round % 2 === 0 ? value.withLock((guard) => guard.recovered) : undefined;
      provedAt = Number.NaN;
      peer.child.kill('SIGKILL');
      await peer.exit;
      const diedAt = undisturbedMs();
      if (waiting === undefined) {
        const guard = value.lock.acquireSync();
        expect(guard.recovered).toBe(true);
        guard.release();
      } else expect(await waiting).toBe(true);
      sinceDeath.push(undisturbedMs() - diedAt);
      afterProof.push(undisturbedMs() - provedAt);
      expect(await value.withLock((guard) => guard.recovered)).toBe(false);
    }
    await value.close();
    expect(Math.max(...afterProof)).toBeLessThan(100);
    // A look every 50 ms. The best of them: the thread that sleeps for an event loop may find no processor either.
    expect(Math.min(...sinceDeath)).toBeLessThan(100);
  });

  test('no: a stopped holder is not robbed', { timeout: 120_000 }, async () => {
    await using value = await openValue('shm://stopped', 'i32');
    const peer = scene.start({ act: 'hold', url: 'shm://stopped' });
    await peer.said('holding');
    peer.child.kill('SIGSTOP');
    await expect(value.withLock(() => undefined, { timeoutMs: 400 })).rejects.toMatchObject({
      code: 'NARU_TIMEOUT',
    });
    expect(() => value.lock.acquireSync({ timeoutMs: 200 })).toThrow(/not acquired within 200 ms/);
    peer.child.kill('SIGKILL');
    await peer.exit;
    expect(await value.withLock((guard) => guard.recovered)).toBe(true);
  });
});

describe('recorded histories', () => {
  async function record(url: string): Promise<Operation[]> {
    const peers = [1, 2, 3].map((id) =>
      scene.start({ act: 'history', url, id, count: OPERATIONS, seed: SEED }),
    );
    expect(await Promise.all(peers.map((peer) => peer.exit))).toEqual([0, 0, 0]);
    return peers.flatMap((peer) => JSON.parse(peer.lines.join('')) as Operation[]);
  }

  test('of a value are linearisable', { timeout: 120_000 }, async () => {
    await using value = await openValue('shm://h-value', 'i32');
    expect(value.get()).toBe(0);
    expect(findDisorder(await record('shm://h-value'), 0)).toBeUndefined();
  });

  test('of a map are linearisable', { timeout: 120_000 }, async () => {
    await using map = await openMap('shm://h-map');
    expect(await map.size()).toBe(0);
    expect(findDisorder(await record('shm://h-map'), null)).toBeUndefined();
  });

  test('with one wrong answer are found out', () => {
    const at = (
      act: Operation['act'],
      argument: number | null,
      answer: number | null,
      from: number,
      to: number,
    ) => ({
      register: 'r',
      act,
      argument,
      expected: null,
      answer,
      from,
      to,
    });
    const stale = [at('set', 1, null, 0, 1), at('set', 2, null, 2, 3), at('get', null, 1, 4, 5)];
    expect(findDisorder(stale, 0)).toBe('r');
    const meanwhile = [at('set', 1, null, 0, 1), at('set', 2, null, 2, 5), at('get', null, 1, 3, 4)];
    expect(findDisorder(meanwhile, 0)).toBeUndefined();
    const back = [...meanwhile.slice(0, 2), at('get', null, 2, 2, 3), at('get', null, 1, 4, 5)];
    expect(findDisorder(back, 0)).toBe('r');
    const lost = [at('add', 1, 0, 0, 5), at('add', 1, 0, 1, 4)];
    expect(findDisorder(lost, 0)).toBe('r');
  });
});
