// The table against a model, with every step of a writer looked at by a reader, and with deaths at every step.

import { describe, expect, test } from 'vitest';
import { ABSENT, ANY, type Table, WROTE } from './table.ts';
import { BLOCK_WORDS } from './layout.ts';
import { Death, SharedTable } from './shared-table.fixture.ts';

const bytes = (length: number, fill: number): Uint8Array => new Uint8Array(length).fill(fill);
const valueOf = (table: Table, key: string): string | undefined => {
  const found = table.get(key);
  return found === undefined ? undefined : `${found.value.length}:${found.value[0]}`;
};

/** Whether a value is whole: all of its bytes say the same. */
function isWhole(value: Uint8Array): boolean {
  return value.every((one) => one === value[0]);
}

/** Small random numbers that a seed repeats. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) % below;
  };
}

/** Every entry, by key. */
function contents(table: Table): Map<string, string> {
  const all = new Map<string, string>();
  for (let bucket = 0; bucket < table.geometry.buckets; bucket += 1)
    for (const { key, value } of table.bucket(bucket)) {
      expect(all.has(key)).toBe(false);
      expect(isWhole(value)).toBe(true);
      all.set(key, `${value.length}:${value[0] ?? ''}`);
    }
  return all;
}

const KEYS = [
  'a',
  '__proto__',
  'ä€👍',
  'k'.repeat(64),
  'k'.repeat(65),
  'k'.repeat(88),
  'k'.repeat(89),
  'k'.repeat(1024),
  'é'.repeat(512),
];

