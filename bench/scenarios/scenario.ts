// What a scenario hands to the program: results in one document that every output is made of.

import type { Conditions } from '../harness/conditions.ts';
import type { Summary } from '../harness/statistics.ts';

export interface ThroughputRow {
  readonly id: string;
  readonly label: string;
  readonly isNaru: boolean;
  readonly messagesPerRound: number;
  readonly messagesPerSecond: Summary & { readonly rounds: readonly number[] };
  /** CPU time in nanoseconds per message, all threads: medians. One process for both ends = all in `consumer`. */
  readonly cpuNsPerMessage: { readonly producer: number; readonly consumer: number };
}

export interface LatencyRow {
  readonly id: string;
  readonly label: string;
  readonly isNaru: boolean;
  readonly roundTripsPerRound: number;
  readonly p50Us: Summary;
  readonly p99Us: Summary;
}

/** A promise of the project, measured. */
export interface Goal {
  readonly text: string;
  readonly wanted: number;
  /** Undefined where a contestant is missing. */
  readonly measured: number | undefined;
  readonly unit: 'msg/s' | '×';
  readonly met: boolean;
}

export interface Report {
  readonly scenario: string;
  readonly title: string;
  readonly conditions: Conditions;
  readonly rounds: number;
  readonly messageBytes: number;
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
  run(options: ScenarioOptions): Promise<Report>;
}
