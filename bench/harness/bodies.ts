// The bodies that every contestant sends and the check that every consumer makes: the same work on both sides of all of
// them, so that only the way between differs.

import type { Sample } from './duel.ts';

export const BODY_BYTES = 64;
/** Bodies that are used in turn. More than any contestant holds without having copied them; the check would notice. */
const POOL = 2048;
/** Of large bodies there are fewer. */
const POOL_BYTES_MAX = 1024 * 1024;
const POOL_MIN = 2;

/** The producer's bodies: the number of the message in the first four bytes, anything in the rest. */
export class Bodies<B extends Uint8Array = Uint8Array> {
  readonly #pool: readonly B[];

  /**
   * @param allocate  for contestants whose interface wants bytes of a special class
   * @param isCopiedAtOnce  the contestant copies each body before it asks for the next: one is enough, as for the rivals in C
   */
  constructor(
    allocate: (sizeBytes: number) => B = (sizeBytes) => new Uint8Array(sizeBytes) as B,
    sizeBytes = BODY_BYTES,
    isCopiedAtOnce = false,
  ) {
    const length = isCopiedAtOnce
      ? 1
      : Math.min(POOL, Math.max(POOL_MIN, Math.floor(POOL_BYTES_MAX / sizeBytes)));
    this.#pool = Array.from({ length }, () => allocate(sizeBytes).fill(1));
  }

  /** The body of message `sequence`; it may be overwritten 2,048 messages later, large ones sooner. */
  make(sequence: number): B {
    const body = this.#pool[sequence % this.#pool.length] as B;
    body[0] = sequence;
    body[1] = sequence >>> 8;
    body[2] = sequence >>> 16;
    body[3] = sequence >>> 24;
    return body;
  }

  /** Messages 0 to `count` - 1. */
  *first(count: number): Generator<B, undefined> {
    for (let sequence = 0; sequence < count; sequence += 1) yield this.make(sequence);
    return undefined;
  }
}

/** The number that a body carries. */
export function sequenceOf(body: Uint8Array): number {
  return (
    (body[0] as number) |
    ((body[1] as number) << 8) |
    ((body[2] as number) << 16) |
    ((body[3] as number) << 24)
  );
}

/** Counts what a consumer gets, checks its order, and takes the time from the first message to the last. */
export class Check {
  #next = 0;
  #count = 0;
  #sum = 0;
  #started = 0n;
  #resolve: ((sample: Sample) => void) | undefined;
  #reject: ((error: Error) => void) | undefined;

  /** When the first message came, by process.hrtime. */
  get started(): bigint {
    return this.#started;
  }

  /** Resolves when messages 0 to `count` - 1 have come, each once and in order. */
  expect(count: number): Promise<Sample> {
    this.#next = 0;
    this.#count = count;
    this.#sum = 0;
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** The consumer has a message: looks at both ends of its body. */
  readonly touch = (body: Uint8Array): void => {
    this.touchFields(sequenceOf(body), body[body.length - 1] as number);
  };

  /** The same for bodies that are not bytes. */
  touchFields(sequence: number, last: number): void {
    if (sequence !== this.#next || last === 0) this.#fail(sequence, last);
    if (sequence === 0) this.#started = process.hrtime.bigint();
    this.#next = sequence + 1;
    this.#sum += last;
    if (this.#next === this.#count) this.#finish();
  }

  #fail(sequence: number, last: number): void {
    this.#reject?.(
      new Error(`expected message ${this.#next}, got ${sequence} with ${last} as its last byte`),
    );
    this.#reject = undefined;
  }

  #finish(): void {
    const nanoseconds = Number(process.hrtime.bigint() - this.#started);
    if (this.#sum < this.#count) this.#fail(this.#next, 0);
    this.#resolve?.({ kind: 'throughput', messages: this.#count, nanoseconds });
    this.#resolve = undefined;
  }
}

/** The median and the 99th percentile of times in microseconds; sorts them. */
export function latencySample(times: Float64Array, roundTrips: number): Sample {
  times.sort();
  const at = (share: number): number => times[Math.floor((times.length - 1) * share)] as number;
  return { kind: 'latency', roundTrips, p50Us: at(0.5), p99Us: at(0.99) };
}

/**
 * The same for round trips that take hardly longer than a look at the clock: one look for each `aTime` of them.
 *
 * @param ways  how many ways a trip has: 2 reports the time of one way
 */
export function timedInBatches(count: number, aTime: number, ways: number, trip: () => void): Sample {
  const times = new Float64Array(Math.ceil(count / aTime));
  for (let index = 0; index < times.length; index += 1) {
    const started = process.hrtime.bigint();
    for (let trips = 0; trips < aTime; trips += 1) trip();
    times[index] = Number(process.hrtime.bigint() - started) / 1000 / aTime / ways;
  }
  return latencySample(times, times.length * aTime);
}

/** Makes `count` round trips one after the other and takes the time of each. */
export async function pingPong(count: number, roundTrip: () => Promise<void> | undefined): Promise<Sample> {
  const times = new Float64Array(count);
  for (let index = 0; index < count; index += 1) {
    const started = process.hrtime.bigint();
    const wait = roundTrip();
    if (wait !== undefined) await wait;
    times[index] = Number(process.hrtime.bigint() - started) / 1000;
  }
  return latencySample(times, count);
}
