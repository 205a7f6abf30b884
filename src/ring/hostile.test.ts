// A hostile peer in every mode: random bytes in lanes, lane entries, header words and cursors. Whatever stands there, nobody
// throws anything but a NaruError, nobody hangs, and a damaged lane is one error and out of use while the others go on.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isNaruError } from '../errors/index.ts';
import { bareRing, bodyNumber, bodyOf, drain, put, writerOf } from './bare-ring.fixture.ts';
import { findBlockers, peekLanes, takeCensus } from './census.ts';
import type { ConsumedLane } from './consumed-lane.ts';
import * as L from './layout.ts';
import {
  cursorWord,
  headerWord,
  laneData,
  laneWord,
  participantWord,
  readHeader,
  type RingMemory,
} from './memory.ts';
import { bitsOf, slotOf } from './participants.ts';
import {
  COMPETING,
  competingOf,
  LOSSY,
  recoverIn,
  ringWith,
  type TestConsumer,
  TOPIC,
  topicOf,
} from './shared-lanes.fixture.ts';
import { retainedIn } from './topic-lane.ts';

const UNITS = L.LANE_BYTES_MIN / L.UNIT_BYTES;
const RING_NAME = { place: 'shm', path: 'ring' } as const;
/** No look at one lane of this size takes anything near this. */
const HANG_MS = 1_000;

const SHAPES = { competing: COMPETING, topic: TOPIC, lossy: LOSSY } as const;
type Mode = keyof typeof SHAPES;
const MODES = Object.keys(SHAPES) as Mode[];

function laneOf(memory: RingMemory, consumer: TestConsumer, lane = 0): ConsumedLane {
  return memory.geometry.mode === 'topic'
    ? topicOf(memory, consumer, lane)
    : competingOf(memory, consumer, lane);
}

/** Everything anybody does with a lane, once. */
function useAll(
  memory: RingMemory,
  lanes: readonly ConsumedLane[],
  consumers: readonly TestConsumer[],
): void {
  for (const lane of lanes) {
    lane.hasMore();
    drain(lane);
    drain(lane);
  }
  takeCensus(memory);
  peekLanes(memory, 3);
  findBlockers(memory);
  retainedIn(memory, 0, 5);
  const [victim, ...rest] = consumers as [TestConsumer, ...TestConsumer[]];
  victim.isDead = true;
  recoverIn(memory, consumers);
  for (const consumer of rest) laneOf(memory, consumer, 1).leave();
  const writer = writerOf(memory, 0, '9.9.9/9');
  for (let i = 0; i < 40; i += 1) {
    if (writer.reserve(100, 0) < 0 && (!writer.findRoom() || writer.reserve(100, 0) < 0)) break;
    writer.publish();
  }
  for (const lane of lanes) drain(lane);
}

/** Runs with a watchdog: one synchronous call cannot be stopped, but the test says what took so long. */
function quickly(what: string, action: () => void): void {
  const since = performance.now();
  action();
  expect(performance.now() - since, `${what} took too long`).toBeLessThan(HANG_MS);
}

function expectOneFault({ faults }: TestConsumer, lane: ConsumedLane): void {
  expect(faults.length).toBeLessThanOrEqual(1);
  expect(faults.every((fault) => isNaruError(fault, 'NARU_CORRUPT'))).toBe(true);
  if (lane.reader.isFaulted) {
    expect(faults).toHaveLength(1);
    expect(lane.hasMore()).toBe(false);
  }
}

interface Stage {
  readonly memory: RingMemory;
  readonly consumers: TestConsumer[];
  readonly lanes: ConsumedLane[];
}

