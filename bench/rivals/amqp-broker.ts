// An AMQP broker between a raw publisher and a raw consumer, three processes: Naru's, and RabbitMQ from Debian's packages.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AmqpLoad } from '#naru/cli/amqp-load';
import { startEngine } from '#naru/engines/engine.fixture';
import { rabbitmq } from '#naru/engines/rabbitmq.fixture';
import { Bodies, Check } from '../harness/bodies.ts';
import type { Duel, FarEnd, NearEnd } from '../harness/duel.ts';

const QUEUE = 'bench';
/** What the kernel counts the time of processes in: sysconf(_SC_CLK_TCK) is 100 on every Linux. */
const NANOSECONDS_A_TICK = 10_000_000;

/** What a message is promised: nothing, or that it is on the disk when it is confirmed, and settled when it was taken. */
export type Guarantee = 'transient' | 'durable';

/** A broker that runs. */
interface Running {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** A kind of broker. */
export interface BrokerKind {
  readonly id: 'naru' | 'rabbitmq';
  readonly label: string;
  start(folder: string, guarantee: Guarantee): Promise<Running>;
}

const naru: BrokerKind = {
  id: 'naru',
  label: "Naru's broker",
  async start(folder, guarantee) {
    const file = fileURLToPath(new URL('broker-process.js', import.meta.url));
    const child = fork(file, guarantee === 'durable' ? [folder] : []);
    const [{ port }] = (await once(child, 'message')) as [{ readonly port: number }];
    return {
      port,
      pid: child.pid as number,
      async stop() {
        const gone = once(child, 'exit');
        child.disconnect();
        await gone;
      },
    };
  },
};

const rabbit: BrokerKind = {
  id: 'rabbitmq',
  label: 'RabbitMQ',
  async start() {
    const running = await startEngine(rabbitmq);
    return { port: running.site.port, pid: running.pid as number, stop: () => running.stop() };
  },
};

/** Processor time of a process so far, all threads. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * NANOSECONDS_A_TICK;
}

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
  return [naru, rabbit].map((kind) => ({
    id: brokerDuelId(kind.id, guarantee, bodyBytes),
    kind: 'throughput',
    label: `${kind.label}, ${bodyBytes} bytes`,
    isNaru: kind.id === 'naru',
    far: 'process',
    serialization: 'json',
    bodyBytes,
    async prepare() {
      if (kind.id === 'rabbitmq' && rabbitmq.program() === undefined)
        throw new Error('RabbitMQ is not installed: npm run test:engines -- rabbitmq installs it');
    },
    openNear: ({ folder, name }) => openConsumer(kind, guarantee, join(folder, name)),
    openFar: (_, address) => openProducer(address, guarantee, bodyBytes),
  }));
}
