// How long a message takes from a publisher over an AMQP broker to a consumer, three processes, at a steady rate: the publisher
// writes the time into each body, by the clock that all processes of a machine share.

import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { AmqpLoad } from '#naru/cli/amqp-load';
import { latencySample } from '../harness/bodies.ts';
import type { Duel, FarEnd, NearEnd, Sample } from '../harness/duel.ts';
import { BROKER_KINDS, type BrokerKind } from './amqp-kinds.ts';

const QUEUE = 'bench';
const BODY_BYTES = 128;
export const RATE = 5000;
const NANOSECONDS_APART = BigInt(1e9 / RATE);

/** Takes the time of each message until there are enough. */
class Stopwatch {
  #times = new Float64Array();
  #count = 0;
  #resolve: ((sample: Sample) => void) | undefined;

  expect(count: number): Promise<Sample> {
    this.#times = new Float64Array(count);
    this.#count = 0;
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  readonly touch = (body: Uint8Array): void => {
    const sentAt = new DataView(body.buffer, body.byteOffset).getBigUint64(0);
    this.#times[this.#count] = Number(process.hrtime.bigint() - sentAt) / 1000;
    this.#count += 1;
    if (this.#count === this.#times.length) this.#resolve?.(latencySample(this.#times, this.#count));
  };
}

async function openConsumer(kind: BrokerKind, folder: string): Promise<NearEnd> {
  const running = await kind.start(folder, 'transient');
  const client = await AmqpLoad.connect(running.port);
  await client.declare(QUEUE);
  const stopwatch = new Stopwatch();
  client.onBody = stopwatch.touch;
  await client.consume(QUEUE);
  return {
    address: String(running.port),
    run: (count) => stopwatch.expect(count),
    async close() {
      client.close();
      await running.stop();
    },
  };
}

async function openProducer(address: string): Promise<FarEnd> {
  const client = await AmqpLoad.connect(Number(address));
  const body = new Uint8Array(BODY_BYTES);
  const view = new DataView(body.buffer);
  const stamped = (): Uint8Array => {
    view.setBigUint64(0, process.hrtime.bigint());
    return body;
  };
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  return {
    async run(count) {
      let due = process.hrtime.bigint();
      for (let sent = 0; sent < count; sent += 1, due += NANOSECONDS_APART) {
        // A timer of Node's counts in milliseconds; this thread has nothing else to do.
        const early = Number(due - process.hrtime.bigint()) / 1e6;
        if (early > 0) Atomics.wait(sleeper, 0, 0, early);
        await client.publish(QUEUE, 1, stamped);
        await setImmediate();
      }
    },
    close() {
      client.close();
      return Promise.resolve();
    },
  };
}

export function latencyId(kind: BrokerKind['id']): string {
  return `${kind}-broker-latency-${BODY_BYTES}`;
}

/** Both brokers under the same load. */
export const LATENCY_DUELS: readonly Duel[] = BROKER_KINDS.map((kind) => ({
  id: latencyId(kind.id),
  kind: 'latency',
  label: `${kind.label}, ${BODY_BYTES} bytes`,
  isNaru: kind.id === 'naru',
  far: 'process',
  serialization: 'json',
  bodyBytes: BODY_BYTES,
  prepare: () => kind.prepare(),
  openNear: ({ folder, name }) => openConsumer(kind, join(folder, name)),
  openFar: (_, address) => openProducer(address),
}));
