// An AMQP broker with ten queues at once, each with a publisher and a consumer on connections of their own: all publishers in one
// process, all consumers in another.

import { join } from 'node:path';
import { AmqpLoad } from '#naru/cli/amqp-load';
import { Bodies, Check } from '../harness/bodies.ts';
import type { Duel, FarEnd, NearEnd, Sample } from '../harness/duel.ts';
import { BROKER_KINDS, type BrokerKind, cpuOf } from './amqp-kinds.ts';

const QUEUES = Array.from({ length: 10 }, (_, index) => `bench-${index}`);
const BODY_BYTES = 128;

interface Taker {
  readonly client: AmqpLoad;
  readonly check: Check;
}

async function openTaker(port: number, queue: string): Promise<Taker> {
  const client = await AmqpLoad.connect(port);
  await client.declare(queue);
  const check = new Check();
  client.onBody = check.touch;
  await client.consume(queue);
  return { client, check };
}

async function openConsumers(kind: BrokerKind, folder: string): Promise<NearEnd> {
  const running = await kind.start(folder, 'transient');
  const takers: Taker[] = [];
  for (const queue of QUEUES) takers.push(await openTaker(running.port, queue));
  return {
    address: String(running.port),
    async run(count) {
      const each = shareOf(count);
      const all = takers.map(({ check }) => check.expect(each));
      const before = cpuOf(running.pid);
      const samples: readonly Sample[] = await Promise.all(all);
      const ended = process.hrtime.bigint();
      const broker = cpuOf(running.pid) - before;
      const messages = samples.length * each;
      const began = takers.reduce(
        (least, { check: { started } }) => (started < least ? started : least),
        ended,
      );
      return {
        kind: 'throughput',
        messages,
        nanoseconds: Number(ended - began),
        cpu: { near: broker / messages, far: 0 },
      };
    },
    async close() {
      for (const { client } of takers) client.close();
      await running.stop();
    },
  };
}

async function openProducers(address: string): Promise<FarEnd> {
  const clients = await Promise.all(QUEUES.map(() => AmqpLoad.connect(Number(address))));
  const bodies = new Bodies((size) => new Uint8Array(size), BODY_BYTES, true);
  const make = (sequence: number): Uint8Array => bodies.make(sequence);
  return {
    async run(count) {
      await Promise.all(
        clients.map((client, index) => client.publish(QUEUES[index] as string, shareOf(count), make)),
      );
    },
    close() {
      for (const client of clients) client.close();
      return Promise.resolve();
    },
  };
}

function shareOf(count: number): number {
  return Math.ceil(count / QUEUES.length);
}

export function crowdId(kind: BrokerKind['id']): string {
  return `${kind}-broker-crowd-${BODY_BYTES}`;
}

/** Both brokers under the same load. */
export const CROWD_DUELS: readonly Duel[] = BROKER_KINDS.map((kind) => ({
  id: crowdId(kind.id),
  kind: 'throughput',
  label: `${kind.label}, ${BODY_BYTES} bytes, ten queues`,
  isNaru: kind.id === 'naru',
  far: 'process',
  serialization: 'json',
  bodyBytes: BODY_BYTES,
  prepare: () => kind.prepare(),
  openNear: ({ folder, name }) => openConsumers(kind, join(folder, name)),
  openFar: (_, address) => openProducers(address),
}));
