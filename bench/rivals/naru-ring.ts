// Naru's ring by itself, without mailbox, seats or doorbell: LaneWriter and LaneReader over a mapped file, both ends spinning.
// What bench/rivals/c/ring.c does, in TypeScript.

import { closeSync, ftruncateSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '#naru/native/index';
import { LaneReader } from '#naru/ring/lane-reader';
import { LaneWriter } from '#naru/ring/lane-writer';
import { geometryOf, ringMemory, writeHeader } from '#naru/ring/memory';
import type { RingMemory } from '#naru/ring/memory';
import { SlabSource } from '#naru/ring/slab';
import { BODY_BYTES, Check, timedInBatches } from '../harness/bodies.ts';
import type { Duel, DuelContext, FarEnd, NearEnd } from '../harness/duel.ts';
import { nextTurn, Patience } from './turn.ts';

/** Messages between two stores of the tail or of the head; ring.c has the same number. */
const BURST = 256;
const LANE_BYTES = 1024 * 1024;
/** Round trips that one look at the clock covers. */
const TRIPS_A_TIME = 100;
/** One lane there, one back. */
const THERE = 0;
const BACK = 1;
const BODY_WORDS = BODY_BYTES / 4;

function map(path: string, isNew: boolean): RingMemory {
  const shape = { relation: 'N:1', owner: 'users', laneBytes: LANE_BYTES, slotBytes: 0 } as const;
  const geometry = geometryOf({ ...shape, maxMessageBytes: LANE_BYTES / 8 }, 0);
  const fd = openSync(path, isNew ? 'wx+' : 'r+', 0o600);
  try {
    if (isNew) ftruncateSync(fd, geometry.fileBytes);
    const buffer = native('the benchmark of the ring').map(fd, geometry.fileBytes, false);
    const memory = ringMemory(buffer, geometry);
    if (isNew) writeHeader(memory);
    return memory;
  } finally {
    closeSync(fd);
  }
}

/** One side of a lane for messages of BODY_BYTES. */
class Producer {
  readonly #memory: RingMemory;
  readonly #writer: LaneWriter;
  readonly #body = new Int32Array(BODY_WORDS).fill(0x01010101);
  readonly #patience = new Patience();

  constructor(memory: RingMemory, lane: number) {
    this.#memory = memory;
    this.#writer = new LaneWriter(memory, lane, Buffer.from('1.2.3/4', 'latin1'));
  }

  /** Writes one message. @returns false while there is no room */
  put(sequence: number): boolean {
    const writer = this.#writer;
    let at = writer.reserve(BODY_BYTES, 0);
    if (at < 0) {
      if (!writer.admit(writer.loadHead())) throw new Error('the head is impossible');
      at = writer.reserve(BODY_BYTES, 0);
      if (at < 0) return false;
    }
    const { words } = this.#memory;
    const body = this.#body;
    const word = at >>> 2;
    words[word] = sequence;
    for (let index = 1; index < BODY_WORDS; index += 1) words[word + index] = body[index] as number;
    return true;
  }

  /** Writes one message and publishes it, spinning while there is no room. */
  putSurely(sequence: number): void {
    while (!this.put(sequence)) this.#patience.spin();
    this.#patience.reset();
    this.#writer.publish();
  }

  produce(count: number): void {
    for (let sequence = 0; sequence < count; ) {
      const end = Math.min(sequence + BURST, count);
      const from = sequence;
      while (sequence < end && this.put(sequence)) sequence += 1;
      if (sequence > from) {
        this.#writer.publish();
        this.#patience.reset();
      } else this.#patience.spin();
    }
  }
}

class Consumer {
  readonly #reader: LaneReader;
  readonly #patience = new Patience();

  constructor(memory: RingMemory, lane: number) {
    this.#reader = new LaneReader(memory, lane, new SlabSource(), {
      fault: (error) => {
        throw error;
      },
      failpoint: () => undefined,
    });
  }

  consume(count: number, check: Check): void {
    const reader = this.#reader;
    const { ledger } = reader;
    for (let done = 0; done < count; ) {
      let burst = 0;
      let first = 0;
      for (; burst < BURST && reader.next(); burst += 1) {
        if (burst === 0) first = reader.token;
        const { slab, payloadOffset } = reader;
        check.touchFields(
          slab.words[payloadOffset >>> 2] as number,
          slab.bytes[payloadOffset + reader.payloadBytes - 1] as number,
        );
      }
      if (burst === 0) {
        this.#patience.spin();
        continue;
      }
      this.#patience.reset();
      ledger.publishTaken();
      for (let token = first; token < first + burst; token += 1) ledger.settle(token);
      ledger.commit();
      done += burst;
    }
  }

  /** Spins until a message is there and takes it. */
  await(): void {
    const reader = this.#reader;
    while (!reader.next()) this.#patience.spin();
    this.#patience.reset();
    const { slab, payloadOffset, payloadBytes, ledger } = reader;
    const ends =
      (slab.words[payloadOffset >>> 2] as number) + (slab.bytes[payloadOffset + payloadBytes - 1] as number);
    if (ends !== 2) throw new Error(`a ball whose ends add up to ${ends}`);
    ledger.publishTaken();
    ledger.settle(reader.token);
    ledger.commit();
  }
}

function fileOf({ name }: DuelContext): string {
  return join(process.env['NARU_RUNTIME_DIR'] ?? '/dev/shm', `${name}.ring`);
}

async function openConsumer(context: DuelContext): Promise<NearEnd> {
  const address = fileOf(context);
  const consumer = new Consumer(map(address, true), THERE);
  const check = new Check();
  return {
    address,
    run: async (count) => {
      const sample = check.expect(count);
      // From here on this thread only spins: the far end must have its command first.
      await nextTurn();
      consumer.consume(count, check);
      return sample;
    },
    close: async () => rmSync(address, { force: true }),
  };
}

async function openProducer(address: string): Promise<FarEnd> {
  const producer = new Producer(map(address, false), THERE);
  return { run: async (count) => producer.produce(count), close: async () => undefined };
}

async function openPing(context: DuelContext): Promise<NearEnd> {
  const address = fileOf(context);
  const memory = map(address, true);
  const there = new Producer(memory, THERE);
  const back = new Consumer(memory, BACK);
  const trip = (): void => {
    there.putSurely(1);
    back.await();
  };
  return {
    address,
    run: async (count) => {
      await nextTurn();
      return timedInBatches(count, TRIPS_A_TIME, 2, trip);
    },
    close: async () => rmSync(address, { force: true }),
  };
}

async function openPong(address: string): Promise<FarEnd> {
  const memory = map(address, false);
  const there = new Consumer(memory, THERE);
  const back = new Producer(memory, BACK);
  return {
    run: async (count) => {
      const trips = Math.ceil(count / TRIPS_A_TIME) * TRIPS_A_TIME;
      for (let trip = 0; trip < trips; trip += 1) {
        there.await();
        back.putSurely(1);
      }
    },
    close: async () => undefined,
  };
}

const common = { isNaru: true, far: 'process', serialization: 'json' } as const;

export const naruRingFlow: Duel = {
  ...common,
  id: 'naru-ring-burst',
  kind: 'throughput',
  label: "Naru's ring in TypeScript",
  openNear: openConsumer,
  openFar: (_, address) => openProducer(address),
};

export const naruRingPing: Duel = {
  ...common,
  id: 'naru-ring-handoff',
  kind: 'latency',
  label: "Naru's ring in TypeScript",
  openNear: openPing,
  openFar: (_, address) => openPong(address),
};
