// The conformance suite of locks, semaphores and events: its rules, and its entries for a test runner and without one.

import {
  type FeatureCase,
  type FeatureReport,
  type FeatureSuite,
  makeSuite,
  runSuite,
} from './feature-suite.ts';
import { events } from './sync-cases/events.ts';
import { handles } from './sync-cases/handles.ts';
import { locks } from './sync-cases/locks.ts';
import { processes } from './sync-cases/processes.ts';
import { semaphores } from './sync-cases/semaphores.ts';
import type { SyncRule } from './sync-rule.ts';
import { type SyncConformanceOptions, SyncTrial } from './sync-trial.ts';

const RULES: readonly SyncRule[] = [...locks, ...semaphores, ...events, ...processes, ...handles];

/** One rule about locks, semaphores and events, ready for any test runner. */
export type SyncConformanceCase = FeatureCase;

/** The cases of one place's locks, semaphores and events. */
export type SyncConformanceSuite = FeatureSuite;

/** The outcome of a run. */
export type SyncConformanceReport = FeatureReport;

/** Every rule about locks, semaphores and events, in the order of a run. */
export function listSyncRules(): readonly Pick<SyncRule, 'id' | 'text' | 'covers' | 'needs' | 'without'>[] {
  return RULES;
}

/**
 * Makes the cases of a place's locks, semaphores and events for a test runner; `runSyncConformance()` runs them without one.
 * @throws Error  a skip without a reason or of an unknown rule, or `only` that names nothing
 */
export function syncConformanceSuite(options: SyncConformanceOptions): SyncConformanceSuite {
  return makeSuite('locks', RULES, options, (name) => new SyncTrial(options, name));
}

/** Runs every rule that applies, one after the other. @throws Error  the options are wrong */
export function runSyncConformance(options: SyncConformanceOptions): Promise<SyncConformanceReport> {
  return runSuite(syncConformanceSuite(options));
}