describe('a table', () => {
  test('keeps keys and values of every length that fits, byte by byte', () => {
    const { table } = new SharedTable({ blocks: 4096 }).open();
    for (const key of KEYS)
      for (const length of [0, 1, 75, 76, 77, 87, 88, 89, 203, 204, 205, 320, 20_000]) {
        const value = Uint8Array.from({ length }, (_, i) => (i * 7 + length) & 255);
        expect(table.set(key, value, ANY, 0)).toBe(WROTE.done);
        expect(Buffer.compare(table.get(key)?.value ?? bytes(1, 0), value), `${key.length}/${length}`).toBe(
          0,
        );
      }
    expect(table.count()).toBe(KEYS.length);
  });

  test('does what a Map does, over random histories of several seeds', () => {
    for (let seed = 1; seed <= 6; seed += 1) {
      const shared = new SharedTable();
      const tables = [shared.open().table, shared.open().table];
      const model = new Map<string, string>();
      const random = randomOf(seed);
      for (let step = 0; step < 4000; step += 1) {
        const table = tables[random(2)] as Table;
        const key = `key-${random(60)}`;
        if (random(4) === 0) {
          expect(table.delete(key, ANY)).toBe(model.delete(key) ? WROTE.done : WROTE.refused);
        } else {
          const value = bytes(random(random(10) === 0 ? 3000 : 200), random(256));
          const outcome = table.set(key, value, ANY, 0);
          if (outcome === WROTE.done) model.set(key, `${value.length}:${value[0] ?? ''}`);
          else expect(outcome).toBe(WROTE.full);
        }
      }
      expect(contents(tables[0] as Table)).toEqual(model);
      expect((tables[1] as Table).count()).toBe(model.size);
    }
  });

  test('gives every state of an entry another version, also after a delete, and sets only while it holds', () => {
    const { table } = new SharedTable().open();
    const seen = new Set<number>();
    for (let i = 0; i < 50; i += 1) {
      expect(table.set('a', bytes(3, 1), ABSENT, 0)).toBe(WROTE.done);
      expect(table.set('a', bytes(3, 1), ABSENT, 0)).toBe(WROTE.refused);
      const { version } = table.get('a') as { version: number };
      seen.add(version);
      expect(table.set('a', bytes(3, 1), version + 64, 0)).toBe(WROTE.refused);
      expect(table.set('a', bytes(3, 1), version, 0)).toBe(WROTE.done);
      expect(table.delete('a', version)).toBe(WROTE.refused);
      const after = table.get('a')?.version as number;
      seen.add(after);
      expect(table.delete('a', after)).toBe(WROTE.done);
      expect(table.set('a', bytes(3, 1), after, 0)).toBe(WROTE.refused);
    }
    expect(seen.size).toBe(100);
  });

  test('takes blocks and entries up to its limits, refuses the next, and has all of them again afterwards', () => {
    const shared = new SharedTable({ blocks: 100, maxEntries: 50 });
    const { table } = shared.open();
    for (let i = 0; i < 50; i += 1) expect(table.set(`k${i}`, bytes(10, i), ANY, 0)).toBe(WROTE.done);
    expect(table.set('one more', bytes(1, 1), ANY, 0)).toBe(WROTE.full);
    // Room that a value would need while the old one is still there counts too.
    expect(table.set('k0', bytes(84 + 116 * 48, 1), ANY, 0)).toBe(WROTE.done);
    expect(table.countFreeBlocks()).toBe(2);
    expect(table.set('k1', bytes(500, 1), ANY, 0)).toBe(WROTE.full);
    expect(valueOf(table, 'k1')).toBe('10:1');
    for (let i = 0; i < 50; i += 1) table.delete(`k${i}`, ANY);
    expect([table.count(), table.countFreeBlocks()]).toEqual([0, 100]);
  });

  test('an entry is gone from the moment it expires, and its room comes back', () => {
    const shared = new SharedTable({ maxEntries: 1 });
    const { table } = shared.open();
    table.set('a', bytes(1, 1), ANY, shared.now + 10);
    expect(table.get('a')?.expiresMs).toBe(shared.now + 10);
    expect(table.set('a', bytes(1, 1), ABSENT, 0)).toBe(WROTE.refused);
    shared.now += 10;
    expect([table.get('a'), table.has('a'), table.delete('a', ANY)]).toEqual([
      undefined,
      false,
      WROTE.refused,
    ]);
    expect(table.set('b', bytes(1, 1), ANY, 0)).toBe(WROTE.full);
    for (let shard = 0; shard < table.geometry.shards; shard += 1) table.removeFrom(shard, true);
    expect(table.set('b', bytes(1, 2), ANY, 0)).toBe(WROTE.done);
    expect(table.set('b', bytes(1, 2), ANY, 0)).toBe(WROTE.done);
  });

  test('at every step of a writer, a reader finds the old value or the new one, whole', () => {
    const shared = new SharedTable();
    const writer = shared.open();
    const reader = shared.open().table;
    const steps = new Set<string>();
    writer.table.set('other', bytes(5, 5), ANY, 0);
    writer.onStep = (name) => {
      steps.add(name);
      const now = reader.get('a');
      expect(now === undefined || (isWhole(now.value) && now.value.length === now.value[0])).toBe(true);
      expect(valueOf(reader, 'other')).toBe('5:5');
    };
    for (const length of [10, 200, 90, 250, 1]) writer.table.set('a', bytes(length, length), ANY, 0);
    writer.table.delete('a', ANY);
    expect([...steps].toSorted()).toEqual([
      'table:before-unlink',
      'table:blocks-given',
      'table:blocks-taken',
      'table:linked',
      'table:reserved',
      'table:seq-changed',
      'table:unlinked',
      'table:version-cleared',
      'table:written',
    ]);
  });
});

