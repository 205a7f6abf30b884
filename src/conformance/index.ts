// The conformance suite: what every place is measured by, with any test runner or none. Published as `naru/conformance`.
// How to use it: docs/internals/conformance.md.

import type { ConformanceOptions, ConformanceReport, ConformanceResult } from './options.ts';
import { conformanceSuite, type ConformanceCase } from './suite.ts';

export type {
  ConformanceOptions,
  ConformanceOutcome,
  ConformanceReport,
  ConformanceResult,
  ConformanceSkip,
} from './options.ts';
export type { DriverRule } from './rule.ts';
export { listRules, type RuleInfo } from './rules.ts';
export type { MapConformanceOptions } from './map-trial.ts';
export {
  listMapRules,
  type MapConformanceCase,
  type MapConformanceReport,
  type MapConformanceSuite,
  mapConformanceSuite,
  runMapConformance,
} from './map-suite.ts';
export { conformanceSuite, type ConformanceCase, type ConformanceSuite } from './suite.ts';
export type { SyncConformanceOptions } from './sync-trial.ts';
export {
  listSyncRules,
  runSyncConformance,
  type SyncConformanceCase,
  type SyncConformanceReport,
  type SyncConformanceSuite,
  syncConformanceSuite,
} from './sync-suite.ts';

/**
 * Runs every rule that applies to a place, in every shape it has, one after the other.
 *
 * @returns the report; a failing rule is a result, not an exception
 * @throws Error  the options are wrong: a skip without a reason, an unknown rule
 */
export async function runConformance(options: ConformanceOptions): Promise<ConformanceReport> {
  const started = performance.now();
  const suite = conformanceSuite(options);
  const results: ConformanceResult[] = [];
  const tell = (result: ConformanceResult): void => {
    results.push(result);
    options.onResult?.(result);
  };
  try {
    for (const one of suite.cases) tell(await runOne(one));
  } finally {
    await suite.close();
  }
  for (const result of suite.inapplicable) tell(result);
  const count = (outcome: string): number => results.filter((r) => r.outcome === outcome).length;
  return {
    scheme: options.capabilities.scheme,
    mode: options.capabilities.mode,
    passed: count('passed'),
    failed: count('failed'),
    skipped: count('skipped'),
    inapplicable: count('inapplicable'),
    durationMs: performance.now() - started,
    results,
  };
}

async function runOne({ rule, text, shape, skip, run }: ConformanceCase): Promise<ConformanceResult> {
  if (skip !== undefined) return { rule, text, shape, outcome: 'skipped', reason: skip, durationMs: 0 };
  const started = performance.now();
  // A runner does this itself. A rejection that nobody handles is a failure, and a failed case must not end the run.
  const unhandled: unknown[] = [];
  const note = (reason: unknown): number => unhandled.push(reason);
  process.on('unhandledRejection', note);
  try {
    await run();
    if (unhandled.length > 0)
      throw new Error(`${rule} (${shape}): ${text}\n  a rejection was not handled`, { cause: unhandled[0] });
    return { rule, text, shape, outcome: 'passed', durationMs: performance.now() - started };
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    // What the case left behind rejects in the turns after it.
    await new Promise(setImmediate);
    return { rule, text, shape, outcome: 'failed', error, durationMs: performance.now() - started };
  } finally {
    process.off('unhandledRejection', note);
  }
}
