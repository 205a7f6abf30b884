// The conditions of a run: what must stand beside every figure. Nothing that names a person or a machine.

import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';

export interface Conditions {
  readonly date: string;
  readonly node: string;
  readonly v8: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  /** Load average of the last minute before and after the run: 0.0 is a machine of one's own. */
  readonly loadBefore: number;
  readonly loadAfter: number;
}

/** @returns a function that completes the conditions when the run is over */
export function observeConditions(): () => Conditions {
  const loadBefore = load();
  return () => ({
    date: new Date().toISOString().slice(0, 10),
    node: process.versions.node,
    v8: process.versions.v8,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release().split('-')[0] ?? ''}`,
    loadBefore,
    loadAfter: load(),
  });
}

function load(): number {
  return Math.round((loadavg()[0] ?? 0) * 100) / 100;
}
