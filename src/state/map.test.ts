// SharedMap over the map of one thread: what is the model's own and no place's. What every place must do is the conformance suite's.

import { describe, expect, test } from 'vitest';
import { openMap } from 'naru/state';

let count = 0;
const fresh = (): `memory://${string}` => `memory://map-${(count += 1)}`;

describe('values', () => {
  test('what a map hands out is frozen all the way down: a nested change is refused, never lost', async () => {
    await using map = await openMap(fresh());
    await map.set('a', { list: [{ deep: [1] }] });
    const value = (await map.get('a')) as { list: { deep: number[] }[] };
    expect(() => value.list[0]?.deep.push(2)).toThrow(TypeError);
    expect(() => {
      (value as Record<string, unknown>)['more'] = 1;
    }).toThrow(TypeError);
    expect(() => delete (value as Record<string, unknown>)['list']).toThrow(TypeError);
    expect(await map.get('a')).toEqual({ list: [{ deep: [1] }] });
    await map.update('a', (before) => ({ ...(before as object), more: 1 }));
    expect(await map.get('a')).toEqual({ list: [{ deep: [1] }], more: 1 });
  });

  test('bytes are copied on their way in and out, a Buffer too', async () => {
    await using map = await openMap(fresh(), { codec: 'bytes' });
    const mine = Buffer.from('mine');
    await map.set('a', mine);
    mine.fill('?');
    const got = (await map.get('a')) as Uint8Array;
    expect(Buffer.from(got).toString()).toBe('mine');
    got.fill(0);
    expect(Buffer.from((await map.get('a')) as Uint8Array).toString()).toBe('mine');
  });

  test('Map, Set and Date of codec v8 refuse every change too', async () => {
    await using map = await openMap(fresh(), { codec: 'v8' });
    const cycle: Record<string, unknown> = {
      map: new Map([['k', [1]]]),
      set: new Set([1]),
      date: new Date(0),
    };
    cycle['self'] = cycle;
    await map.set('a', cycle);
    const got = map.getSync('a') as {
      map: Map<string, number[]>;
      set: Set<number>;
      date: Date;
      self: unknown;
    };
    expect(got.self).toBe(got);
    expect(() => got.map.set('x', [])).toThrow(/frozen copy: change it with update/);
    expect(() => got.map.get('k')?.push(2)).toThrow(TypeError);
    expect(() => got.set.add(2)).toThrow(TypeError);
    expect(() => got.date.setTime(5)).toThrow(TypeError);
    expect([...got.set]).toEqual([1]);
  });

  test('calls of one handle take effect in the order in which they were made, awaited or not', async () => {
    await using map = await openMap(fresh());
    const first = map.set('a', 1);
    const read = map.get('a');
    const second = map.set('a', 2);
    expect([await read, await first, await second, await map.get('a')]).toEqual([1, true, true, 2]);
  });

  test('an object that is changed after set() changes nothing in the map', async () => {
    await using map = await openMap(fresh());
    const mine = { n: 1 };
    await map.set('a', mine);
    mine.n = 2;
    expect(await map.get('a')).toEqual({ n: 1 });
  });

  test('an object so deep that the codec cannot walk it is refused; a deep one that it can is frozen without recursion', async () => {
    await using map = await openMap(fresh());
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i += 1) deep = [deep];
    await expect(map.set('a', deep)).rejects.toMatchObject({ code: 'NARU_INVALID_MESSAGE' });
    expect(map.hasSync('a')).toBe(false);
    let fair: unknown = 1;
    for (let i = 0; i < 2_000; i += 1) fair = [fair];
    await map.set('a', fair);
    expect(Object.isFrozen(await map.get('a'))).toBe(true);
  });

  test('keys that are names of Object.prototype are keys like others', async () => {
    await using map = await openMap(fresh());
    for (const key of ['__proto__', 'constructor', 'toString', ' ', 'ä', '👍']) {
      expect(await map.get(key)).toBeUndefined();
      await map.set(key, { __proto__: null, key });
    }
    expect(await map.get('__proto__')).toEqual({ key: '__proto__' });
    expect(({} as Record<string, unknown>)['key']).toBeUndefined();
    await map.set('own', JSON.parse('{"__proto__": {"polluted": true}}'));
    const own = (await map.get('own')) as Record<string, unknown>;
    expect(Object.keys(own)).toEqual(['__proto__']);
    expect(own['polluted']).toBeUndefined();
  });

  test('keys that are no text, empty, too long or half a character are refused', async () => {
    await using map = await openMap(fresh());
    for (const key of ['', '\ud800', 'a\udc00b'])
      await expect(map.set(key, 1)).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
    await expect(map.set(5 as never, 1)).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
    await expect(map.set('x'.repeat(1025), 1)).rejects.toMatchObject({ code: 'NARU_TOO_LARGE' });
    await map.set('ä'.repeat(512), 1);
    await expect(map.set('ä'.repeat(513), 1)).rejects.toThrow(/1026 bytes, the limit is 1024/);
  });

  test('a schema runs both ways and types the value', async () => {
    const positive = {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: (value: unknown) =>
          typeof value === 'number' && value > 0 ? { value } : { issues: [{ message: 'not positive' }] },
        types: undefined as { input: number; output: number } | undefined,
      },
    };
    const url = fresh();
    await using map = await openMap(url, { schema: positive });
    await map.set('a', 5);
    const value: number | undefined = await map.get('a');
    expect(value).toBe(5);
    await expect(map.set('a', -1)).rejects.toMatchObject({ code: 'NARU_INVALID_MESSAGE' });
    await using other = await openMap(url);
    await other.set('b', 'text');
    await expect(map.get('b')).rejects.toThrow(/not positive/);
  });
});

