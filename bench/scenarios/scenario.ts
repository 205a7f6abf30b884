// What a scenario hands to the program: results in one document that every output is made of.

import type { Conditions } from '../harness/conditions.ts';
import type { Duel } from '../harness/duel.ts';
import type { Summary } from '../harness/statistics.ts';

/** A series of rounds: every round of what it was summed up from, in the order in which they ran. */
export type Series = Summary & { readonly rounds: readonly number[] };

/** Contestants that ran in turn and can be compared: one table, one chart. */
export interface Part {
  readonly id: string;
  readonly title: string;
  /** What exactly is measured. Some sentences. */
  readonly note: string;
  /** How its figures are shown: rates as msg/s or GB/s, times as µs or ns. */
  readonly unit: 'msg/s' | 'GB/s' | 'µs' | 'ns';
  /** What a round trip is called here, where it is none. */
  readonly trip?: string;
  /** The contestants that the others are compared with in the table: the best of those whose ids start like this. */
  readonly anchor?: { readonly id: string; readonly label: string };
}

export interface ThroughputRow {
  readonly id: string;
  readonly part: string;
  readonly label: string;
  readonly isNaru: boolean;
  readonly bodyBytes: number;
  readonly messagesPerRound: number;
  readonly messagesPerSecond: Series;
  /** CPU time in nanoseconds per message, all threads: medians. One process for both ends = all in `consumer`. */
  readonly cpuNsPerMessage: { readonly producer: number; readonly consumer: number };
}

export interface LatencyRow {
  readonly id: string;
  readonly part: string;
  readonly label: string;
  readonly isNaru: boolean;
  readonly bodyBytes: number;
  readonly roundTripsPerRound: number;
  readonly p50Us: Series;
  readonly p99Us: Series;
}

/** A promise of the project, measured. */
export interface Goal {
  readonly text: string;
  /** `none`: nothing is promised, the figure is only told. */
  readonly bound: 'least' | 'most' | 'none';
  readonly wanted: number;
  /** Undefined where a contestant is missing. */
  readonly measured: number | undefined;
  readonly unit: 'msg/s' | '×' | 'ns';
  readonly met: boolean;
}

export interface Report {
  readonly scenario: string;
  readonly title: string;
  readonly conditions: Conditions;
  readonly rounds: number;
  readonly secondsPerRound: number;
  readonly parts: readonly Part[];
  readonly throughput: readonly ThroughputRow[];
  readonly latency: readonly LatencyRow[];
  readonly goals: readonly Goal[];
  /** Contestants that could not run, and why. */
  readonly missing: readonly { readonly id: string; readonly label: string; readonly reason: string }[];
}

export interface ScenarioOptions {
  readonly quick: boolean;
  readonly secondsPerRound: number;
  /** Runs only contestants whose id contains one of these texts. */
  readonly only: readonly string[];
  readonly progress: (line: string) => void;
}

export interface Scenario {
  readonly name: string;
  readonly summary: string;
  /** Every contestant, for the programs of both ends, which know them by id. */
  readonly duels: readonly Duel[];
  run(options: ScenarioOptions): Promise<Report>;
}
