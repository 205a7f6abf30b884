// What the broker takes, as figures: time from an empty start to the first message, memory when idle, for a queue, for a connection
// with a channel, and how it carries ten thousand of them while a canary works. `npm run figures`; the numbers of one run are in
// docs/guide/broker.md.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Broker } from 'naru/broker';
import { AmqpLoad } from '#naru/cli/amqp-load';

const COMMAND = fileURLToPath(new URL('../../dist/cli/index.js', import.meta.url));
const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    starts: { type: 'string', default: '7' },
    queues: { type: 'string', default: '10000' },
    connections: { type: 'string', default: '10000' },
  },
});
/** Connections that are opened at the same time. */
const AT_ONCE = 100;
/** How long memory is left alone before it is looked at. */
const SETTLE_MS = 1500;

interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  readonly readyMs: number;
}

async function start(): Promise<Running> {
  const since = performance.now();
  const ports = ['--port', '0', '--http-port', '0'];
  const args = [COMMAND, 'broker', '--json', '--memory', ...ports, '--max-connections', '15000'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  process.once('exit', () => child.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const { amqp } = JSON.parse(line) as { readonly amqp: number };
  return { child, port: amqp, readyMs: performance.now() - since };
}

async function stop({ child }: Running): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

function rssBytes({ child }: Running): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024;
}

function settle(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, SETTLE_MS);
  });
}

/** Connects, declares, publishes one message and has it back. */
async function firstMessage(port: number): Promise<AmqpLoad> {
  const client = await AmqpLoad.connect(port);
  const came = new Promise<void>((resolve) => {
    client.onBody = () => resolve();
  });
  await client.declare('first');
  await client.consume('first');
  await client.publish('first', 1, () => new Uint8Array(1));
  await came;
  return client;
}

async function startAsProcess(): Promise<number> {
  const since = performance.now();
  const running = await start();
  const client = await firstMessage(running.port);
  const ms = performance.now() - since;
  client.close();
  await stop(running);
  return ms;
}

async function startEmbedded(): Promise<number> {
  const since = performance.now();
  const broker = await Broker.start({ port: 0 });
  const client = await firstMessage(broker.port);
  const ms = performance.now() - since;
  client.close();
  await broker.stop();
  return ms;
}

/** Bytes of memory for each of `count` queues. */
async function memoryOfQueues(count: number): Promise<{ readonly idle: number; readonly each: number }> {
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

interface Crowd {
  readonly opened: number;
  readonly perSecond: number;
  readonly each: number;
  readonly rss: number;
  readonly canaryP50Ms: number;
  readonly canaryP99Ms: number;
}

/** Opens connections with a channel each, and looks how long a canary's messages take when all are there. */
async function memoryOfConnections(count: number): Promise<Crowd> {
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
  const times: number[] = [];
  for (let i = 0; i < 500; i += 1) {
    const sentAt = performance.now();
    const came = new Promise<void>((resolve) => {
      canary.onBody = () => resolve();
    });
    await canary.publish('first', 1, () => new Uint8Array(1));
    await came;
    times.push(performance.now() - sentAt);
  }
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

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

async function repeated(times: number, measure: () => Promise<number>): Promise<number[]> {
  const all: number[] = [];
  for (let i = 0; i < times; i += 1) all.push(await measure());
  return all;
}

const starts = Number(options.starts);
const asProcess = await repeated(starts, startAsProcess);
const embedded = await repeated(starts, startEmbedded);
const queues = await memoryOfQueues(Number(options.queues));
const crowd = await memoryOfConnections(Number(options.connections));
const mib = (bytes: number): number => Math.round(bytes / 1048576);
const rows: readonly (readonly [string, string, string])[] = [
  [
    'empty start to first message, as a process',
    `${Math.round(percentile(asProcess, 0.5))} ms (fastest ${Math.round(Math.min(...asProcess))})`,
    '300 ms',
  ],
  [
    'empty start to first message, embedded',
    `${percentile(embedded, 0.5).toFixed(1)} ms (the first ${(embedded[0] ?? 0).toFixed(1)})`,
    '20 ms',
  ],
  ['memory when idle', `${mib(queues.idle)} MiB`, '80 MB'],
  [`memory of a queue, with ${options.queues}`, `${Math.round(queues.each)} bytes`, '6,000 bytes'],
  [
    `memory of a connection with a channel, with ${crowd.opened}`,
    `${Math.round(crowd.each)} bytes, ${mib(crowd.rss)} MiB in all`,
    '60,000 bytes',
  ],
  ['connections opened in a second', String(Math.round(crowd.perSecond)), '500'],
  [
    'a message and back meanwhile',
    `p50 ${crowd.canaryP50Ms.toFixed(2)} ms, p99 ${crowd.canaryP99Ms.toFixed(2)} ms`,
    'p99 50 ms',
  ],
];
if (options.json) process.stdout.write(`${JSON.stringify({ asProcess, embedded, queues, crowd })}\n`);
else
  for (const [what, figure, goal] of rows)
    process.stdout.write(`${what.padEnd(56)} ${figure.padEnd(36)} goal ${goal}\n`);
process.exit(0);
