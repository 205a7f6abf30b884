// What is stored is what is read: by every handle, byte by byte, under any key, and not to be changed by the way.

import type { MapRule } from '../map-rule.ts';

const KEYS = [
  '__proto__',
  'constructor',
  ' ',
  '  ',
  'a',
  'A',
  'a b',
  'a/b?c=d&e#f',
  '%20',
  '\u00e4',
  'a\u0308',
  '👍',
  "'; --",
  'k\0',
];

export const values: readonly MapRule[] = [
  {
    id: 'values.1',
    text: 'get() gives what any handle set last, and undefined where nothing is',
    covers: ['M1'],
    run: async (t) => {
      const [mine, theirs] = [await t.open(), await t.open()];
      t.equal(await mine.get('a'), undefined, 'before');
      for (const value of [1, 'text', null, false, [], {}, { deep: [{ x: [1, 2] }] }, 'ä€👍', '']) {
        t.equal(await mine.set('a', value), true, 'set()');
        t.equal(await theirs.get('a'), value, 'get() of the other handle');
        t.equal(await theirs.has('a'), true, 'has()');
      }
      t.equal(await theirs.delete('a'), true, 'delete()');
      t.equal(await theirs.delete('a'), false, 'delete() again');
      t.equal([await mine.get('a'), await mine.has('a')], [undefined, false], 'after');
    },
  },
  {
    id: 'values.2',
    text: 'bytes in are bytes out, of every length up to the limit, and one more is NARU_TOO_LARGE and changes nothing',
    covers: ['M5'],
    run: async (t) => {
      const [mine, theirs] = [await t.open({ codec: 'bytes' }), await t.open({ codec: 'bytes' })];
      const { maxValueBytes } = mine.limits;
      for (const length of [0, 1, 7, 255, 256, 1000, 70_000, maxValueBytes].filter(
        (n) => n <= maxValueBytes,
      )) {
        const bytes = Uint8Array.from({ length }, (_, i) => (i * 31 + length) & 255);
        await mine.set('a', bytes);
        const got = (await theirs.get('a')) as Uint8Array;
        t.ok(Buffer.compare(got, bytes) === 0, `${length} bytes come back`);
      }
      await mine.set('a', Uint8Array.of(1));
      const error = await t.rejects(() => mine.set('a', new Uint8Array(maxValueBytes + 1)), 'NARU_TOO_LARGE');
      t.ok(error.message.includes(String(maxValueBytes)), 'the error says the limit');
      t.equal([...((await theirs.get('a')) as Uint8Array)], [1], 'what was there');
    },
  },
  {
    id: 'values.3',
    text: 'every well-formed text is a key of its own, up to the limit; anything else is refused',
    run: async (t) => {
      const map = await t.open();
      const { maxKeyBytes } = map.limits;
      const keys = [...KEYS, 'k'.repeat(maxKeyBytes), `${'k'.repeat(maxKeyBytes - 1)}K`];
      for (const [n, key] of keys.entries()) await map.set(key, n);
      for (const [n, key] of keys.entries()) t.equal(await map.get(key), n, JSON.stringify(key.slice(0, 20)));
      await t.rejects(() => map.set('k'.repeat(maxKeyBytes + 1), 1), 'NARU_TOO_LARGE');
      for (const key of ['', '\ud800', 5, null, undefined])
        await t.rejects(() => map.get(key as string), 'NARU_INVALID_ARGUMENT');
    },
  },
  {
    id: 'values.4',
    text: 'a nested change of what get() gave throws; the map is as it was',
    run: async (t) => {
      const map = await t.open();
      await map.set('a', { list: [1] });
      const value = (await map.get('a')) as { list: number[] };
      let thrown: unknown;
      try {
        value.list.push(2);
      } catch (error) {
        thrown = error;
      }
      t.ok(thrown instanceof TypeError, 'push() throws');
      t.equal(await map.get('a'), { list: [1] }, 'the map');
    },
  },
  {
    id: 'values.5',
    text: 'what the codec cannot encode or decode is NARU_INVALID_MESSAGE and changes nothing',
    run: async (t) => {
      const [json, bytes] = [await t.open(), await t.open({ codec: 'bytes' })];
      await json.set('a', 1);
      const circle: Record<string, unknown> = {};
      circle['self'] = circle;
      let deep: unknown = 1;
      for (let n = 0; n < 100_000; n += 1) deep = [deep];
      for (const bad of [undefined, circle, deep, 1n, () => 1, Uint8Array.of(1)])
        await t.rejects(() => json.set('a', bad), 'NARU_INVALID_MESSAGE');
      t.equal(await json.get('a'), 1, 'what was there');
      await bytes.set('a', Uint8Array.of(0xff, 0x7b));
      await t.rejects(() => json.get('a'), 'NARU_INVALID_MESSAGE');
    },
  },
];
