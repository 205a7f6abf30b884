// An AMQP broker between a raw publisher and a raw consumer, three processes: throughput.

import { join } from 'node:path';
import { AmqpLoad } from '#naru/cli/amqp-load';
import { Bodies, Check } from '../harness/bodies.ts';
import type { Duel, FarEnd, NearEnd } from '../harness/duel.ts';
import { BROKER_KINDS, type BrokerKind, cpuOf, type Guarantee } from './amqp-kinds.ts';

const QUEUE = 'bench';
async function openConsumer(kind: BrokerKind, guarantee: Guarantee, folder: string): Promise<NearEnd> {
  const running = await kind.start(folder, guarantee);
  const { port, pid } = running;
  const client = await AmqpLoad.connect(port);
  await client.declare(QUEUE, guarantee === 'durable');
  const check = new Check();
  client.onBody = check.touch;
  await (guarantee === 'durable' ? client.consumeAndSettle(QUEUE) : client.consume(QUEUE));
  return {
    address: String(port),
    async run(count) {
      // Before anything else: the publisher does not wait.
      const whole = check.expect(count);
      const before = cpuOf(pid);
      const sample = await whole;
      const nanoseconds = cpuOf(pid) - before;
      return sample.kind === 'throughput'
        ? { ...sample, cpu: { near: nanoseconds / count, far: 0 } }
        : sample;
    },
    async close() {
      client.close();
      await running.stop();
    },
  };
}

async function openProducer(address: string, guarantee: Guarantee, bodyBytes: number): Promise<FarEnd> {
  const client = await AmqpLoad.connect(Number(address));
  if (guarantee === 'durable') await client.askForConfirms();
  const bodies = new Bodies((size) => new Uint8Array(size), bodyBytes, true);
  return {
    run: (count) => client.publish(QUEUE, count, (sequence) => bodies.make(sequence)),
    close: () => {
      client.close();
      return Promise.resolve();
    },
  };
}

export function brokerDuelId(kind: BrokerKind['id'], guarantee: Guarantee, bodyBytes: number): string {
  return `${kind}-broker-${guarantee}-${bodyBytes}`;
}

/** Both brokers under the same load. */
export function brokerDuels(guarantee: Guarantee, bodyBytes: number): readonly Duel[] {
  return BROKER_KINDS.map((kind) => ({
    id: brokerDuelId(kind.id, guarantee, bodyBytes),
    kind: 'throughput',
    label: `${kind.label}, ${bodyBytes} bytes`,
    isNaru: kind.id === 'naru',
    far: 'process',
    serialization: 'json',
    bodyBytes,
    prepare: () => kind.prepare(),
    openNear: ({ folder, name }) => openConsumer(kind, guarantee, join(folder, name)),
    openFar: (_, address) => openProducer(address, guarantee, bodyBytes),
  }));
}
