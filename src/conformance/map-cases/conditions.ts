// Compare-and-set, and update() on top of it.

import { isWholeValue } from '../map-peer.ts';
import type { MapRule } from '../map-rule.ts';
import { eventually, pause } from '../waiting.ts';

const plusOne = (before: unknown): number => ((before as number | undefined) ?? 0) + 1;

export const conditions: readonly MapRule[] = [
  {
    id: 'conditions.1',
    text: 'of many set() with ifAbsent at once exactly one stores',
    covers: ['M2'],
    run: async (t) => {
      const [mine, theirs] = [await t.open(), await t.open()];
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? mine : theirs).set('a', n, { ifAbsent: true })),
      );
      t.equal(outcomes.filter(Boolean).length, 1, 'how many stored');
      t.equal(await mine.get('a'), outcomes.indexOf(true), 'whose value is there');
    },
  },
  {
    id: 'conditions.2',
    text: 'ifVersion holds for the state of an entry that getEntry() gave, and for no other, also after a delete',
    covers: ['M2', 'M3'],
    run: async (t) => {
      const [mine, theirs] = [await t.open(), await t.open()];
      await mine.set('a', 1);
      const first = await theirs.getEntry('a');
      if (first === undefined) throw new Error('no entry');
      t.equal([first.key, first.value], ['a', 1], 'the entry');
      // Equal bytes are another state.
      await mine.set('a', 1);
      t.equal(await theirs.set('a', 2, { ifVersion: first.version }), false, 'set() with an old version');
      t.equal(await theirs.delete('a', { ifVersion: first.version }), false, 'delete() with an old version');
      const second = await theirs.getEntry('a');
      t.ok(second !== undefined && second.version !== first.version, 'the version changed');
      t.equal(
        await theirs.set('a', 3, { ifVersion: second?.version ?? '' }),
        true,
        'set() with this version',
      );
      const third = await mine.getEntry('a');
      await mine.delete('a');
      t.equal(await mine.set('a', 4, { ifVersion: third?.version ?? '' }), false, 'set() where nothing is');
      await mine.set('a', 3);
      t.equal(
        await mine.set('a', 5, { ifVersion: third?.version ?? '' }),
        false,
        'set() of an entry made anew',
      );
      t.equal(await mine.get('a'), 3, 'the value');
      const fourth = await mine.getEntry('a');
      t.equal(
        await mine.delete('a', { ifVersion: fourth?.version ?? '' }),
        true,
        'delete() with this version',
      );
      await t.rejects(
        () => mine.set('a', 1, { ifAbsent: true, ifVersion: first.version }),
        'NARU_INVALID_ARGUMENT',
      );
    },
  },
  {
    id: 'conditions.3',
    text: 'updates of several handles at once are all stored, with functions that take their time, too',
    run: async (t) => {
      const handles = [await t.open(), await t.open(), await t.open()];
      await Promise.all(
        handles.flatMap((map) =>
          Array.from({ length: 10 }, (_, n) =>
            map.update('a', async (before) => {
              if (n % 3 === 0) await pause(1);
              return plusOne(before);
            }),
          ),
        ),
      );
      t.equal(await handles[0]?.get('a'), 30, 'the count');
    },
  },
  {
    id: 'conditions.4',
    text: 'update() gives what the function throws, refuses undefined, and changes nothing then',
    run: async (t) => {
      const map = await t.open();
      await map.set('a', 1);
      const own = new Error('mine');
      let thrown: unknown;
      await map
        .update('a', () => Promise.reject(own))
        .catch((error: unknown) => {
          thrown = error;
        });
      t.ok(thrown === own, 'the function’s own error comes through');
      await t.rejects(() => map.update('a', () => undefined), 'NARU_INVALID_ARGUMENT');
      t.equal(await map.get('a'), 1, 'the value');
    },
  },
  {
    id: 'conditions.5',
    text: 'updates of several processes are all stored',
    needs: ['crossProcess'],
    run: async (t) => {
      const map = await t.open();
      const writers = [1, 2].map(() => t.writer({ act: 'update', key: 'a', count: 200 }));
      for (let n = 0; n < 100; n += 1) await map.update('a', plusOne);
      t.equal(await Promise.all(writers.map(({ done }) => done)), [0, 0], 'how the writers ended');
      t.equal(await map.get('a'), 500, 'the count');
    },
  },
  {
    id: 'conditions.6',
    text: 'a writer that is killed leaves the old value or the new one, whole, and others go on',
    covers: ['M8'],
    needs: ['crossProcess'],
    run: async (t) => {
      const map = await t.open();
      for (let round = 0; round < 3; round += 1) {
        await map.delete('a');
        const writer = t.writer({ act: 'churn', key: 'a', count: 0 });
        await eventually(() => map.has('a'), 'the writer is at work', 45_000);
        for (let n = 0; n < 20; n += 1)
          t.ok(isWholeValue(await map.get('a')), 'a value is whole while it is written');
        writer.kill();
        t.equal(await writer.done, 'SIGKILL', 'how it ended');
        t.ok(isWholeValue(await map.get('a')), 'a value is whole');
        t.equal(await map.set('a', { n: 1, text: '11' }), true, 'set()');
      }
    },
  },
];
