// Memory of many queues and of many connections, and how a canary fares among them.

import { AmqpLoad } from '#naru/cli/amqp-load';
import { firstMessage, percentile, rssBytes, settle, start, stop } from './running.ts';

/** Connections that are opened at the same time. */
const AT_ONCE = 100;
const CANARY_MESSAGES = 500;

export interface Queues {
  /** Memory before. */
  readonly idle: number;
  readonly each: number;
}

export async function memoryOfQueues(count: number): Promise<Queues> {
  const running = await start();
  await settle();
  const idle = rssBytes(running);
  const client = await AmqpLoad.connect(running.port);
  for (let i = 0; i < count; i += 1) await client.declare(`queue-${i}`);
  await settle();
  const each = (rssBytes(running) - idle) / count;
  client.close();
  await stop(running);
  return { idle, each };
}

export interface Crowd {
  readonly opened: number;
  readonly perSecond: number;
  readonly each: number;
  readonly rss: number;
  readonly canaryP50Ms: number;
  readonly canaryP99Ms: number;
}

/** Opens connections with a channel each, and looks how long a canary's messages take when all are there. */
export async function memoryOfConnections(count: number): Promise<Crowd> {
  const running = await start();
  const canary = await firstMessage(running.port);
  await settle();
  const before = rssBytes(running);
  const clients: AmqpLoad[] = [];
  const since = performance.now();
  while (clients.length < count) {
    const some = Math.min(AT_ONCE, count - clients.length);
    clients.push(...(await Promise.all(Array.from({ length: some }, () => AmqpLoad.connect(running.port)))));
  }
  const perSecond = (count * 1000) / (performance.now() - since);
  await settle();
  const rss = rssBytes(running);
  const times = await roundTrips(canary);
  for (const client of [...clients, canary]) client.close();
  await stop(running);
  return {
    opened: clients.length,
    perSecond,
    each: (rss - before) / count,
    rss,
    canaryP50Ms: percentile(times, 0.5),
    canaryP99Ms: percentile(times, 0.99),
  };
}

async function roundTrips(canary: AmqpLoad): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < CANARY_MESSAGES; i += 1) {
    const sentAt = performance.now();
    const came = new Promise<void>((resolve) => {
      canary.onBody = () => resolve();
    });
    await canary.publish('first', 1, () => new Uint8Array(1));
    await came;
    times.push(performance.now() - sentAt);
  }
  return times;
}
