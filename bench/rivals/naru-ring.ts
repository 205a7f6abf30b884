// Naru's ring by itself, without mailbox, seats or doorbell: LaneWriter and LaneReader over a mapped file, both ends spinning.
// What bench/rivals/c/ring.c does, in TypeScript.

import { closeSync, ftruncateSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '#naru/native/index';
import { ExclusiveLane } from '#naru/ring/exclusive-lane';
import { LaneWriter } from '#naru/ring/lane-writer';
import { geometryOf, ringMemory, writeHeader } from '#naru/ring/memory';
import type { RingMemory } from '#naru/ring/memory';
import { type MessageMemory, SLAB_BYTES, type Slabs } from '#naru/ring/slab';
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
  const geometry = geometryOf(
    {
      relation: 'N:1',
      deliver: 'one',
      lossy: false,
      levels: 1,
      retain: 0,
      owner: 'users',
      laneBytes: LANE_BYTES,
      slotBytes: 0,
      maxMessageBytes: LANE_BYTES / 8,
    },
    0,
  );
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

/** Unrolled: a loop over two typed arrays takes five times as long as memcpy(3). */
function copyEight(to: Int32Array, at: number, from: Int32Array, index: number): void {
  to[at] = from[index] as number;
  to[at + 1] = from[index + 1] as number;
  to[at + 2] = from[index + 2] as number;
  to[at + 3] = from[index + 3] as number;
  to[at + 4] = from[index + 4] as number;
  to[at + 5] = from[index + 5] as number;
  to[at + 6] = from[index + 6] as number;
  to[at + 7] = from[index + 7] as number;
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
      if (!writer.findRoom()) throw new Error('the head is impossible');
      at = writer.reserve(BODY_BYTES, 0);
      if (at < 0) return false;
    }
    const { words } = this.#memory;
    const body = this.#body;
    const word = at >>> 2;
    for (let index = 0; index < BODY_WORDS; index += 8) copyEight(words, word + index, body, index);
    words[word] = sequence;
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

/** Private memory that is written over again: messages are looked at once and forgotten, as in ring.c. */
class OneSlab implements Slabs {
  readonly slab: MessageMemory;
  #used = 0;

  constructor() {
    const buffer = new ArrayBuffer(SLAB_BYTES);
    const [bytes, words, view] = [new Uint8Array(buffer), new Int32Array(buffer), new DataView(buffer)];
    this.slab = { buffer, bytes, words, view, isMapped: false };
  }

  get remaining(): number {
    return SLAB_BYTES - this.#used;
  }

  reserve(sizeBytes: number): number {
    if (sizeBytes > this.remaining) this.#used = 0;
    const start = this.#used;
    this.#used += sizeBytes;
    return start;
  }
}

class Consumer {
  readonly #lane: ExclusiveLane;
  readonly #patience = new Patience();

  constructor(memory: RingMemory, lane: number) {
    this.#lane = new ExclusiveLane(memory, lane, new OneSlab(), {
      fault: (error) => {
        throw error;
      },
      failpoint: () => undefined,
    });
  }

  consume(count: number, check: Check): void {
    const lane = this.#lane;
    const { reader } = lane;
    for (let done = 0; done < count; ) {
      let burst = 0;
      let first = 0;
      for (; burst < BURST && lane.next(); burst += 1) {
        if (burst === 0) first = lane.token;
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
      lane.finish();
      for (let token = first; token < first + burst; token += 1) lane.settle(token);
      lane.commit();
      done += burst;
    }
  }

  /** Spins until a message is there and takes it. */
  await(): void {
    const lane = this.#lane;
    while (!lane.next()) this.#patience.spin();
    this.#patience.reset();
    const { slab, payloadOffset, payloadBytes } = lane.reader;
    const ends =
      (slab.words[payloadOffset >>> 2] as number) + (slab.bytes[payloadOffset + payloadBytes - 1] as number);
    if (ends !== 2) throw new Error(`a ball whose ends add up to ${ends}`);
    lane.finish();
    lane.settle(lane.token);
    lane.commit();
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