/** Two consumers in the middle of their work: messages settled, taken, given back, and not yet taken. */
function stage(mode: Mode, lengths: readonly number[], slotBytes = 0): Stage {
  const { memory, consumers } = ringWith({ ...SHAPES[mode], slotBytes }, 2);
  const writer = writerOf(memory);
  const lanes = consumers.map((consumer) => laneOf(memory, consumer));
  lengths.forEach((length, number) => {
    put(memory, writer, bodyNumber(number, slotBytes === 0 ? length : 9));
    const lane = lanes[number % 2] as ConsumedLane;
    if (number % 3 === 2 || !lane.begin(1, false)) return;
    const tokens: number[] = [];
    while (tokens.length < 1 && lane.next()) tokens.push(lane.token);
    lane.finish();
    for (const token of tokens) {
      if (number % 4 === 0) lane.settle(token);
      else if (number % 4 === 1) lane.giveBack(token, true);
    }
    lane.commit();
  });
  return { memory, consumers, lanes };
}

const damage = fc.record({
  at: fc.nat(L.LANE_BYTES_MIN - 1),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 24 }),
});
const FLAG_VALUES = [0, 1, 2, 3, 0x4001, 0x401, 0x02004001, 0xff000001 | 0];

describe.each(MODES)('%s', (mode) => {
  test('random bytes anywhere in a lane end in messages or in one error', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(300), { minLength: 1, maxLength: 20 }),
        fc.array(damage, { minLength: 1, maxLength: 6 }),
        fc.constantFrom(0, 80),
        (lengths, damages, slotBytes) => {
          const { memory, consumers, lanes } = stage(mode, lengths, slotBytes);
          const data = laneData(memory.geometry, 0);
          for (const { at, bytes } of damages)
            memory.bytes.set(bytes.subarray(0, L.LANE_BYTES_MIN - at), data + at);
          quickly('using it', () => useAll(memory, lanes, consumers));
          lanes.forEach((lane, i) => expectOneFault(consumers[i] as TestConsumer, lane));
        },
      ),
      { numRuns: 300 },
    );
  });

  test('random lengths and flags of whole records end in messages or in one error', () => {
    const change = fc.record({
      record: fc.nat(20),
      word: fc.constantFrom(0, 1),
      value: fc.oneof(fc.constantFrom(...FLAG_VALUES), fc.nat(5000), fc.integer()),
    });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const { memory, consumers, lanes } = stage(
          mode,
          Array.from({ length: 20 }, () => 24),
        );
        const data = laneData(memory.geometry, 0) >>> 2;
        // The identity record of "1.2.3/4" has 16 bytes, every message 32.
        for (const { record, word, value } of changes) memory.words[data + 4 + record * 8 + word] = value;
        quickly('using it', () => useAll(memory, lanes, consumers));
        lanes.forEach((lane, i) => expectOneFault(consumers[i] as TestConsumer, lane));
      }),
      { numRuns: 300 },
    );
  });

  test('positions, ordinals and holders that cannot be are one error, and nobody walks for ever', () => {
    const fields = [
      L.LANE.tail,
      L.LANE.head,
      L.LANE.taken,
      L.LANE.floorNext,
      L.LANE.ordinal,
      L.LANE.ordinalDone,
      L.LANE.identityBytes,
      L.LANE.returned,
      L.LANE.takenIdentityVersion,
      L.LANE.takenIdentityBytes,
    ];
    const change = fc.record({
      field: fc.constantFrom(...fields),
      value: fc.oneof(fc.integer(), fc.nat(2 * UNITS), fc.constantFrom(2 ** 31 - 1, -(2 ** 31), -1)),
    });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.boolean(), (changes, isFilled) => {
        const { memory, consumers, lanes } = stage(
          mode,
          Array.from({ length: 12 }, () => 24),
        );
        // A lane full of whole records from end to end: a walk that trusts its positions goes round and round in it.
        if (isFilled) fillWithRecords(memory);
        for (const { field, value } of changes) memory.words[laneWord(0, field)] = value;
        quickly('using it', () => useAll(memory, lanes, consumers));
        lanes.forEach((lane, i) => expectOneFault(consumers[i] as TestConsumer, lane));
      }),
      { numRuns: 300 },
    );
  });

  test('random words in the header’s masks, the seats, the cursors and the table throw nothing', () => {
    const words = [
      ...Array.from({ length: 11 }, (_, i) => headerWord(L.HEADER.consumerMask) + i),
      headerWord(L.HEADER.membership),
      headerWord(L.HEADER.creator),
      ...Array.from({ length: 4 }, (_, i) => headerWord(L.HEADER.consumers) + i),
      ...[0, 1, 5].flatMap((slot) =>
        [L.PARTICIPANT.state, L.PARTICIPANT.generation, L.PARTICIPANT.bell].map((field) =>
          participantWord(slot, field),
        ),
      ),
      ...[0, 1].map((lane) => laneWord(lane, L.LANE.owner)),
      ...[0, 1, 7].map((seat) => cursorWord(bareRing(SHAPES[mode]).geometry, seat, 0)),
    ];
    const change = fc.record({
      word: fc.constantFrom(...words),
      value: fc.oneof(fc.integer(), fc.nat(255), fc.constant(-1)),
    });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 5 }), (changes) => {
        const { memory, consumers, lanes } = stage(
          mode,
          Array.from({ length: 12 }, () => 24),
        );
        for (const { word, value } of changes) memory.words[word] = value;
        quickly('using it', () => useAll(memory, lanes, consumers));
        for (const consumer of consumers) expect(consumer.faults.length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 300 },
    );
  });

  test('the other lanes go on', () => {
    const { memory, consumers, lanes } = stage(mode, [10, 10, 10, 10]);
    const other = laneOf(memory, consumers[0] as TestConsumer, 1);
    memory.words.fill(-1, laneData(memory.geometry, 0) >>> 2, (laneData(memory.geometry, 0) >>> 2) + 64);
    for (const lane of lanes) drain(lane);
    const writer = writerOf(memory, 1);
    for (let number = 0; number < 500; number += 1) {
      expect(put(memory, writer, bodyNumber(number, number % 90))).toBe(true);
      expect(drain(other)).toEqual([bodyNumber(number, number % 90)]);
      if (mode === 'topic') drainRest(memory, consumers[1] as TestConsumer);
    }
    expect(memory.words[laneWord(0, L.LANE.fault)]).toBe(1);
    expect(memory.words[laneWord(1, L.LANE.fault)]).toBe(0);
  });
});

