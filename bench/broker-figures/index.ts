// What the broker takes, as figures: time from an empty start to the first message, memory when idle, for a queue, for a connection
// with a channel, how it carries ten thousand of them while a canary works, and what a backlog of a million messages on a folder
// costs. `npm run figures`; the numbers of one run are in docs/guide/broker.md.

import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { backlogOf, type Backlog, type Start } from './backlog.ts';
import { memoryOfConnections, memoryOfQueues, type Crowd, type Queues } from './crowds.ts';
import { percentile } from './running.ts';
import { repeated, startAsProcess, startEmbedded } from './starts.ts';

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    starts: { type: 'string', default: '7' },
    queues: { type: 'string', default: '10000' },
    connections: { type: 'string', default: '10000' },
    backlog: { type: 'string', default: '1000000' },
  },
});

/** What, the figure, the goal. */
type Row = readonly [string, string, string];

const mib = (bytes: number): number => Math.round(bytes / 1048576);

function startRows(asProcess: readonly number[], embedded: readonly number[]): Row[] {
  const fastest = Math.round(Math.min(...asProcess));
  return [
    [
      'empty start to first message, as a process',
      `${Math.round(percentile(asProcess, 0.5))} ms (fastest ${fastest})`,
      '300 ms',
    ],
    [
      'empty start to first message, embedded',
      `${percentile(embedded, 0.5).toFixed(1)} ms (the first ${(embedded[0] ?? 0).toFixed(1)})`,
      '20 ms',
    ],
  ];
}

function queueRows({ idle, each }: Queues): Row[] {
  return [
    ['memory when idle', `${mib(idle)} MiB`, '80 MB'],
    [`memory of a queue, with ${options.queues}`, `${Math.round(each)} bytes`, '6,000 bytes'],
  ];
}

function crowdRows({ opened, each, rss, perSecond, canaryP50Ms, canaryP99Ms }: Crowd): Row[] {
  return [
    [
      `memory of a connection with a channel, with ${opened}`,
      `${Math.round(each)} bytes, ${mib(rss)} MiB in all`,
      '60,000 bytes',
    ],
    ['connections opened in a second', String(Math.round(perSecond)), '500'],
    [
      'a message and back meanwhile',
      `p50 ${canaryP50Ms.toFixed(2)} ms, p99 ${canaryP99Ms.toFixed(2)} ms`,
      'p99 50 ms',
    ],
  ];
}

function startText({ readyMs, cpuMs }: Start): string {
  return `${Math.round(readyMs)} ms (processor time ${Math.round(cpuMs)})`;
}

function backlogRows(backlog: Backlog): Row[] {
  const { messages, filledPerSecond, drainedPerSecond, heldEach, residentEach, cleanStart, dirtyStart } =
    backlog;
  const name = `backlog of ${messages.toLocaleString('en')} on a folder`;
  return [
    [
      `${name}: memory beyond bodies`,
      `${heldEach.toFixed(1)} bytes a message, resident ${residentEach.toFixed(1)}`,
      '48 bytes',
    ],
    [`${name}: in, confirmed`, `${Math.round(filledPerSecond)} msg/s`, ''],
    [`${name}: out, settled`, `${Math.round(drainedPerSecond)} msg/s`, 'no slower than in'],
    [`${name}: start after a clean stop`, startText(cleanStart), '3,000 ms'],
    [
      `${name}: start after a kill`,
      startText(dirtyStart),
      `${Math.round(messages / 50).toLocaleString('en')} ms`,
    ],
  ];
}

const loads = [loadavg()[0] ?? 0];
const starts = Number(options.starts);
const asProcess = starts > 0 ? await repeated(starts, startAsProcess) : undefined;
const embedded = starts > 0 ? await repeated(starts, startEmbedded) : undefined;
const queues = Number(options.queues) > 0 ? await memoryOfQueues(Number(options.queues)) : undefined;
const crowd =
  Number(options.connections) > 0 ? await memoryOfConnections(Number(options.connections)) : undefined;
const backlog = Number(options.backlog) > 0 ? await backlogOf(Number(options.backlog)) : undefined;
loads.push(loadavg()[0] ?? 0);
const rows = [
  ...(asProcess === undefined || embedded === undefined ? [] : startRows(asProcess, embedded)),
  ...(queues === undefined ? [] : queueRows(queues)),
  ...(crowd === undefined ? [] : crowdRows(crowd)),
  ...(backlog === undefined ? [] : backlogRows(backlog)),
];
if (options.json)
  process.stdout.write(`${JSON.stringify({ loads, asProcess, embedded, queues, crowd, backlog })}\n`);
else {
  for (const [what, figure, goal] of rows)
    process.stdout.write(`${what.padEnd(62)} ${figure.padEnd(36)} ${goal === '' ? '' : `goal ${goal}`}\n`);
  process.stdout.write(`load average ${loads.map((load) => load.toFixed(1)).join(' before, ')} after\n`);
}
process.exit(0);