describe('a death', () => {
  /** What a handle does when it dies at the n-th step. @returns whether there was such a step */
  function dieAt(shared: SharedTable, step: number, act: (table: Table) => void): boolean {
    const dead = shared.open();
    let count = 0;
    dead.onStep = () => {
      count += 1;
      if (count === step) throw new Death();
    };
    try {
      act(dead.table);
    } catch (error) {
      expect(error).toBeInstanceOf(Death);
      dead.bury();
      return true;
    }
    return false;
  }

  const ACTS: readonly (readonly [string, (table: Table) => void])[] = [
    ['a new entry', (table) => table.set('new', bytes(300, 9), ANY, 0)],
    ['a longer value', (table) => table.set('old', bytes(700, 9), ANY, 0)],
    ['a shorter value', (table) => table.set('old', bytes(1, 9), ANY, 0)],
    ['a delete', (table) => table.delete('old', ANY)],
    [
      'clearing',
      (table) => {
        for (let shard = 0; shard < table.geometry.shards; shard += 1) table.removeFrom(shard, false);
      },
    ],
  ];

  test.each(ACTS)('at any step of %s leaves the old or the new, and loses no room', (_, act) => {
    for (let step = 1; ; step += 1) {
      const shared = new SharedTable({ blocks: 64, maxEntries: 8 });
      const { table } = shared.open();
      table.set('old', bytes(300, 1), ANY, 0);
      for (let i = 0; i < 5; i += 1) table.set(`more${i}`, bytes(20, i), ANY, 0);
      if (!dieAt(shared, step, act)) {
        expect(step).toBeGreaterThan(2);
        return;
      }
      // Readers need no recovery.
      expect(['300:1', '700:9', '1:9', undefined]).toContain(valueOf(table, 'old'));
      expect(['300:9', undefined]).toContain(valueOf(table, 'new'));
      const before = contents(table);
      // The next writer of each shard puts it right.
      const survivor = shared.open().table;
      for (let shard = 0; shard < survivor.geometry.shards; shard += 1)
        expect(survivor.removeFrom(shard, true)).toBe(true);
      if (survivor.isCountUnsure) expect(survivor.recount()).toBe(true);
      expect(contents(survivor)).toEqual(before);
      for (const key of before.keys()) expect(survivor.delete(key, ANY)).toBe(WROTE.done);
      expect([survivor.count(), survivor.countFreeBlocks()]).toEqual([0, 64]);
      for (let i = 0; i < 8; i += 1) expect(survivor.set(`all${i}`, bytes(1, 1), ANY, 0)).toBe(WROTE.done);
      expect(survivor.set('ninth', bytes(1, 1), ANY, 0)).toBe(WROTE.full);
    }
  });

  test('of the one who puts it right changes nothing about that', () => {
    for (let step = 1; step <= 2; step += 1) {
      const shared = new SharedTable({ blocks: 64 });
      const { table } = shared.open();
      table.set('a', bytes(300, 1), ANY, 0);
      expect(dieAt(shared, 3, (dead) => dead.set('a', bytes(500, 2), ANY, 0))).toBe(true);
      expect(dieAt(shared, step, (dead) => dead.set('a', bytes(2, 3), ANY, 0))).toBe(true);
      expect(valueOf(table, 'a')).toBe('300:1');
      expect(table.set('a', bytes(2, 4), ANY, 0)).toBe(WROTE.done);
      table.delete('a', ANY);
      expect(table.countFreeBlocks()).toBe(64);
    }
  });

  test('with a lock that others want leaves them busy until it is proved', () => {
    const shared = new SharedTable();
    const dead = shared.open();
    dead.onStep = (name) => {
      if (name === 'table:written') throw new Death();
    };
    expect(() => dead.table.set('a', bytes(1, 1), ANY, 0)).toThrow(Death);
    const { table } = shared.open();
    expect(table.set('a', bytes(1, 2), ANY, 0)).toBe(WROTE.busy);
    expect(table.recount()).toBe(false);
    expect(table.get('a')).toBeUndefined();
    dead.bury();
    expect(table.set('a', bytes(1, 2), ANY, 0)).toBe(WROTE.done);
  });
});

describe('damage', () => {
  test('of any word of the table ends in an answer or in NARU_CORRUPT, never in a hang', () => {
    const random = randomOf(7);
    for (let round = 0; round < 400; round += 1) {
      const shared = new SharedTable({ blocks: 64, maxEntries: 64, maxValueBytes: 2000 });
      const { table } = shared.open();
      for (let i = 0; i < 12; i += 1) table.set(`k${i}`, bytes(50 + i * 20, i), ANY, 0);
      const { bucketsAt, blocksAt } = shared.geometry;
      const at = bucketsAt + random(blocksAt + 20 * BLOCK_WORDS - bucketsAt);
      shared.words[at] = [-1, 1, 5, 65, 0x7fffffff, 0][random(6)] as number;
      for (const act of [
        () => contents(table),
        () => table.get('k3'),
        () => table.set('k4', bytes(30, 4), ANY, 0),
        () => table.delete('k5', ANY),
      ]) {
        try {
          act();
        } catch (error) {
          if ((error as { code?: string }).code !== 'NARU_CORRUPT' && !isExpectation(error)) throw error;
        }
      }
    }
  });
});

/** contents() expects what an undamaged table holds. */
function isExpectation(error: unknown): boolean {
  return (error as Error).name === 'AssertionError';
}