/** Another consumer of the topic has read everything. */
function drainRest(memory: RingMemory, { seat }: TestConsumer): void {
  memory.words[cursorWord(memory.geometry, seat, 1)] = memory.words[laneWord(1, L.LANE.tail)] as number;
}

function fillWithRecords(memory: RingMemory): void {
  const data = laneData(memory.geometry, 0) >>> 2;
  for (let unit = 0; unit < UNITS; unit += 4) {
    memory.words[data + unit * 2] = 24;
    memory.words[data + unit * 2 + 1] = L.RECORD_KIND.message | L.RECORD_FLAG.settled;
  }
}

test('a returned message whose length has become impossible puts the lane out of use instead of being looked at for ever', () => {
  const { memory, consumers } = ringWith(COMPETING, 1);
  const consumer = consumers[0] as TestConsumer;
  const writer = writerOf(memory);
  const lane = competingOf(memory, consumer);
  const at = writer.reserve(8, 0);
  writer.publish();
  for (const number of [1, 2]) put(memory, writer, bodyNumber(number, L.LANE_BYTES_MIN / 4 - 8));
  expect(lane.begin(3, false)).toBe(true);
  expect(lane.next()).toBe(true);
  const { token } = lane;
  expect([lane.next(), lane.next()]).toEqual([true, true]);
  lane.finish();
  lane.giveBack(token, true);
  // Longer than any record may be, yet not beyond what was taken.
  memory.words[(at - L.RECORD.payload) >>> 2] = L.LANE_BYTES_MIN / 4 + 64;
  drain(lane);
  drain(lane);
  expect(consumer.faults).toHaveLength(1);
  expect(lane.hasMore()).toBe(false);
  expect(lane.reader.isFaulted).toBe(true);
});

test('a floor that goes backwards is one error and no endless search', () => {
  const { memory, consumers } = ringWith(LOSSY, 1);
  const consumer = consumers[0] as TestConsumer;
  const lane = topicOf(memory, consumer);
  put(memory, writerOf(memory), bodyNumber(0, 10));
  memory.words[laneWord(0, L.LANE.head)] = 4;
  memory.words[laneWord(0, L.LANE.ordinal)] = 1;
  memory.words[laneWord(0, L.LANE.floorNext)] = 0;
  expect(lane.next()).toBe(false);
  expect(consumer.faults).toHaveLength(1);
});

