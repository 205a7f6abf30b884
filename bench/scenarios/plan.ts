// A scenario from a plan: its parts run one after the other, the contestants of a part in turn, and the report is put together.

import { BODY_BYTES } from '../harness/bodies.ts';
import { observeConditions } from '../harness/conditions.ts';
import type { Duel } from '../harness/duel.ts';
import { type Result, runRounds } from '../harness/rounds.ts';
import { Figures } from './goals.ts';
import type { Goal, LatencyRow, Part, Report, Scenario, ThroughputRow } from './scenario.ts';

const ROUNDS = 5;
const ROUND_TRIPS = 3000;
/** A quick run makes so many times fewer. */
const QUICK_SHARE = 6;

export interface PlannedPart extends Part {
  /** All of one kind. */
  readonly duels: readonly Duel[];
  /** Round trips of one round of a latency contestant. Default 3,000. */
  readonly roundTrips?: number;
}

export interface Plan {
  readonly name: string;
  /** A line for --help. */
  readonly summary: string;
  readonly title: string;
  readonly parts: readonly PlannedPart[];
  goals(figures: Figures): readonly Goal[];
}

export function scenarioOf(plan: Plan): Scenario {
  return {
    name: plan.name,
    summary: plan.summary,
    duels: plan.parts.flatMap(({ duels }) => duels),
    async run({ quick, secondsPerRound, only, progress }) {
      const conditions = observeConditions();
      const isChosen = ({ id }: Duel): boolean => only.length === 0 || only.some((text) => id.includes(text));
      const throughput: ThroughputRow[] = [];
      const latency: LatencyRow[] = [];
      const missing: Report['missing'][number][] = [];
      // Not in one go: fewer idle processes beside what is measured.
      for (const part of plan.parts) {
        const trips = part.roundTrips ?? ROUND_TRIPS;
        const results = await runRounds(part.duels.filter(isChosen), {
          rounds: ROUNDS,
          secondsPerRound,
          roundTrips: quick ? Math.ceil(trips / QUICK_SHARE) : trips,
          progress,
        });
        throughput.push(...results.flatMap((result) => throughputRow(part.id, result)));
        latency.push(...results.flatMap((result) => latencyRow(part.id, result)));
        missing.push(...results.flatMap(missingRow));
      }
      const goals = plan.goals(new Figures(throughput, latency));
      const { name, title } = plan;
      const parts = plan.parts.map(publicPart);
      const common = { scenario: name, title, conditions: conditions(), rounds: ROUNDS, secondsPerRound };
      return { ...common, parts, throughput, latency, goals, missing };
    },
  };
}

function publicPart({ id, title, note, unit, trip, anchor }: PlannedPart): Part {
  const optional = { ...(trip === undefined ? {} : { trip }), ...(anchor === undefined ? {} : { anchor }) };
  return { id, title, note, unit, ...optional };
}

function throughputRow(part: string, result: Result): ThroughputRow[] {
  if (result.kind !== 'throughput') return [];
  const { id, label, isNaru, bodyBytes = BODY_BYTES } = result.duel;
  const messagesPerSecond = { ...result.messagesPerSecond, rounds: result.samples };
  const cpuNsPerMessage = { producer: Math.round(result.cpu.far), consumer: Math.round(result.cpu.near) };
  const messagesPerRound = result.count;
  return [{ id, part, label, isNaru, bodyBytes, messagesPerRound, messagesPerSecond, cpuNsPerMessage }];
}

function latencyRow(part: string, result: Result): LatencyRow[] {
  if (result.kind !== 'latency') return [];
  const { id, label, isNaru, bodyBytes = BODY_BYTES } = result.duel;
  const p50Us = { ...result.p50Us, rounds: result.samples };
  const p99Us = { ...result.p99Us, rounds: result.p99Samples };
  const { count } = result;
  return [{ id, part, label, isNaru, bodyBytes, roundTripsPerRound: count, p50Us, p99Us }];
}

function missingRow(result: Result): Report['missing'] {
  if (result.kind !== 'missing') return [];
  return [{ id: result.duel.id, label: result.duel.label, reason: result.reason }];
}
