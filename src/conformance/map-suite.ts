// The conformance suite of maps: from rules to runnable cases, and the run without a test runner.

import { conditions } from './map-cases/conditions.ts';
import { features } from './map-cases/features.ts';
import { handles } from './map-cases/handles.ts';
import { values } from './map-cases/values.ts';
import { mapInapplicable, type MapRule } from './map-rule.ts';
import { type MapConformanceOptions, MapTrial } from './map-trial.ts';
import { within } from './waiting.ts';

const RULES: readonly MapRule[] = [...values, ...conditions, ...features, ...handles];
const CASE_MS = 20_000;

/** One rule, ready for any test runner. */
export interface MapConformanceCase {
  /** `conditions.1: of many set() …` */
  readonly name: string;
  readonly rule: string;
  readonly text: string;
  /** Set when the options skip it, with the reason. */
  readonly skip: string | undefined;
  /** Rejects when the rule does not hold; the error begins with the rule. */
  readonly run: () => Promise<void>;
}

/** The cases of one place's maps. */
export interface MapConformanceSuite {
  readonly cases: readonly MapConformanceCase[];
  /** Rules that do not apply, with the reason. */
  readonly inapplicable: readonly { readonly rule: string; readonly text: string; readonly reason: string }[];
}

/** The outcome of a run. */
export interface MapConformanceReport {
  readonly scheme: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly inapplicable: number;
  readonly failures: readonly { readonly rule: string; readonly error: Error }[];
}

/** Every rule about maps, in the order of a run. */
export function listMapRules(): readonly Pick<MapRule, 'id' | 'text' | 'covers' | 'needs' | 'without'>[] {
  return RULES;
}

/**
 * Makes the cases of a place's maps for a test runner; `runMapConformance()` runs them without one.
 * @throws Error  a skip without a reason or of an unknown rule, or `only` that names nothing
 */
export function mapConformanceSuite(options: MapConformanceOptions): MapConformanceSuite {
  for (const { rule, reason } of options.skip ?? []) {
    if (!RULES.some(({ id }) => id === rule)) throw new Error(`skip: there is no rule "${rule}"`);
    if (reason.trim().length < 8) throw new Error(`skip of ${rule}: say why, for the report`);
  }
  for (const name of options.only ?? [])
    if (!RULES.some((rule) => isWanted(rule, [name]))) throw new Error(`only: there is no rule "${name}"`);
  const run = `m${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
  const wanted = RULES.filter((rule) => isWanted(rule, options.only));
  return {
    cases: wanted
      .filter((rule) => mapInapplicable(rule, options.capabilities) === undefined)
      .map((rule, n) => makeCase(rule, options, `${run}-${n}`)),
    inapplicable: wanted.flatMap((rule) => {
      const reason = mapInapplicable(rule, options.capabilities);
      return reason === undefined ? [] : [{ rule: rule.id, text: rule.text, reason }];
    }),
  };
}

/** Runs every rule that applies, one after the other. @throws Error  the options are wrong */
export async function runMapConformance(options: MapConformanceOptions): Promise<MapConformanceReport> {
  const { cases, inapplicable } = mapConformanceSuite(options);
  const failures: { rule: string; error: Error }[] = [];
  const skipped = cases.filter(({ skip }) => skip !== undefined).length;
  for (const { rule, skip, run } of cases) {
    if (skip !== undefined) continue;
    try {
      await run();
    } catch (error) {
      failures.push({ rule, error: error instanceof Error ? error : new Error(String(error)) });
    }
  }
  return {
    scheme: options.capabilities.scheme,
    passed: cases.length - skipped - failures.length,
    failed: failures.length,
    skipped,
    inapplicable: inapplicable.length,
    failures,
  };
}

function makeCase(rule: MapRule, options: MapConformanceOptions, name: string): MapConformanceCase {
  return {
    name: `${rule.id}: ${rule.text}`,
    rule: rule.id,
    text: rule.text,
    skip: options.skip?.find((one) => one.rule === rule.id)?.reason,
    run: () => runCase(rule, options, name),
  };
}

async function runCase(rule: MapRule, options: MapConformanceOptions, name: string): Promise<void> {
  const trial = new MapTrial(options, name);
  let failure: unknown;
  try {
    await within(rule.run(trial), options.caseTimeoutMs ?? CASE_MS, 'the case to finish');
  } catch (error) {
    failure = error;
  }
  try {
    await trial.finish();
  } catch (error) {
    failure ??= error;
  }
  if (failure === undefined) return;
  const why = failure instanceof Error ? failure.message : JSON.stringify(failure);
  throw new Error(`${rule.id}: ${rule.text}\n  ${why}`, { cause: failure });
}

function isWanted(rule: MapRule, only: readonly string[] | undefined): boolean {
  return only === undefined || only.some((name) => rule.id === name || rule.id.startsWith(`${name}.`));
}
