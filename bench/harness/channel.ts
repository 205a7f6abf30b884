// The commands between the orchestrator, the near program and the far program. Whatever else comes on a channel is a
// contestant's data.

import type { CpuTime, Sample } from './duel.ts';

export type Command =
  | { readonly naruBench: 'open'; readonly duel: string; readonly name: string; readonly folder: string }
  | {
      readonly naruBench: 'attach';
      readonly duel: string;
      readonly name: string;
      readonly folder: string;
      readonly address: string;
    }
  | { readonly naruBench: 'run'; readonly count: number }
  | { readonly naruBench: 'close' };

export type Answer =
  | { readonly naruBench: 'opened' }
  | { readonly naruBench: 'attached' }
  | { readonly naruBench: 'sample'; readonly sample: Sample; readonly cpu: CpuTime }
  | { readonly naruBench: 'sent'; readonly cpuMicros: number }
  | { readonly naruBench: 'closed' }
  | { readonly naruBench: 'failed'; readonly message: string };

/** Whether something that came on a channel belongs to the harness. */
export function isOfHarness(message: unknown): message is Command | Answer {
  return typeof message === 'object' && message !== null && 'naruBench' in message;
}

/** Measures CPU time. @returns a function that tells how much this process used since, in microseconds */
export function watchCpu(): () => number {
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
}

/** Anything thrown, as text. */
export function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
