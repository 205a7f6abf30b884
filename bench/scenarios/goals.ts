// Measured figures against promised ones. Ratios are made round by round, because the two sides of a round ran one after the
// other under the same conditions; their median counts.

import { summarize } from '../harness/statistics.ts';
import type { Goal, LatencyRow, ThroughputRow } from './scenario.ts';

/** What the 99th percentiles of a latency contestant are found by. */
export function p99Of(id: string): string {
  return `${id} p99`;
}

/** The figures of a run, found by the contestants' ids: messages a second, or microseconds (the medians). */
export class Figures {
  readonly #rounds = new Map<string, readonly number[]>();

  constructor(throughput: readonly ThroughputRow[], latency: readonly LatencyRow[]) {
    for (const { id, messagesPerSecond } of throughput) this.#rounds.set(id, messagesPerSecond.rounds);
    for (const { id, p50Us, p99Us } of latency) {
      this.#rounds.set(id, p50Us.rounds);
      this.#rounds.set(p99Of(id), p99Us.rounds);
    }
  }

  median(id: string | undefined): number | undefined {
    const rounds = id === undefined ? undefined : this.#rounds.get(id);
    return rounds === undefined ? undefined : summarize(rounds).median;
  }

  /** How many times the figure of `a` is that of `b`; undefined where one is missing. */
  ratio(a: string | undefined, b: string | undefined): number | undefined {
    const [above, below] = [this.#rounds.get(a ?? ''), this.#rounds.get(b ?? '')];
    if (above === undefined || below === undefined) return undefined;
    const count = Math.min(above.length, below.length);
    const ratios = above.slice(0, count).map((value, round) => value / (below[round] as number));
    return summarize(ratios).median;
  }

  /** The id with the highest median among those that contain all of these texts. */
  best(...parts: readonly string[]): string | undefined {
    const ids = [...this.#rounds.keys()].filter((id) => parts.every((part) => id.includes(part)));
    return ids.sort((a, b) => (this.median(b) ?? 0) - (this.median(a) ?? 0))[0];
  }
}

export function atLeast(
  text: string,
  wanted: number,
  measured: number | undefined,
  unit: Goal['unit'],
): Goal {
  const met = measured !== undefined && measured >= wanted;
  return { text, bound: 'least', wanted, measured, unit, met };
}

export function atMost(text: string, wanted: number, measured: number | undefined, unit: Goal['unit']): Goal {
  const met = measured !== undefined && measured <= wanted;
  return { text, bound: 'most', wanted, measured, unit, met };
}

/** A figure without a promise. */
export function noted(text: string, measured: number | undefined, unit: Goal['unit']): Goal {
  return { text, bound: 'none', wanted: 0, measured, unit, met: measured !== undefined };
}
