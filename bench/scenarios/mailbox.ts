// The scenario `mailbox`: 64-byte messages from one producer to one consumer, through Naru's public API and through what one
// would use instead, in one run. And how long a message and its answer take.

import { BODY_BYTES } from '../harness/bodies.ts';
import { observeConditions } from '../harness/conditions.ts';
import { type Result, runRounds } from '../harness/rounds.ts';
import { DUELS } from '../rivals/index.ts';
import type { Goal, LatencyRow, Report, Scenario, ScenarioOptions, ThroughputRow } from './scenario.ts';

const ROUNDS = 5;
const ROUND_TRIPS = 3000;
const ROUND_TRIPS_QUICK = 500;

async function run({ quick, secondsPerRound, only, progress }: ScenarioOptions): Promise<Report> {
  const conditions = observeConditions();
  const chosen = DUELS.filter(({ id }) => only.length === 0 || only.some((text) => id.includes(text)));
  const options = {
    rounds: ROUNDS,
    secondsPerRound,
    roundTrips: quick ? ROUND_TRIPS_QUICK : ROUND_TRIPS,
    progress,
  };
  // Not in one go: fewer idle processes beside what is measured.
  const flows = await runRounds(
    chosen.filter(({ kind }) => kind === 'throughput'),
    options,
  );
  const answers = await runRounds(
    chosen.filter(({ kind }) => kind === 'latency'),
    options,
  );
  const throughput = flows.flatMap(throughputRow);
  return {
    scenario: 'mailbox',
    title: `${BODY_BYTES}-byte messages, one producer, one consumer`,
    conditions: conditions(),
    rounds: ROUNDS,
    messageBytes: BODY_BYTES,
    throughput,
    latency: answers.flatMap(latencyRow),
    goals: goals(throughput),
    missing: [...flows, ...answers].flatMap((result) =>
      result.kind === 'missing'
        ? [{ id: result.duel.id, label: result.duel.label, reason: result.reason }]
        : [],
    ),
  };
}

function throughputRow(result: Result): ThroughputRow[] {
  if (result.kind !== 'throughput') return [];
  const { id, label, isNaru } = result.duel;
  const messagesPerSecond = { ...result.messagesPerSecond, rounds: result.samples };
  const cpuNsPerMessage = { producer: Math.round(result.cpu.far), consumer: Math.round(result.cpu.near) };
  return [{ id, label, isNaru, messagesPerRound: result.count, messagesPerSecond, cpuNsPerMessage }];
}

function latencyRow(result: Result): LatencyRow[] {
  if (result.kind !== 'latency') return [];
  const { id, label, isNaru } = result.duel;
  const { count, p50Us, p99Us } = result;
  return [{ id, label, isNaru, roundTripsPerRound: count, p50Us, p99Us }];
}

/** Medians against the figures that the project promises. A rival is always its fastest variant. */
function goals(rows: readonly ThroughputRow[]): Goal[] {
  const best = (...parts: readonly string[]): number | undefined => {
    const found = rows.filter(({ id }) => parts.every((part) => id.includes(part)));
    return found.length === 0
      ? undefined
      : Math.max(...found.map(({ messagesPerSecond }) => messagesPerSecond.median));
  };
  const ratio = (a: number | undefined, b: number | undefined): number | undefined =>
    a === undefined || b === undefined ? undefined : a / b;
  const goal = (text: string, wanted: number, measured: number | undefined, unit: Goal['unit']): Goal => ({
    text,
    wanted,
    measured,
    unit,
    met: measured !== undefined && measured >= wanted,
  });
  const oneByOne = best('naru-shm-', '-for-await');
  const batches = best('naru-shm-', '-batches');
  const processSend = best('process.send-');
  return [
    goal('shm:// with for await', 3e6, oneByOne, 'msg/s'),
    goal('shm:// with batches()', 5e6, batches, 'msg/s'),
    goal('shm:// with for await against process.send', 10, ratio(oneByOne, processSend), '×'),
    goal('shm:// with batches() against process.send', 10, ratio(batches, processSend), '×'),
    goal(
      'unix:// against a raw Unix socket, a write per message',
      0.7,
      ratio(best('naru-unix-'), best('raw-socket-each')),
      '×',
    ),
    goal(
      'unix:// against a raw Unix socket, batched writes',
      0.7,
      ratio(best('naru-unix-'), best('raw-socket-batched')),
      '×',
    ),
  ];
}

export const mailbox: Scenario = {
  name: 'mailbox',
  summary: 'messages of 64 bytes: process.send, postMessage, ZeroMQ, raw sockets, Naru',
  run,
};
