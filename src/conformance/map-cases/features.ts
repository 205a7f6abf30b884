// Each feature that a place declares for its maps holds.

import type { MapRule } from '../map-rule.ts';
import type { AnyMap, MapTrial } from '../map-trial.ts';
import { eventually, within } from '../waiting.ts';

async function keysOf(map: AnyMap): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of map.keys()) keys.push(key);
  return keys.toSorted();
}

export const features: readonly MapRule[] = [
  {
    id: 'iterate.1',
    text: 'entries(), keys() and size() give what is there; clear() leaves nothing',
    covers: ['M6'],
    needs: ['iterate'],
    run: async (t) => {
      const [mine, theirs] = [await t.open(), await t.open()];
      t.equal([await mine.size(), await keysOf(mine)], [0, []], 'before');
      const expected = Array.from({ length: 60 }, (_, n) => `key ${n} ${'x'.repeat(n)}`);
      for (const [n, key] of expected.entries()) await mine.set(key, n);
      t.equal([await theirs.size(), await keysOf(theirs)], [60, expected.toSorted()], 'keys');
      for await (const { key, value, version } of theirs.entries()) {
        t.equal(expected[value as number], key, 'the value of a key');
        t.equal(version, (await mine.getEntry(key))?.version, 'its version');
      }
      await theirs.clear();
      t.equal(
        [await mine.size(), await keysOf(mine), await mine.get(expected[0] ?? '')],
        [0, [], undefined],
        'after clear()',
      );
    },
  },
  {
    id: 'iterate.2',
    text: 'an iteration gives what is there all the time exactly once, whatever changes meanwhile',
    covers: ['M6'],
    needs: ['iterate'],
    run: async (t) => {
      const map = await t.open();
      const steady = Array.from({ length: 300 }, (_, n) => `steady${n}`);
      await Promise.all(steady.map((key) => map.set(key, 0)));
      const seen: string[] = [];
      let n = 0;
      for await (const key of map.keys()) {
        seen.push(key);
        n += 1;
        await map.set(`brief${n}`, n);
        await map.delete(`brief${n - 3}`);
        await map.set(`steady${n % 300}`, n);
      }
      t.equal(seen.length, new Set(seen).size, 'no key comes twice');
      t.equal(
        steady.filter((key) => !seen.includes(key)),
        [],
        'what is missing',
      );
    },
  },
  {
    id: 'ttl.1',
    text: 'an entry is gone for every call once its time is over; set() without a time keeps it',
    covers: ['M4'],
    needs: ['ttl'],
    run: async (t) => {
      const [mine, theirs] = [await t.open(), await t.open()];
      await mine.set('brief', 1, { ttlMs: 1_100 });
      await mine.set('kept', 1, { ttlMs: 1_100 });
      await mine.set('kept', 2);
      t.equal(await theirs.get('brief'), 1, 'before');
      t.equal(await theirs.set('brief', 2, { ifAbsent: true }), false, 'ifAbsent before');
      await eventually(async () => !(await theirs.has('brief')), 'the entry expires', 20_000);
      t.equal([await theirs.get('brief'), await mine.delete('brief')], [undefined, false], 'after');
      if (t.has('iterate')) t.equal([await keysOf(mine), await mine.size()], [['kept'], 1], 'keys after');
      t.equal(await mine.set('brief', 3, { ifAbsent: true }), true, 'ifAbsent after');
      t.equal([await theirs.get('brief'), await theirs.get('kept')], [3, 2], 'the values');
    },
  },
  {
    id: 'ttl.2',
    text: 'the time to live of openMap() is that of every set() without one; times that are none are refused',
    needs: ['ttl'],
    run: async (t) => {
      const [brief, plain] = [await t.open({ ttlMs: 1_100 }), await t.open()];
      await brief.set('a', 1);
      await brief.update('b', () => 1);
      await plain.set('c', 1);
      await eventually(async () => !(await plain.has('a')) && !(await plain.has('b')), 'both expire', 20_000);
      t.equal(await plain.get('c'), 1, 'the other');
      for (const ttlMs of [0, -1, 1.5, NaN, 2 ** 31, '5'])
        await t.rejects(() => plain.set('d', 1, { ttlMs: ttlMs as number }), 'NARU_INVALID_ARGUMENT');
    },
  },
  {
    id: 'watch.1',
    text: 'who watches a key is woken by every kind of change in another handle, and gets the last state',
    covers: ['M7'],
    needs: ['watch'],
    run: async (t) => {
      const [mine, theirs] = [await t.open(), await t.open()];
      const watch = theirs.watch('a');
      const wait = async (value: unknown): Promise<void> => {
        const read = async (): Promise<void> => {
          for (;;) {
            const { value: change } = await watch.next();
            if (JSON.stringify(change.entry?.value) === JSON.stringify(value)) return;
          }
        };
        await within(read(), 15_000, `the watch to give ${JSON.stringify(value)}`);
      };
      await settle(mine, watch);
      for (const value of [1, 2, 'x']) {
        await mine.set('a', value);
        await wait(value);
      }
      await mine.set('other', 1);
      await mine.delete('a');
      await wait(undefined);
      for (let n = 0; n < 50; n += 1) await mine.set('a', n);
      await wait(49);
      await watch.return?.();
    },
  },
  {
    id: 'watch.2',
    text: 'a watch of all keys tells of each that was set and deleted; closing ends it',
    covers: ['M7', 'M10'],
    needs: ['watch', 'iterate'],
    run: async (t) => {
      const [mine, theirs] = [await t.open(), await t.open()];
      await mine.set('old', 1);
      const watch = theirs.watch(undefined, { from: 'start' });
      const seen = new Map<string, unknown>();
      const read = (async () => {
        for await (const { key, entry } of watch) seen.set(key, entry?.value);
      })();
      await eventually(() => seen.get('old') === 1, 'what was there comes first');
      for (let n = 0; n < 20; n += 1) await mine.set(`k${n}`, n);
      await mine.delete('old');
      await eventually(() => seen.size === 21 && seen.get('k19') === 19, 'every key was told of');
      await eventually(() => seen.has('old') && seen.get('old') === undefined, 'the deleted one too');
      await theirs.close();
      await within(read, 15_000, 'the loop to end with close()');
    },
  },
  {
    id: 'watch.3',
    text: 'a signal ends a waiting watch with its reason',
    needs: ['watch'],
    run: async (t) => {
      const map = await t.open();
      const stop = new AbortController();
      const waiting = map.watch('a', { signal: stop.signal }).next();
      const own = new Error('enough');
      setTimeout(() => stop.abort(own), 20);
      let thrown: unknown;
      await within(
        waiting.catch((error: unknown) => {
          thrown = error;
        }),
        15_000,
        'the watch to end',
      );
      t.ok(thrown === own, 'it ends with the signal’s reason');
    },
  },
  {
    id: 'watch.4',
    text: 'a change made by another process wakes',
    covers: ['M7'],
    needs: ['watch', 'crossProcess'],
    run: async (t) => {
      const map = await t.open();
      const watch = map.watch('a', { from: 'start' });
      const next = within(watch.next(), 45_000, 'the change of another process');
      const writer = t.writer({ act: 'set', key: 'a', count: 7 });
      t.equal((await next).value.key, 'a', 'the key');
      t.equal(await writer.done, 0, 'how the writer ended');
      await watch.return?.();
    },
  },
  {
    id: 'watch.5',
    text: 'what another handle changes once a watch is ready is never missed',
    covers: ['M7'],
    needs: ['watch'],
    run: async (t) => {
      const [mine, theirs] = [await t.open(), await t.open()];
      for (let n = 0; n < 20; n += 1) {
        const watch = theirs.watch('a');
        await within(watch.ready, 15_000, 'the watch to be ready');
        await mine.set('a', n);
        const { value: change } = await within(watch.next(), 15_000, 'the change after ready');
        t.equal(change.entry?.value, n, 'the value');
        await watch.return?.();
      }
    },
  },
  {
    id: 'sync.1',
    text: 'the calls that end in Sync answer at once what the others answer',
    needs: ['sync'],
    run: async (t) => {
      const [mine, theirs] = [await t.open(), await t.open()];
      t.equal(mine.setSync('a', { n: 1 }), true, 'setSync()');
      t.equal(theirs.getSync('a'), { n: 1 }, 'getSync()');
      t.equal([theirs.hasSync('a'), theirs.hasSync('b')], [true, false], 'hasSync()');
      t.equal(mine.setSync('a', 2, { ifAbsent: true }), false, 'setSync() with ifAbsent');
      t.equal(
        theirs.updateSync('a', () => 3),
        3,
        'updateSync()',
      );
      t.equal([mine.deleteSync('a'), mine.deleteSync('a')], [true, false], 'deleteSync()');
      t.equal(await mine.get('a'), undefined, 'get()');
    },
  },
  {
    id: 'full.1',
    text: 'a full map refuses what is new with NARU_FULL and loses nothing; a delete makes room',
    covers: ['M5'],
    needs: ['keepsAll'],
    run: async (t) => {
      const map = await t.open(t.settings.small ?? { maxEntries: 100 });
      const stored = await fill(t, map);
      for (let n = 0; n < stored; n += 1) t.equal(await map.get(`k${n}`), filler(n), `k${n}`);
      t.equal(await map.has(`k${stored}`), false, 'what was refused');
      for (let n = 0; n < 5 && n < stored; n += 1) await map.delete(`k${n}`);
      t.equal(await map.set('after', 1), true, 'set() after a delete');
    },
  },
];

/** Entries until the map is full. @returns how many */
async function fill(t: MapTrial, map: AnyMap): Promise<number> {
  for (let n = 0; n < 20_000; n += 1) {
    try {
      await map.set(`k${n}`, filler(n));
    } catch (error) {
      t.equal((error as { code?: unknown }).code, 'NARU_FULL', 'the refusal');
      return n;
    }
  }
  throw new Error('20,000 entries of 1 KiB did not fill a small map');
}

function filler(n: number): string {
  return String(n).padEnd(1000, '.');
}

/** A watch may take a moment until it is set up in the place: this resolves when it has seen a change. */
async function settle(map: AnyMap, watch: AsyncIterator<unknown>): Promise<void> {
  let isSeen = false;
  const note = async (): Promise<void> => {
    await watch.next();
    isSeen = true;
  };
  const first = note();
  await eventually(async () => {
    await map.set('a', Math.random());
    return isSeen;
  }, 'a watch sees the first change');
  await first;
}
