// A Manager and its clients: maps, values and arrays, over both kinds of sockets; limits, lives of objects, coming back.

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Manager, openArray, openMap, openValue } from '../open-state.ts';
import type { ManagerOptions } from './manager.ts';

let folder: string;
let open: { [Symbol.asyncDispose](): PromiseLike<void> }[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'naru-manager-'));
  open = [];
});

afterEach(async () => {
  for (const one of open.toReversed()) await one[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function kept<T extends { [Symbol.asyncDispose](): PromiseLike<void> }>(one: T): T {
  open.push(one);
  return one;
}

async function start(options: Partial<ManagerOptions> = {}): Promise<Manager> {
  return kept(await Manager.start({ listen: `unix://${folder}/m.sock`, ...options }));
}

describe('a Manager', () => {
  test('makes a key of 32 random bytes, and a socket of mode 0600 that goes with it', async () => {
    const manager = await start();
    expect(Buffer.from(manager.key, 'base64url')).toHaveLength(32);
    expect(statSync(join(folder, 'm.sock')).mode & 0o777).toBe(0o600);
    await expect(Manager.start({ listen: manager.url })).rejects.toMatchObject({ code: 'NARU_EXISTS' });
    await manager.stop();
    expect(existsSync(join(folder, 'm.sock'))).toBe(false);
    const other = await start();
    expect(other.key).not.toBe(manager.key);
  });

  test('on port 0 picks a free one, and refuses addresses that other machines reach', async () => {
    const manager = await start({ listen: 'tcp://127.0.0.1:0' });
    expect(manager.url).toMatch(/^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/);
    await expect(Manager.start({ listen: 'tcp://0.0.0.0:0' })).rejects.toMatchObject({
      code: 'NARU_INVALID_ARGUMENT',
    });
    await expect(Manager.start({ listen: 'shm://m' })).rejects.toThrow(/listens on/);
    await expect(Manager.start({ listen: manager.url, key: 'short' })).rejects.toThrow(/16 to 1024 bytes/);
  });

  test('lets nobody in with another key, or none', async () => {
    const manager = await start();
    const url = `${manager.url}?name=orders`;
    const wrong = openMap(url, { key: 'not the key of this one' });
    await expect(wrong).rejects.toMatchObject({ code: 'NARU_DENIED' });
    await expect(openMap(url)).rejects.toThrow(/NARU_MANAGER_KEY/);
    expect(manager.stats()).toMatchObject({ connections: 0, objects: 0, refused: 1 });
    const map = kept(await openMap(url, { key: manager.key }));
    expect(map.address).not.toContain(manager.key);
    expect(JSON.stringify(await wrong.catch((error: unknown) => error))).not.toContain('not the key');
  });

  test('takes the key from a file that only its owner reads', async () => {
    const manager = await start();
    const file = join(folder, 'key');
    writeFileSync(file, `${manager.key}\n`, { mode: 0o644 });
    const url = `${manager.url}?name=orders&keyFile=${file}`;
    await expect(openMap(url)).rejects.toMatchObject({ code: 'NARU_DENIED' });
    writeFileSync(join(folder, 'own'), `${manager.key}\n`, { mode: 0o600 });
    const map = kept(await openMap(`${manager.url}?name=orders&keyFile=${join(folder, 'own')}`));
    expect(map.address).toContain('keyFile=');
    expect(readFileSync(file, 'utf8')).toContain(manager.key);
  });
});

describe.each(['unix', 'tcp'])('over %s', (scheme) => {
  async function begin(
    options: Partial<ManagerOptions> = {},
  ): Promise<{ manager: Manager; at: (name: string) => string }> {
    const listen = scheme === 'unix' ? `unix://${folder}/m.sock` : 'tcp://127.0.0.1:0';
    const manager = await start({ listen, ...options });
    return { manager, at: (name) => `${manager.url}${scheme === 'unix' ? '?name=' : '/'}${name}` };
  }

  test('two clients see one map, and a version belongs to one object', async () => {
    const { manager, at } = await begin();
    const { key } = manager;
    const one = kept(await openMap(at('orders'), { key }));
    const two = kept(await openMap(at('orders'), { key, create: 'never' }));
    expect([one.created, two.created]).toEqual([true, false]);
    expect(await one.set('a', { n: 1 })).toBe(true);
    expect(await two.get('a')).toEqual({ n: 1 });
    const entry = await two.getEntry('a');
    expect(await one.set('a', 2, { ifVersion: entry?.version as string })).toBe(true);
    expect(await two.set('a', 3, { ifVersion: entry?.version as string })).toBe(false);
    await two.unlink();
    await expect(one.get('a')).rejects.toMatchObject({ code: 'NARU_CLOSED' });
    const three = kept(await openMap(at('orders'), { key }));
    await three.set('a', 1);
    expect(await three.set('a', 9, { ifVersion: entry?.version as string })).toBe(false);
  });

  test('keys of every kind are keys, __proto__ too', async () => {
    const { manager, at } = await begin();
    const map = kept(await openMap(at('odd'), { key: manager.key, needs: ['iterate'] }));
    for (const name of ['__proto__', 'constructor', '한글', '\u0000', 'a'.repeat(1024)]) {
      await map.set(name, { __proto__: null, name });
      expect(await map.get(name)).toEqual({ name });
    }
    expect(({} as Record<string, unknown>)['name']).toBeUndefined();
    const names: string[] = [];
    for await (const name of map.keys()) names.push(name);
    expect(names).toHaveLength(5);
  });

  test.each(['a', undefined])(
    'a watch gives what changes right after the call, and what others change when it is ready: key %s',
    async (only) => {
      const { manager, at } = await begin();
      const { key } = manager;
      const one = kept(await openMap(at('watched'), { key, needs: ['watch', 'iterate'] }));
      const two = kept(await openMap(at('watched'), { key }));
      // More than one page: a look at all of them is no single step.
      await Promise.all(Array.from({ length: 3_000 }, (_, n) => one.set(`old${n}`, n)));
      await one.set('a', 0);
      const changes = [
        () => one.set('a', 1),
        () => one.delete('a'),
        () => one.set('a', 2, { ifAbsent: true }),
      ];
      for (const change of changes) {
        const watch = one.watch(only);
        const changed = change();
        expect((await watch.next()).value.key).toBe('a');
        expect(await changed).toBe(true);
        await watch.return?.();
      }
      const watch = one.watch(only);
      await watch.ready;
      await two.set('a', 3);
      expect((await watch.next()).value).toMatchObject({ key: 'a', entry: { value: 3 } });
      await watch.return?.();
    },
  );

  test('many calls at once are done in their order', async () => {
    const { manager, at } = await begin();
    const map = kept(await openMap(at('busy'), { key: manager.key }));
    const sets = Array.from({ length: 5_000 }, (_, n) => map.set('n', n));
    const read = map.get('n');
    await Promise.all(sets);
    expect(await read).toBe(4_999);
  });

  test('values and arrays check what shared memory checks', async () => {
    const { manager, at } = await begin();
    const { key } = manager;
    const total = kept(await openValue(at('total') as 'unix://', 'i32', { key }));
    expect(await total.add(5)).toBe(0);
    expect(await total.compareExchange(5, 7)).toBe(5);
    expect(await total.get()).toBe(7);
    await expect(total.set(2 ** 31)).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
    await total.set(2 ** 31 - 1);
    await expect(total.add(1)).rejects.toThrow(/nothing was changed/);
    await expect(openValue(at('total'), 'i64', { key })).rejects.toMatchObject({ code: 'NARU_EXISTS' });
    const big = kept(await openValue(at('big') as 'unix://', 'u64', { key }));
    await big.set(2n ** 64n - 1n);
    expect(await big.get()).toBe(2n ** 64n - 1n);
    const text = kept(await openValue(at('text') as 'unix://', 'text:8', { key }));
    await text.set('가나');
    expect(await text.get()).toBe('가나');
    await expect(text.set('가나다')).rejects.toMatchObject({ code: 'NARU_TOO_LARGE' });
    const flag = kept(await openValue(at('flag') as 'unix://', 'bool', { key }));
    await flag.set(true);
    expect(await flag.get()).toBe(true);
    const list = kept(await openArray(at('list') as 'unix://', Float64Array, 3, { key }));
    await list.setAll([1.5, Number.NaN, -0]);
    expect(await list.slice()).toEqual(Float64Array.of(1.5, Number.NaN, -0));
    await expect(list.get(3)).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
    await expect(list.add(0, 1 as never)).rejects.toMatchObject({ code: 'NARU_UNSUPPORTED' });
  });

  test('limits are refused with what they are', async () => {
    const { manager, at } = await begin({ maxObjects: 2, maxValueBytes: 100, memoryBytes: 4_000 });
    const { key } = manager;
    const map = kept(await openMap(at('small'), { key, maxEntries: 2 }));
    await expect(map.set('a', 'x'.repeat(100))).rejects.toMatchObject({ code: 'NARU_TOO_LARGE' });
    await map.set('a', 1);
    await map.set('b', 2);
    await expect(map.set('c', 3)).rejects.toMatchObject({ code: 'NARU_FULL' });
    await expect(openArray(at('array'), 'f64', 500, { key })).rejects.toMatchObject({ code: 'NARU_FULL' });
    kept(await openMap(at('second'), { key }));
    await expect(openMap(at('third'), { key })).rejects.toMatchObject({ code: 'NARU_LIMIT' });
    await expect(openValue(at('small'), 'i32', { key })).rejects.toThrow(/it is a map/);
  });

  test('an object of its users goes with the last of them; others stay', async () => {
    const { manager, at } = await begin();
    const { key } = manager;
    const one = await openMap(at('mine'), { key, owner: 'users' });
    const two = await openMap(at('kept'), { key });
    await one.set('a', 1);
    await two.set('a', 1);
    await one.close();
    await two.close();
    await expect(openMap(at('mine'), { key, create: 'never' })).rejects.toMatchObject({
      code: 'NARU_NOT_FOUND',
    });
    expect(await kept(await openMap(at('kept'), { key })).get('a')).toBe(1);
  });

  test('what waits for a Manager to come back is what was given, whatever becomes of the Buffer', async () => {
    const { manager, at } = await begin();
    const { key } = manager;
    const map = kept(await openMap(at('orders'), { key, codec: 'bytes' }));
    await manager.stop();
    const mine = Buffer.from('mine');
    const stored = map.set('a', mine);
    mine.fill('?');
    await start({ listen: manager.url, key });
    await stored;
    expect(Buffer.from((await map.get('a')) as Uint8Array).toString()).toBe('mine');
  });

  test('a Manager that comes back is found again, with nothing in it; a call under way is told that it is not known', async () => {
    const { manager, at } = await begin();
    const { key } = manager;
    const map = kept(await openMap(at('orders'), { key, needs: ['watch', 'iterate'] }));
    const watched = map.watch(undefined, { from: 'start' })[Symbol.asyncIterator]();
    await map.set('a', 1);
    expect((await watched.next()).value).toMatchObject({ key: 'a' });
    const version = (await map.getEntry('a'))?.version as string;
    const gone = manager.stop();
    const under = map.set('b', 2);
    await expect(under).rejects.toMatchObject({ code: 'NARU_OUTCOME_UNKNOWN' });
    await gone;
    const next = start({ listen: manager.url, key });
    expect(await map.get('a')).toBeUndefined();
    await next;
    expect((await watched.next()).value).toEqual({ key: 'a', entry: undefined });
    await map.set('a', 2);
    expect(await map.set('a', 3, { ifVersion: version })).toBe(false);
    expect((await watched.next()).value).toMatchObject({ key: 'a', entry: { value: 2 } });
  });
});