describe('update()', () => {
  test('an asynchronous function runs again when somebody else was faster', async () => {
    await using map = await openMap(fresh());
    await map.set('n', 1);
    let calls = 0;
    const result = await map.update('n', async (before) => {
      calls += 1;
      if (calls === 1) await map.set('n', 10);
      return (before as number) + 1;
    });
    expect([result, calls, await map.get('n')]).toEqual([11, 2, 11]);
  });

  test('hundreds of updates at once are all stored', async () => {
    await using map = await openMap(fresh());
    const add = (before: unknown): number => ((before as number | undefined) ?? 0) + 1;
    await Promise.all(Array.from({ length: 300 }, () => map.update('n', async (before) => add(before))));
    for (let i = 0; i < 100; i += 1) map.updateSync('n', add);
    expect(await map.get('n')).toBe(400);
  });

  test('what the function returns is checked, what it throws comes through, the same value writes nothing', async () => {
    await using map = await openMap(fresh());
    await map.set('a', { n: 1 });
    const before = await map.getEntry('a');
    await expect(map.update('a', () => undefined)).rejects.toThrow(/returned undefined/);
    expect(() => map.updateSync('a', () => Promise.resolve(1))).toThrow(/use update\(\)/);
    await expect(map.update('a', () => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
    await map.update('a', (value) => value);
    expect((await map.getEntry('a'))?.version).toBe(before?.version);
  });

  test('its limits end it', async () => {
    await using map = await openMap(fresh());
    let n = 0;
    const disturbed = async (): Promise<number> => {
      await map.set('n', (n += 1));
      return 0;
    };
    await expect(map.update('n', disturbed, { timeoutMs: 20 })).rejects.toMatchObject({
      code: 'NARU_TIMEOUT',
    });
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(map.update('n', () => 1, { signal })).rejects.toThrow('enough');
  });
});

describe('watch()', () => {
  test('a slow loop misses states in between, never the last one', async () => {
    await using map = await openMap(fresh());
    const watch = map.watch('a');
    for (let n = 1; n <= 100; n += 1) await map.set('a', n);
    const seen: unknown[] = [];
    for await (const { entry } of watch) {
      seen.push(entry?.value);
      if (entry === undefined) break;
      if (entry.value === 100) await map.delete('a');
    }
    expect(seen.at(-1)).toBeUndefined();
    expect(seen.at(-2)).toBe(100);
  });

  test.each(['a', undefined])('what changes right after the call is given: key %s', async (key) => {
    await using map = await openMap(fresh());
    await map.set('a', 1);
    await map.set('b', 1);
    const watch = map.watch(key);
    map.setSync('a', 2);
    expect((await watch.next()).value).toMatchObject({ key: 'a', entry: { value: 2 } });
    await watch.return?.();
    const again = map.watch(key);
    map.deleteSync('a');
    expect((await again.next()).value).toEqual({ key: 'a', entry: undefined });
    await again.return?.();
  });

  test('all keys: what is set, changed, deleted and expired', async () => {
    await using map = await openMap(fresh());
    await map.set('old', 1);
    const watch = map.watch(undefined, { from: 'start' });
    const next = async (): Promise<unknown> => {
      const { value } = await watch.next();
      return [value.key, value.entry?.value];
    };
    expect(await next()).toEqual(['old', 1]);
    await map.set('new', 2);
    expect(await next()).toEqual(['new', 2]);
    await map.delete('old');
    expect(await next()).toEqual(['old', undefined]);
    await map.set('brief', 3, { ttlMs: 5 });
    expect(await next()).toEqual(['brief', 3]);
    expect(await next()).toEqual(['brief', undefined]);
    await map.clear();
    expect(await next()).toEqual(['new', undefined]);
    await map.close();
    expect(await watch.next()).toEqual({ done: true, value: undefined });
  });

  test('a signal ends a waiting loop with its reason', async () => {
    await using map = await openMap(fresh());
    const stop = new AbortController();
    const waiting = map.watch('a', { signal: stop.signal }).next();
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });
});

describe('openMap()', () => {
  test('refuses what is no option, no parameter, no value, before anything is made', async () => {
    for (const url of [
      'memory://x?deliver=all',
      'memory://x?colour=red',
      'memory://x?maxEntries=0',
      'memory://x?ttlMs=soon',
      'nowhere://x',
      'x',
    ])
      await expect(openMap(url), url).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
    for (const options of [{ slots: 5 }, { maxEntries: '5' }, { codec: 'xml' }, { needs: ['speed'] }])
      await expect(openMap(fresh(), options as never)).rejects.toMatchObject({
        code: 'NARU_INVALID_ARGUMENT',
      });
  });

  test('names what is missing and where it is', async () => {
    await expect(openMap('memory://x', { needs: ['durable'] })).rejects.toMatchObject({
      code: 'NARU_UNSUPPORTED',
      message: expect.stringContaining('durable (entries survive a restart of the machine)'),
    });
  });

  test('a closed handle says so', async () => {
    const map = await openMap(fresh());
    await map.close();
    await map.close();
    await expect(map.get('a')).rejects.toMatchObject({ code: 'NARU_CLOSED' });
    expect(() => map.setSync('a', 1)).toThrow(/closed/);
  });
});
