// Naru's broker between a raw publisher and a raw consumer: three processes.

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Bodies, Check } from '../harness/bodies.ts';
import type { Duel, FarEnd, NearEnd } from '../harness/duel.ts';
import { AmqpLoad } from '#naru/cli/amqp-load';

const QUEUE = 'bench';

interface Said {
  readonly port?: number;
  readonly cpuMicros?: number;
}

async function said(broker: ChildProcess): Promise<Said> {
  const [message] = (await once(broker, 'message')) as [Said];
  return message;
}

async function cpuOf(broker: ChildProcess): Promise<number> {
  broker.send('cpu');
  return (await said(broker)).cpuMicros ?? 0;
}

async function openConsumer(): Promise<NearEnd> {
  const broker = fork(fileURLToPath(new URL('broker-process.js', import.meta.url)));
  const { port = 0 } = await said(broker);
  const client = await AmqpLoad.connect(port);
  await client.declare(QUEUE);
  const check = new Check();
  client.onBody = check.touch;
  await client.consume(QUEUE);
  return {
    address: String(port),
    async run(count) {
      // Before anything else: the publisher does not wait.
      const whole = check.expect(count);
      const before = await cpuOf(broker);
      const sample = await whole;
      const nanoseconds = ((await cpuOf(broker)) - before) * 1000;
      return sample.kind === 'throughput'
        ? { ...sample, cpu: { near: nanoseconds / count, far: 0 } }
        : sample;
    },
    async close() {
      client.close();
      const gone = once(broker, 'exit');
      broker.disconnect();
      await gone;
    },
  };
}

async function openProducer(address: string, bodyBytes: number): Promise<FarEnd> {
  const client = await AmqpLoad.connect(Number(address));
  const bodies = new Bodies((size) => new Uint8Array(size), bodyBytes, true);
  return {
    run: (count) => client.publish(QUEUE, count, (sequence) => bodies.make(sequence)),
    close: () => {
      client.close();
      return Promise.resolve();
    },
  };
}

function flow(bodyBytes: number): Duel {
  return {
    id: `naru-broker-${bodyBytes}`,
    kind: 'throughput',
    label: `Naru's broker, ${bodyBytes} bytes, not durable, no acks`,
    isNaru: true,
    far: 'process',
    serialization: 'json',
    bodyBytes,
    openNear: openConsumer,
    openFar: (_, address) => openProducer(address, bodyBytes),
  };
}

export const naruBroker: readonly Duel[] = [flow(128), flow(1024)];
