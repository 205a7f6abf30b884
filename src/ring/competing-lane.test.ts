// Competing lanes against a model: two or three consumers interleaved at every step, dying at any failpoint, with recoverers
// that die too, from any position of the lane; and the end of the lane and of the positions at every offset.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bodyNumber, bodyOf, drain, put, writerOf } from './bare-ring.fixture.ts';
import { CompetingModel, type Way } from './competing-model.fixture.ts';
import { LANE, LANE_BYTES_MIN } from './layout.ts';
import { laneWord } from './memory.ts';
import { COMPETING, competingOf, recoverIn, ringWith, type TestConsumer } from './shared-lanes.fixture.ts';

const UNITS = LANE_BYTES_MIN / 8;
const RUNS = Number(process.env['NARU_MODEL_RUNS'] ?? 250);
const START_POSITIONS = [0, 1, UNITS - 1, UNITS - 2, 2 ** 31 - 3, -3, -UNITS, -1];
const FATAL = [
  'claim:held',
  'claim:claimed',
  'claim:taken',
  'claim:let-go',
  'settle:before-head',
  'settle:after-head',
  'settle:let-go',
  'return:flagged',
  'identity:head-at-record',
  'identity:half-written',
];
const FATAL_RECOVERY = [
  'recover:proved-dead',
  'recover:leaving',
  'recover:lanes-orphaned',
  'recover:held',
  'recover:claim-returned',
  'settle:before-head',
  'settle:after-head',
  'settle:let-go',
  'identity:half-written',
  'recover:let-go',
  'recover:consumer-freed',
  'recover:bell-removed',
];

const consumer = fc.nat(2);
type Step = (model: CompetingModel) => void;
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.nat(300).map(
      (length): Step =>
        (model) =>
          model.put(length),
    ),
  },
  {
    weight: 3,
    arbitrary: consumer.map(
      (index): Step =>
        (model) =>
          model.begin(index),
    ),
  },
  {
    weight: 6,
    arbitrary: consumer.map(
      (index): Step =>
        (model) =>
          model.next(index),
    ),
  },
  {
    weight: 4,
    arbitrary: consumer.map(
      (index): Step =>
        (model) =>
          model.finish(index),
    ),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(consumer, fc.nat(9), fc.constantFrom<Way>('ack', 'ack', 'ack', 'nack', 'release'))
      .map(
        ([index, which, way]): Step =>
          (model) =>
            model.settle(index, which, way),
      ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(consumer, fc.constantFrom(...FATAL), fc.integer({ min: 1, max: 3 })).map(
      ([index, name, left]): Step =>
        (model) =>
          model.arm(index, name, left),
    ),
  },
  {
    weight: 1,
    arbitrary: consumer.map(
      (index): Step =>
        (model) =>
          model.leave(index),
    ),
  },
  { weight: 2, arbitrary: fc.constant((model: CompetingModel) => model.recover()) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom(...FATAL_RECOVERY), fc.integer({ min: 1, max: 2 })).map(
      ([name, left]): Step =>
        (model) =>
          model.recover({ name, left }),
    ),
  },
  { weight: 1, arbitrary: fc.constant((model: CompetingModel) => model.replaceProducer()) },
);

test('does what a list does, whoever dies wherever', { timeout: 60_000 + RUNS * 20 }, () => {
  let deaths = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...START_POSITIONS),
      fc.integer({ min: 2, max: 3 }),
      fc.array(step, { maxLength: 250, size: 'max' }),
      (position, consumers, steps) => {
        const model = new CompetingModel(consumers, position);
        for (const one of steps) one(model);
        model.settleAll();
        deaths += model.deaths;
      },
    ),
    { numRuns: RUNS },
  );
  expect(deaths).toBeGreaterThan(RUNS / 3);
});

describe('the end of the lane and of the positions', () => {
  test('is crossed at every offset by three consumers in turn, with returned messages on the way', () => {
    for (let before = 0; before < UNITS; before += before < 48 ? 1 : 7) {
      const { memory, consumers } = ringWith(COMPETING, 3, -before);
      const lanes = consumers.map((one) => competingOf(memory, one));
      const writer = writerOf(memory);
      const got: number[] = [];
      for (let number = 0; number < 60; number += 1) {
        const body = bodyNumber(number, (number * 13 + before) % 90);
        expect(put(memory, writer, body)).toBe(true);
        const lane = lanes[number % 3] as (typeof lanes)[0];
        expect(lane.begin(1, false)).toBe(true);
        expect(lane.next()).toBe(true);
        expect(bodyOf(lane)).toEqual(body);
        lane.finish();
        if (number % 5 === 0) {
          lane.giveBack(lane.token, true);
          const other = lanes[(number + 1) % 3] as (typeof lanes)[0];
          expect(drain(other)).toEqual([body]);
        } else {
          lane.settle(lane.token);
          lane.commit();
        }
        got.push(number);
      }
      expect(got).toHaveLength(60);
      expect(memory.words[laneWord(0, LANE.head)]).toBe(memory.words[laneWord(0, LANE.tail)]);
    }
  });
});

test('a lane held by the dead is taken over, one held by the living is left for later', () => {
  const { memory, consumers } = ringWith(COMPETING, 2);
  const [dead, alive] = consumers as [TestConsumer, TestConsumer];
  const writer = writerOf(memory);
  for (let number = 0; number < 4; number += 1) put(memory, writer, bodyNumber(number, 20));
  const mine = competingOf(memory, dead);
  mine.begin(1, false);
  mine.next();
  mine.finish();
  const other = competingOf(memory, alive);
  expect(other.begin(1, false)).toBe(true);
  dead.isDead = true;
  expect(recoverIn(memory, [dead])).toEqual([]);
  expect(other.next()).toBe(true);
  other.finish();
  expect(recoverIn(memory, [dead])).toHaveLength(1);
  expect(drain(other).map((body) => body[0])).toEqual([0, 2, 3].map((number) => bodyNumber(number, 20)[0]));
});

test('a consumer that leaves while another one is stopped at work gives back what it has, and nothing of its successor', () => {
  const { memory, consumers } = ringWith(COMPETING, 2);
  const [mine, stopped] = consumers as [TestConsumer, TestConsumer];
  const writer = writerOf(memory);
  for (let number = 0; number < 6; number += 1) put(memory, writer, bodyNumber(number, 20));
  const leaving = competingOf(memory, mine);
  leaving.begin(2, false);
  for (let i = 0; i < 2; i += 1) expect(leaving.next()).toBe(true);
  leaving.finish();
  const holder = competingOf(memory, stopped);
  expect(holder.begin(1, false)).toBe(true);
  leaving.leave();
  expect(holder.next()).toBe(true);
  holder.finish();
  // The same handle begins to receive again: the same slot, and so the same owner in its messages.
  const again = competingOf(memory, mine);
  again.begin(9, false);
  const tokens: number[] = [];
  while (again.next()) tokens.push(again.token);
  again.finish();
  const third = competingOf(memory, stopped);
  expect(third.begin(9, false)).toBe(true);
  expect(third.next(), 'nothing of it is anybody else’s').toBe(false);
  third.finish();
  for (const token of tokens) again.settle(token);
  again.commit();
  expect(tokens).toHaveLength(5);
  holder.settle(holder.token);
  holder.commit();
  expect(again.isEmptied()).toBe(true);
});
