// A lane against a model: whatever is written comes out in order, byte for byte, at every alignment, across the end of the
// lane and across the end of the positions; and what is settled is settled, also for a successor.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bareRing, bodyNumber, bodyOf, drain, put, readerOf, writerOf } from './bare-ring.fixture.ts';
import { ExclusiveLane } from './exclusive-lane.ts';
import { LANE, LANE_BYTES_MIN, RECORD, RECORD_FLAG } from './layout.ts';
import { laneWord, type RingMemory } from './memory.ts';
import { identityAt } from './record.ts';
import { SlabSource } from './slab.ts';

const UNITS = LANE_BYTES_MIN / 8;
const START_POSITIONS = [0, 1, UNITS - 1, UNITS - 2, 2 ** 31 - 3, -3, -UNITS, -1];

type Step =
  | { readonly kind: 'put'; readonly length: number }
  | { readonly kind: 'take'; readonly count: number }
  | { readonly kind: 'settle'; readonly index: number }
  | { readonly kind: 'successor' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.nat(600).map((length) => ({ kind: 'put', length }) as const) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 9 }).map((count) => ({ kind: 'take', count }) as const) },
  { weight: 6, arbitrary: fc.nat(20).map((index) => ({ kind: 'settle', index }) as const) },
  { weight: 1, arbitrary: fc.constant({ kind: 'successor' } as const) },
);

interface Held {
  readonly number: number;
  readonly token: number;
  readonly deliveries: number;
}

test('a lane does what a list does, with any sizes, any order of settling and any number of successors', () => {
  fc.assert(
    fc.property(fc.constantFrom(...START_POSITIONS), fc.array(step, { maxLength: 200 }), (start, steps) => {
      const memory = bareRing({}, start);
      const writer = writerOf(memory);
      let reader = readerOf(memory);
      let written = 0;
      let next = 0;
      let held: Held[] = [];
      let again: { number: number; deliveries: number }[] = [];
      const lengths: number[] = [];
      for (const one of steps) {
        if (one.kind === 'put') {
          if (put(memory, writer, bodyNumber(written, one.length))) {
            lengths[written] = one.length;
            written += 1;
          }
        } else if (one.kind === 'take') {
          for (let i = 0; i < one.count; i += 1) {
            const expected =
              again.shift() ?? (next < written ? { number: next++, deliveries: 1 } : undefined);
            expect(reader.next()).toBe(expected !== undefined);
            if (expected === undefined) break;
            expect(bodyOf(reader)).toEqual(bodyNumber(expected.number, lengths[expected.number] as number));
            expect(reader.deliveries).toBe(expected.deliveries);
            expect(reader.reader.sender).toBe('1.2.3/4');
            held.push({ ...expected, token: reader.token });
          }
          reader.finish();
        } else if (one.kind === 'settle') {
          const index = one.index % Math.max(held.length, 1);
          const [chosen] = held.splice(index, 1);
          if (chosen !== undefined) reader.settle(chosen.token);
          reader.commit();
        } else {
          // What was handed out and not settled comes again, in order, one delivery more.
          const redelivered = held.map(({ number, deliveries }) => ({ number, deliveries: deliveries + 1 }));
          again = [...redelivered, ...again.map((x) => x)].sort((a, b) => a.number - b.number);
          held = [];
          reader = readerOf(memory);
        }
        expect(reader.unsettled).toBe(held.length);
      }
    }),
    { numRuns: 300 },
  );
});

describe('the end of a lane', () => {
  const alignments = Array.from({ length: 40 }, (_, i) => i);
  test.each(alignments)('is crossed by records that start %i units before it', (before) => {
    for (const length of [0, 1, 7, 8, 9, 63, 64, 65, 200]) {
      const memory = bareRing({}, UNITS - before);
      const writer = writerOf(memory);
      const reader = readerOf(memory);
      for (let number = 0; number < 6; number += 1)
        expect(put(memory, writer, bodyNumber(number, length))).toBe(true);
      expect(drain(reader)).toEqual([0, 1, 2, 3, 4, 5].map((number) => bodyNumber(number, length)));
    }
  });

  test('lets the longest record through an empty lane wherever it starts, and refuses a longer one', () => {
    for (let start = 0; start < UNITS; start += 13) {
      const memory = bareRing({}, start);
      const writer = writerOf(memory);
      const reader = readerOf(memory);
      const longest = bodyNumber(start, writer.maxPayloadBytes);
      expect(longest.length).toBe(LANE_BYTES_MIN / 4 - RECORD.payload);
      expect(put(memory, writer, longest)).toBe(true);
      expect(drain(reader)).toEqual([longest]);
    }
  });
});

test('positions run past 2^32 without anybody noticing', () => {
  const memory = bareRing({}, -40);
  const writer = writerOf(memory);
  const reader = readerOf(memory);
  for (let number = 0; number < 300; number += 1) {
    expect(put(memory, writer, bodyNumber(number, number % 50))).toBe(true);
    if (number % 3 === 0) while (reader.next()) reader.settle(reader.token);
    reader.commit();
  }
  expect(memory.words[laneWord(0, LANE.tail)]).toBeGreaterThan(0);
});

test('a full lane takes nothing more, says how much room is missing, and goes on when some was made', () => {
  const memory = bareRing();
  const writer = writerOf(memory);
  const reader = readerOf(memory);
  let count = 0;
  while (put(memory, writer, bodyNumber(count, 100))) count += 1;
  expect(count).toBe(Math.floor((LANE_BYTES_MIN - 16) / 112));
  expect(writer.hasRoom()).toBe(false);
  expect(reader.next()).toBe(true);
  reader.settle(reader.token);
  expect(writer.hasRoom()).toBe(false);
  reader.commit();
  expect(writer.hasRoom()).toBe(true);
  expect(writer.hasMuchRoom()).toBe(false);
  expect(put(memory, writer, bodyNumber(count, 100))).toBe(true);
});