describe('a topic’s producer', () => {
  const CURSORS = [1, 5, UNITS, UNITS + 1, 10 * UNITS, 2 ** 30];

  test.each(CURSORS)(
    'waits for a cursor that is %i units too far behind, and calls no lane damaged',
    (behind) => {
      const { memory, consumers } = ringWith(TOPIC, 0);
      const writer = writerOf(memory);
      for (let number = 0; number < 200; number += 1)
        expect(put(memory, writer, bodyNumber(number, 100))).toBe(true);
      const floor = memory.words[laneWord(0, L.LANE.head)] as number;
      // As left by a consumer that died, or was stopped, between taking its seat and looking at the floor again.
      memory.words[cursorWord(memory.geometry, 0, 0)] = (floor - behind) | 0;
      memory.words[headerWord(L.HEADER.consumerMask)] = 1;
      let number = 200;
      while (put(memory, writer, bodyNumber(number, 100))) number += 1;
      expect(number).toBeLessThan(260);
      expect(writer.findRoom()).toBe(true);
      expect(writer.hasRoom()).toBe(false);
      memory.words[headerWord(L.HEADER.consumerMask)] = 0;
      expect(put(memory, writer, bodyNumber(number, 100))).toBe(true);
      expect(consumers).toEqual([]);
    },
  );
});

describe('what a hostile header says', () => {
  function header(change: readonly (readonly [number, number])[]): unknown {
    const memory = bareRing({ relation: 'N:N', deliver: 'all' });
    memory.words[headerWord(L.HEADER.ready)] = L.READY;
    for (const [field, value] of change) memory.words[headerWord(field)] = value;
    try {
      return readHeader(memory.words, memory.geometry.fileBytes, RING_NAME);
    } catch (error) {
      return error;
    }
  }
  test('is refused when it cannot be: a queue that loses', () => {
    expect(header([[L.HEADER.lossy, 1]])).toMatchObject({ lossy: true });
    expect(
      header([
        [L.HEADER.deliver, 1],
        [L.HEADER.lossy, 1],
      ]),
    ).toMatchObject({ code: 'NARU_CORRUPT' });
  });
  test('is refused when it cannot be: a topic with priorities, whose cursors would not fit', () => {
    const shape = { relation: 'N:N', deliver: 'all', levels: 3 } as const;
    const memory = bareRing(shape);
    memory.words[headerWord(L.HEADER.ready)] = L.READY;
    expect(() => readHeader(memory.words, memory.geometry.fileBytes, RING_NAME)).toThrow(
      expect.objectContaining({ code: 'NARU_CORRUPT' }),
    );
  });
});

test('marks and masks that no table has room for are nobody', () => {
  expect(slotOf(0)).toBe(-1);
  expect(slotOf(L.PARTICIPANTS)).toBe(L.PARTICIPANTS - 1);
  for (const slot of [L.PARTICIPANTS, 200, 254]) expect(slotOf(slot + 1)).toBe(-1);
  expect(bitsOf(-1)).toHaveLength(32);
});

test('the body of a returned message is the one that was sent', () => {
  const { memory, consumers } = ringWith(COMPETING, 2);
  const [one, two] = consumers.map((consumer) =>
    competingOf(memory, consumer),
  ) as readonly ConsumedLane[] as [ConsumedLane, ConsumedLane];
  const writer = writerOf(memory);
  for (let number = 0; number < 5; number += 1) put(memory, writer, bodyNumber(number, 30));
  one.begin(5, false);
  for (let i = 0; i < 3; i += 1) expect(one.next()).toBe(true);
  one.finish();
  one.giveBack(one.token, true);
  expect(two.begin(9, false)).toBe(true);
  expect(two.next()).toBe(true);
  expect([bodyOf(two), two.deliveries]).toEqual([bodyNumber(2, 30), 2]);
});
