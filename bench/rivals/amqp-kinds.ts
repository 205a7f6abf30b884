// The brokers that are compared, each in a process of its own: Naru's, and RabbitMQ from Debian's packages.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startEngine } from '#naru/engines/engine.fixture';
import { rabbitmq } from '#naru/engines/rabbitmq.fixture';

/** What the kernel counts the time of processes in: sysconf(_SC_CLK_TCK) is 100 on every Linux. */
const NANOSECONDS_A_TICK = 10_000_000;

/** What a message is promised: nothing, or that it is on the disk when it is confirmed, and settled when it was taken. */
export type Guarantee = 'transient' | 'durable';

/** A broker that runs. */
export interface Running {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** A kind of broker. */
export interface BrokerKind {
  readonly id: 'naru' | 'rabbitmq';
  readonly label: string;
  /** Rejects when it cannot run here. */
  prepare(): Promise<void>;
  start(folder: string, guarantee: Guarantee): Promise<Running>;
}

const naru: BrokerKind = {
  id: 'naru',
  label: "Naru's broker",
  prepare: () => Promise.resolve(),
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
  async prepare() {
    if (rabbitmq.program() === undefined)
      throw new Error('RabbitMQ is not installed: npm run test:engines -- rabbitmq installs it');
  },
  async start() {
    const running = await startEngine(rabbitmq);
    return { port: running.site.port, pid: running.pid as number, stop: () => running.stop() };
  },
};

export const BROKER_KINDS: readonly BrokerKind[] = [naru, rabbit];

/** Processor time of a process so far, all threads, in nanoseconds. */
export function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * NANOSECONDS_A_TICK;
}
