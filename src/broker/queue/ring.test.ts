import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EntryRing } from './ring.ts';

function positionsOf(ring: EntryRing): number[] {
  return Array.from(ring.entries(), ({ position }) => position);
}

const entry = (position: number): { slot: number; position: number; expiresAt: number; returns: number } => ({
  slot: 1,
  position,
  expiresAt: Infinity,
  returns: 0,
});

describe('positions far from each other', () => {
  test('are kept while they are less than 2^32 apart', () => {
    const ring = new EntryRing();
    ring.push(1, 2 ** 40, Infinity, 0);
    ring.push(2, 2 ** 40 + 2 ** 31, Infinity, 0);
    ring.restore([entry(2 ** 40 - 5), entry(2 ** 40 + 7)]);
    expect(positionsOf(ring)).toEqual([2 ** 40 - 5, 2 ** 40, 2 ** 40 + 7, 2 ** 40 + 2 ** 31]);
    expect(ring.firstPosition()).toBe(2 ** 40 - 5);
  });

  test('beyond that the order stays', () => {
    const ring = new EntryRing();
    for (let index = 0; index < 40; index += 1) ring.push(index, 2 ** 45 + index, Infinity, 0);
    ring.restore([{ ...entry(3), slot: 99 }]);
    expect(Array.from(ring.entries(), ({ slot }) => slot).slice(0, 3)).toEqual([99, 0, 1]);
    ring.push(100, 2 ** 45 + 2 ** 33, Infinity, 0);
    const slots = Array.from(ring.entries(), ({ slot }) => slot);
    expect([slots[0], slots.at(-1)]).toEqual([99, 100]);
    const positions = positionsOf(ring);
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
  });

  test('an empty ring goes on wherever it is', () => {
    const ring = new EntryRing();
    ring.push(1, 5, Infinity, 0);
    ring.shift();
    ring.push(2, 2 ** 50, Infinity, 3);
    expect([ring.firstPosition(), ring.firstReturns()]).toEqual([2 ** 50, 3]);
  });
});

test('whatever comes, goes and comes back, the order is that of the positions', () => {
  const step = fc.record({
    take: fc.nat(6),
    /** Which of those taken come back: a bit each. */
    back: fc.nat(63),
    put: fc.nat(4),
    /** More than 1: positions that another ring has lie between. */
    gap: fc.constantFrom(1, 1, 1, 2, 5),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const ring = new EntryRing();
      let wanted: number[] = [];
      let position = 7;
      for (const { take, back, put, gap } of steps) {
        const taken: number[] = [];
        for (let i = 0; i < take && ring.size > 0; i += 1) {
          taken.push(ring.firstPosition());
          ring.shift();
        }
        for (let i = 0; i < put; i += 1) {
          position += gap;
          ring.push(position % 1000, position, Infinity, 0);
          wanted.push(position);
        }
        const returned = taken.filter((_, index) => (back & (1 << index)) !== 0);
        ring.restore(returned.map((at) => ({ ...entry(at), slot: at % 1000 })));
        wanted = wanted.filter((at) => !taken.includes(at) || returned.includes(at));
        expect(positionsOf(ring)).toEqual(wanted);
        expect(Array.from(ring.entries(), ({ slot }) => slot)).toEqual(wanted.map((at) => at % 1000));
      }
    }),
  );
});
