// A hostile or broken producer: whatever stands in a lane, the reader ends with messages or with one clear error, never hangs,
// never throws, never reads outside of the lane. And headers that somebody else wrote are refused in plain words.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isNaruError } from '../errors/index.ts';
import { bareRing, bodyNumber, drain, put, readerOf, writerOf } from './bare-ring.fixture.ts';
import { takeCensus } from './census.ts';
import { HEADER, LANE, LANE_BYTES_MIN, READY, RECORD } from './layout.ts';
import { laneData, laneWord, readHeader } from './memory.ts';

const UNITS = LANE_BYTES_MIN / 8;
const RING_NAME = { place: 'shm', path: 'ring' } as const;

test('random bytes anywhere in a lane end in messages or in one error', () => {
  const damage = fc.record({
    at: fc.nat(LANE_BYTES_MIN - 1),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 24 }),
  });
  fc.assert(
    fc.property(
      fc.array(fc.nat(300), { minLength: 1, maxLength: 20 }),
      fc.array(damage, { minLength: 1, maxLength: 6 }),
      fc.constantFrom(0, 80),
      (lengths, damages, slotBytes) => {
        const memory = bareRing({ slotBytes });
        const writer = writerOf(memory);
        lengths.forEach((length, number) =>
          put(memory, writer, bodyNumber(number, slotBytes === 0 ? length : 9)),
        );
        const data = laneData(memory.geometry, 0);
        for (const { at, bytes } of damages)
          memory.bytes.set(bytes.subarray(0, LANE_BYTES_MIN - at), data + at);
        const faults: Error[] = [];
        const reader = readerOf(memory, 0, faults);
        takeCensus(memory);
        const bodies = drain(reader);
        expect(bodies.length).toBeLessThanOrEqual(UNITS);
        expect(faults.length).toBe(reader.reader.isFaulted ? 1 : 0);
        expect(faults.every((fault) => isNaruError(fault, 'NARU_CORRUPT'))).toBe(true);
        expect(reader.next()).toBe(false);
        expect(reader.hasMore()).toBe(false);
      },
    ),
    { numRuns: 2000 },
  );
});

test('positions that cannot be are one error', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer(), fc.integer(), (tail, head, taken) => {
      const memory = bareRing();
      memory.words[laneWord(0, LANE.tail)] = tail;
      memory.words[laneWord(0, LANE.head)] = head;
      memory.words[laneWord(0, LANE.taken)] = taken;
      const faults: Error[] = [];
      drain(readerOf(memory, 0, faults));
      takeCensus(memory);
      expect(faults.length).toBeLessThanOrEqual(1);
    }),
    { numRuns: 500 },
  );
});

test('a head that cannot be stops the producer instead of letting it write over unread messages', () => {
  const memory = bareRing();
  const writer = writerOf(memory);
  put(memory, writer, bodyNumber(0, 10));
  for (const head of [1000, -UNITS - 1]) {
    memory.words[laneWord(0, LANE.head)] = head;
    expect(writer.findRoom()).toBe(false);
  }
});

test('the error of a damaged lane names position and bytes, and marks the lane for its producer', () => {
  const memory = bareRing();
  const writer = writerOf(memory);
  put(memory, writer, bodyNumber(0, 10));
  put(memory, writer, bodyNumber(1, 10));
  const at = writer.reserve(4, 0);
  writer.publish();
  memory.words[(at - RECORD.payload) >>> 2] = -5;
  const faults: Error[] = [];
  expect(drain(readerOf(memory, 0, faults))).toHaveLength(2);
  expect(faults[0]?.message).toMatch(
    /Lane 0 .* position \d+: its length is impossible\. First bytes: fbffffff/,
  );
  expect(memory.words[laneWord(0, LANE.fault)]).toBe(1);
});

describe('a header', () => {
  function header(change: (words: Int32Array) => void, size?: number): unknown {
    const memory = bareRing();
    memory.words[HEADER.ready >>> 2] = READY;
    change(memory.words);
    try {
      return readHeader(memory.words, size ?? memory.geometry.fileBytes, RING_NAME);
    } catch (error) {
      return error;
    }
  }
  const put32 = (field: number, value: number) => (words: Int32Array) => {
    words[field >>> 2] = value;
  };

  test('that is whole gives back what was written', () => {
    expect(header(() => undefined)).toEqual(bareRing().geometry);
  });
  test('without its ready mark, or all zero, is unfinished', () => {
    expect(header(put32(HEADER.ready, 0))).toBeUndefined();
    expect(header((words) => words.fill(0))).toBeUndefined();
  });
  test('of another version, byte order or unknown feature is unsupported', () => {
    expect(header(put32(HEADER.versionMajor, 3))).toMatchObject({ code: 'NARU_UNSUPPORTED' });
    expect(header(put32(HEADER.byteOrder, 0x04030201))).toMatchObject({ code: 'NARU_UNSUPPORTED' });
    expect(header(put32(HEADER.requiredFeatures, 1 << 31))).toMatchObject({
      code: 'NARU_UNSUPPORTED',
      message: expect.stringContaining('0x80000000'),
    });
  });
  test('of a greater minor version, or with optional features, is read', () => {
    expect(header(put32(HEADER.versionMinor, 7))).toMatchObject({ laneCount: 16 });
    expect(header(put32(HEADER.optionalFeatures, -1))).toMatchObject({ laneCount: 16 });
  });
  test('with any wrong number is corrupt', () => {
    expect(header(put32(HEADER.magic, 1))).toMatchObject({ code: 'NARU_CORRUPT' });
    expect(header(() => undefined, 4096)).toMatchObject({ code: 'NARU_CORRUPT' });
    for (const field of ['fileBytes', 'laneCount', 'laneBytes', 'dataOffset', 'relation', 'owner'] as const)
      expect(header(put32(HEADER[field], 12345)), field).toMatchObject({ code: 'NARU_CORRUPT' });
  });
});
