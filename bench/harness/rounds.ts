// A run: every contestant is started once and warmed up, then they take turns, A B C … A B C …, so that whatever the machine
// does meanwhile falls on all of them alike.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CpuTime, Duel, Sample } from './duel.ts';
import { Pair } from './pair.ts';
import { summarize, type Summary } from './statistics.ts';

export interface RoundOptions {
  readonly rounds: number;
  /** How long one round of one contestant should take. */
  readonly secondsPerRound: number;
  /** Round trips of one round of a latency contestant. */
  readonly roundTrips: number;
  /** Gets a line now and then, for people who watch. */
  readonly progress: (line: string) => void;
}

/** A contestant's results. */
export type Result =
  | {
      readonly duel: Duel;
      readonly kind: 'throughput';
      /** Messages in each round. */
      readonly count: number;
      readonly samples: readonly number[];
      readonly messagesPerSecond: Summary;
      /** Medians. */
      readonly cpu: CpuTime;
    }
  | {
      readonly duel: Duel;
      readonly kind: 'latency';
      readonly count: number;
      /** The median of each round. */
      readonly samples: readonly number[];
      /** The 99th percentile of each. */
      readonly p99Samples: readonly number[];
      readonly p50Us: Summary;
      readonly p99Us: Summary;
    }
  | { readonly duel: Duel; readonly kind: 'missing'; readonly reason: string };

interface Runner {
  readonly pair: Pair;
  readonly count: number;
  readonly samples: Sample[];
  readonly cpu: CpuTime[];
}

/** Messages of the first, cold run. */
const FIRST_COUNT = 2000;
/** Runs of a latency contestant before its rounds. */
const WARM_RUNS_LATENCY = 3;
/** The warm-up takes at least so many runs, and in all so much of a round's time. */
const WARM_RUNS_MIN = 4;
const WARM_SHARE = 0.4;

/** Runs the contestants. Those that cannot run here come back as missing; whatever was started is ended. */
export async function runRounds(duels: readonly Duel[], options: RoundOptions): Promise<Result[]> {
  const folder = mkdtempSync(join(tmpdir(), 'naru-bench-'));
  const shm = mkdtempSync(join(memoryFolder(), 'naru-bench-'));
  mkdirSync(join(shm, 'naru'), { mode: 0o700 });
  const env = { ...process.env, NARU_RUNTIME_DIR: join(shm, 'naru') };
  const results = new Map<Duel, Result>();
  const runners: Runner[] = [];
  const clean = (): void => {
    rmSync(folder, { recursive: true, force: true });
    rmSync(shm, { recursive: true, force: true });
  };
  process.once('exit', clean);
  try {
    for (const [index, duel] of duels.entries()) {
      options.progress(`warming up ${duel.label}`);
      try {
        await duel.prepare?.();
        const pair = await Pair.start(duel, { name: `bench-${process.pid}-${index}`, folder }, env);
        runners.push({ pair, count: await warmUp(pair, options), samples: [], cpu: [] });
      } catch (error) {
        results.set(duel, missing(duel, error));
      }
    }
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const runner of runners) await runOnce(runner, round, options, results);
    }
    for (const runner of runners) {
      const { duel } = runner.pair;
      if (!results.has(duel)) results.set(duel, conclude(runner));
    }
  } finally {
    await Promise.allSettled(runners.map(({ pair }) => pair.close()));
    process.off('exit', clean);
    clean();
  }
  return duels.map((duel) => results.get(duel) ?? missing(duel, 'it was not run'));
}

async function runOnce(
  { pair, count, samples, cpu }: Runner,
  round: number,
  { rounds, secondsPerRound, progress }: RoundOptions,
  results: Map<Duel, Result>,
): Promise<void> {
  if (results.has(pair.duel)) return;
  progress(`round ${round} of ${rounds}: ${pair.duel.label}`);
  try {
    const run = await pair.run(count, secondsPerRound * 1000);
    samples.push(run.sample);
    cpu.push(run.cpu);
  } catch (error) {
    results.set(pair.duel, missing(pair.duel, error));
    pair.kill();
  }
}

/**
 * Runs until the code is hot, each time for longer.
 * @returns how many messages make a round of the wanted length, by the fastest of these runs: others may have been disturbed
 */
async function warmUp(pair: Pair, { secondsPerRound, roundTrips }: RoundOptions): Promise<number> {
  if (pair.duel.kind === 'latency') {
    for (let runs = 0; runs < WARM_RUNS_LATENCY; runs += 1) await pair.run(roundTrips, 1000);
    return roundTrips;
  }
  const wanted = secondsPerRound * 1e9;
  const least = pair.duel.firstCount ?? FIRST_COUNT;
  let spent = 0;
  let perNanosecond = 0;
  let count = least;
  for (let runs = 0; runs < WARM_RUNS_MIN || spent < wanted * WARM_SHARE; runs += 1) {
    const { sample } = await pair.run(count, secondsPerRound * 1000);
    const nanoseconds = sample.kind === 'throughput' ? Math.max(sample.nanoseconds, 1) : wanted;
    spent += nanoseconds;
    perNanosecond = Math.max(perNanosecond, count / nanoseconds);
    count = Math.min(count * 10, Math.max(least, Math.round(perNanosecond * wanted * WARM_SHARE)));
  }
  const step = least >= 1000 ? 1000 : 10;
  return Math.max(least, Math.round((perNanosecond * wanted) / step) * step);
}

function conclude({ pair: { duel }, count, samples, cpu }: Runner): Result {
  if (duel.kind === 'throughput') {
    const rates = samples.map((sample) =>
      sample.kind === 'throughput' ? (sample.messages * 1e9) / sample.nanoseconds : Number.NaN,
    );
    return {
      duel,
      kind: 'throughput',
      count,
      samples: rates,
      messagesPerSecond: summarize(rates),
      cpu: {
        near: summarize(cpu.map(({ near }) => near)).median,
        far: summarize(cpu.map(({ far }) => far)).median,
      },
    };
  }
  const latencies = samples.filter((sample) => sample.kind === 'latency');
  return {
    duel,
    kind: 'latency',
    count,
    samples: latencies.map(({ p50Us }) => p50Us),
    p99Samples: latencies.map(({ p99Us }) => p99Us),
    p50Us: summarize(latencies.map(({ p50Us }) => p50Us)),
    p99Us: summarize(latencies.map(({ p99Us }) => p99Us)),
  };
}

function missing(duel: Duel, error: unknown): Result {
  return { duel, kind: 'missing', reason: error instanceof Error ? error.message : String(error) };
}

/** Shared memory belongs on a memory file system. */
function memoryFolder(): string {
  return process.platform === 'linux' ? '/dev/shm' : tmpdir();
}