test('what is reserved and not published does not exist', () => {
  const memory = bareRing();
  const writer = writerOf(memory);
  expect(writer.reserve(10, 0)).toBeGreaterThan(0);
  expect(writer.isPending).toBe(true);
  expect(readerOf(memory).next()).toBe(false);
  writer.abandon();
  expect(put(memory, writer, bodyNumber(1, 10))).toBe(true);
  expect(drain(readerOf(memory))).toEqual([bodyNumber(1, 10)]);
});

test('a new producer continues a lane with unread messages, and every message keeps its sender', () => {
  const memory = bareRing();
  const senders = ['1.1.0/1', '22.333.4/55', '9.9.9/9'];
  senders.forEach((identity, number) => {
    const writer = writerOf(memory, 0, identity);
    put(memory, writer, bodyNumber(number, 5));
    put(memory, writer, bodyNumber(number, 6));
  });
  const seen: string[] = [];
  let reader = readerOf(memory);
  for (let i = 0; i < 6; i += 1) {
    expect(reader.next()).toBe(true);
    seen.push(reader.reader.sender);
    reader.finish();
    reader.settle(reader.token);
    reader.commit();
    // A successor after each message: it must know the sender of what follows.
    reader = readerOf(memory);
  }
  expect(seen).toEqual(senders.flatMap((sender) => [sender, sender]));
  expect(identityAt(memory, 0)).toBe('9.9.9/9');
});

test('an identity that was half written when the consumer died is read again from its record', () => {
  const memory = bareRing();
  put(memory, writerOf(memory, 0, 'first.1.1/1'), bodyNumber(0, 5));
  put(memory, writerOf(memory, 0, 'second.2.2/2'), bodyNumber(1, 5));
  for (const failpoint of ['identity:head-at-record', 'identity:half-written', 'settle:before-head']) {
    const copy = bareRing();
    copy.bytes.set(memory.bytes);
    const reader = readerOf(copy);
    reader.next();
    reader.next();
    reader.finish();
    const dying = dyingReader(copy, failpoint);
    dying.settle(0);
    dying.settle(1);
    expect(() => dying.commit()).toThrow('dead');
    const successor = readerOf(copy);
    const senders: string[] = [];
    while (successor.next()) senders.push(successor.reader.sender);
    expect(senders.every((sender) => ['first.1.1/1', 'second.2.2/2'].includes(sender))).toBe(true);
    expect(senders.at(-1)).toBe('second.2.2/2');
  }
});

test('a lane that the dead had settled, and of which they had told nobody, is room again once a successor looks', () => {
  const memory = bareRing();
  const writer = writerOf(memory);
  let count = 0;
  while (put(memory, writer, bodyNumber(count, 100))) count += 1;
  const reader = readerOf(memory);
  for (let i = 0; i < count; i += 1) reader.next();
  reader.finish();
  // All but the first; then it dies. The next one settles the first, and dies before it has read on.
  for (let token = 1; token < count; token += 1) reader.settle(token);
  reader.commit();
  const second = readerOf(memory);
  second.next();
  second.finish();
  second.settle(second.token);
  second.commit();
  expect(put(memory, writer, bodyNumber(0, 1000))).toBe(false);
  const third = readerOf(memory);
  expect(third.begin(100, false)).toBe(true);
  expect(third.next()).toBe(false);
  expect(third.finish()).toBe(true);
  expect(put(memory, writer, bodyNumber(0, 1000))).toBe(true);
  expect(drain(third)).toEqual([bodyNumber(0, 1000)]);
});

test('released messages come back to a successor as if never taken, requeued ones with one delivery more', () => {
  const memory = bareRing();
  const writer = writerOf(memory);
  for (let number = 0; number < 3; number += 1) put(memory, writer, bodyNumber(number, 5));
  const reader = readerOf(memory);
  for (let i = 0; i < 3; i += 1) reader.next();
  reader.finish();
  expect(reader.giveBack(0, false)).toBe(false);
  reader.handOutAgain(1, 4);
  const successor = readerOf(memory);
  const deliveries: number[] = [];
  while (successor.next()) deliveries.push(successor.deliveries);
  expect(deliveries).toEqual([1, 5, 2]);
});

test('a dropped message is marked for its producer before its room is given back', () => {
  const memory = bareRing();
  const writer = writerOf(memory);
  const at = writer.reserve(5, RECORD_FLAG.receipt);
  writer.publish();
  const reader = readerOf(memory);
  reader.next();
  reader.drop(reader.token);
  reader.settle(reader.token);
  expect(reader.commit()).toBe(true);
  expect(writer.flagsAt(at) & RECORD_FLAG.dropped).not.toBe(0);
});

test('in slots every record has the same stride, whatever its length', () => {
  const memory = bareRing({ slotBytes: 80 });
  const writer = writerOf(memory);
  const reader = readerOf(memory);
  expect(writer.maxPayloadBytes).toBe(80);
  for (let round = 0; round < 200; round += 1) {
    expect(put(memory, writer, bodyNumber(round, round % 81))).toBe(true);
    expect(drain(reader)).toEqual([bodyNumber(round, round % 81)]);
  }
});

/** A consumer that has taken everything and dies at a failpoint. */
function dyingReader(memory: RingMemory, failpoint: string): ExclusiveLane {
  const reader = new ExclusiveLane(memory, 0, new SlabSource(), {
    fault: () => undefined,
    failpoint: (name) => {
      if (name === failpoint) throw new Error('dead');
    },
  });
  while (reader.next());
  return reader;
}
