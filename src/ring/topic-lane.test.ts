// Topic lanes against a list: consumers that read at their own speed, come and die, and producers that die while they move the
// floor. Lossless: everybody gets everything from where it came in. Lossy: what is missing is counted, to the message.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bodyNumber, bodyOf, drain, put, writerOf } from './bare-ring.fixture.ts';
import { LaneWriter } from './lane-writer.ts';
import { HEADER, LANE_BYTES_MIN } from './layout.ts';
import { headerWord, type RingMemory } from './memory.ts';
import {
  consumerAt,
  Death,
  LOSSY,
  recoverIn,
  ringWith,
  type TestConsumer,
  TOPIC,
  topicOf,
} from './shared-lanes.fixture.ts';
import type { TopicLane } from './topic-lane.ts';

const UNITS = LANE_BYTES_MIN / 8;
const RUNS = Number(process.env['NARU_MODEL_RUNS'] ?? 60);
const START_POSITIONS = [0, 1, UNITS - 1, UNITS - 2, 2 ** 31 - 3, -3, -UNITS, -1];
const FATAL = ['floor:ordinal-stored', 'floor:stored', 'identity:head-at-record', 'identity:half-written'];

interface Reader {
  consumer: TestConsumer;
  lane: TopicLane;
  held: number[];
  /** Number of the message that it is to get next. */
  next: number;
}

class TopicModel {
  readonly memory: RingMemory;
  readonly sent: { readonly body: Uint8Array; readonly sender: string }[] = [];
  readonly #readers: Reader[];
  readonly #isLossy: boolean;
  #writer: LaneWriter;
  #sender = 's0';
  #fatal: { name: string; left: number } | undefined;
  deaths = 0;
  missed = 0;

  constructor(lossy: boolean, consumers: number, position: number) {
    const { memory, consumers: all } = ringWith(lossy ? LOSSY : TOPIC, consumers, position);
    this.memory = memory;
    this.#isLossy = lossy;
    this.#writer = this.#newWriter();
    this.#readers = all.map((consumer) => this.#reader(consumer));
  }

  #reader(consumer: TestConsumer): Reader {
    return { consumer, lane: topicOf(this.memory, consumer), held: [], next: -1 };
  }

  #newWriter(): LaneWriter {
    return new LaneWriter(this.memory, 0, Buffer.from(this.#sender, 'latin1'), (name) => {
      const fatal = this.#fatal;
      if (fatal?.name !== name) return;
      fatal.left -= 1;
      if (fatal.left === 0) throw new Death(name);
    });
  }

  arm(name: string, left: number): void {
    this.#fatal = { name, left };
  }

  put(length: number): void {
    const body = new Uint8Array(4 + length).fill(length & 0xff);
    new DataView(body.buffer).setUint32(0, this.sent.length);
    try {
      if (put(this.memory, this.#writer, body)) this.sent.push({ body, sender: this.#sender });
      else expect(this.#isLossy, 'a lossy topic has always room').toBe(false);
    } catch (error) {
      if (!(error instanceof Death)) throw error;
      this.deaths += 1;
      // Consumers go on with what the dead one left half done; only then comes the next producer.
      for (let index = 0; index < this.#readers.length; index += 1) this.take(index, 2);
      this.replaceProducer();
    }
  }

  replaceProducer(): void {
    this.#fatal = undefined;
    this.#sender = `s${this.sent.length}`;
    this.#writer = this.#newWriter();
  }

  take(index: number, count: number): void {
    const reader = this.#at(index);
    const { lane, held, consumer } = reader;
    for (let i = 0; i < count; i += 1) {
      const isNext = lane.next();
      const gap = consumer.gaps.splice(0).reduce((sum, one) => sum + one, 0);
      if (!this.#isLossy) expect(gap).toBe(0);
      this.missed += gap;
      if (!isNext) {
        expect(reader.next < 0 ? this.sent.length : reader.next + gap, 'nothing is left').toBe(
          this.sent.length,
        );
        break;
      }
      const body = bodyOf(lane);
      const number = new DataView(body.buffer).getUint32(0);
      // Whoever came later starts at the floor, wherever that is.
      if (reader.next >= 0) expect(number).toBe(reader.next + gap);
      expect(body).toEqual(this.sent[number]?.body);
      expect(lane.reader.sender).toBe(this.sent[number]?.sender);
      reader.next = number + 1;
      held.push(lane.token);
    }
    lane.finish();
  }

  settle(index: number, which: number): void {
    const { lane, held } = this.#at(index);
    const [token] = held.splice(which % Math.max(held.length, 1), 1);
    if (token === undefined) return;
    lane.settle(token);
    lane.commit();
  }

  /** A consumer dies, is recovered, and another comes. */
  replaceConsumer(index: number): void {
    const reader = this.#at(index);
    reader.consumer.isDead = true;
    expect(recoverIn(this.memory, [reader.consumer])).toHaveLength(1);
    Object.assign(reader, this.#reader(consumerAt(this.memory, reader.consumer.seat)));
  }

  /** Everybody reads and settles everything: then the whole lane is free. */
  drainAll(): void {
    this.#fatal = undefined;
    this.#readers.forEach(({ lane, held }, index) => {
      this.take(index, this.sent.length + 1);
      for (const token of held) lane.settle(token);
      lane.commit();
    });
    for (let i = 0; i < 8; i += 1) {
      const before = this.sent.length;
      this.put(LANE_BYTES_MIN / 4 - 12 - 40);
      expect(this.sent.length, 'there is room').toBe(before + 1);
      this.#readers.forEach((reader, index) => {
        this.take(index, 1);
        reader.lane.settle(reader.held.at(-1) as number);
        reader.lane.commit();
      });
    }
    for (const { consumer } of this.#readers) expect(consumer.faults).toEqual([]);
  }

  #at(index: number): Reader {
    return this.#readers[index % this.#readers.length] as Reader;
  }
}

type Step = (model: TopicModel) => void;
const consumer = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.nat(300).map(
      (length): Step =>
        (model) =>
          model.put(length),
    ),
  },
  {
    weight: 5,
    arbitrary: fc.tuple(consumer, fc.integer({ min: 1, max: 6 })).map(
      ([index, count]): Step =>
        (model) =>
          model.take(index, count),
    ),
  },
  {
    weight: 12,
    arbitrary: fc.tuple(consumer, fc.nat(9)).map(
      ([index, which]): Step =>
        (model) =>
          model.settle(index, which),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom(...FATAL), fc.integer({ min: 1, max: 2 })).map(
      ([name, left]): Step =>
        (model) =>
          model.arm(name, left),
    ),
  },
  { weight: 1, arbitrary: fc.constant((model: TopicModel) => model.replaceProducer()) },
  {
    weight: 1,
    arbitrary: consumer.map(
      (index): Step =>
        (model) =>
          model.replaceConsumer(index),
    ),
  },
);

test.each([
  ['lossless: everybody gets everything', false],
  ['lossy: what is missing is counted, to the message', true],
])('%s, whoever dies wherever', { timeout: 60_000 + RUNS * 20 }, (_, lossy) => {
  let deaths = 0;
  let missed = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...START_POSITIONS),
      fc.integer({ min: 2, max: 3 }),
      fc.array(step, { maxLength: 300, size: 'max' }),
      (position, consumers, steps) => {
        const model = new TopicModel(lossy, consumers, position);
        for (const one of steps) one(model);
        model.drainAll();
        deaths += model.deaths;
        missed += model.missed;
      },
    ),
    { numRuns: RUNS },
  );
  expect(deaths).toBeGreaterThan(RUNS / 10);
  if (lossy) expect(missed).toBeGreaterThan(RUNS);
});

describe.each([
  ['lossless', TOPIC],
  ['lossy', LOSSY],
])('%s: the end of the lane and of the positions', (_, shape) => {
  test('is crossed at every offset', () => {
    for (let before = 0; before < UNITS; before += before < 32 ? 1 : 19) {
      const { memory, consumers } = ringWith(shape, 2, -before);
      const lanes = consumers.map((one) => topicOf(memory, one));
      const writer = writerOf(memory);
      for (let number = 0; number < 100; number += 1) {
        const body = bodyNumber(number, (number * 13 + before) % 90);
        expect(put(memory, writer, body)).toBe(true);
        for (const lane of lanes) expect(drain(lane)).toEqual([body]);
      }
    }
  });
});

test('the longest message finds room in an empty topic at once, whoever sends it and however many are retained', () => {
  for (const retain of [0, 3, 1000]) {
    const { memory } = ringWith({ ...TOPIC, retain }, 0);
    for (let number = 0; number < 400; number += 1) {
      const writer = writerOf(memory, 0, 'a'.repeat(1 + (number % 96)));
      const length = number % 3 === 0 ? writer.maxPayloadBytes : (number * 7) % 300;
      expect(put(memory, writer, bodyNumber(number, length)), `message ${number}, retain ${retain}`).toBe(
        true,
      );
    }
  }
});

test('a lossless producer is held up by the slowest consumer only for as long as that one is there', () => {
  const { memory, consumers } = ringWith(TOPIC, 2);
  const writer = writerOf(memory);
  const [fast] = consumers.map((one) => topicOf(memory, one)) as [TopicLane];
  let sent = 0;
  while (put(memory, writer, bodyNumber(sent, 50))) {
    drain(fast);
    sent += 1;
  }
  expect(sent).toBeGreaterThan(40);
  expect(sent).toBeLessThan(UNITS / 8 + 8);
  const slow = consumers[1] as TestConsumer;
  slow.isDead = true;
  recoverIn(memory, [slow]);
  expect(memory.words[headerWord(HEADER.consumerMask)]).toBe(1);
  expect(put(memory, writer, bodyNumber(sent, 50))).toBe(true);
  expect(drain(fast)).toEqual([bodyNumber(sent, 50)]);
});
