// What the suites of maps and of locks have in common: from rules with features to runnable cases, and the run without a test runner. Knows
// neither maps nor locks.

import type { Level } from '../mailbox/capabilities.ts';
import { within } from './waiting.ts';

/** A watchdog, so that a lost wake-up is a failure with a name: so long that a busy machine does not set it off. */
const CASE_MS = 60_000;

/** A rule and its case. `T` is what a case may use, `F` the names of the features. */
export interface FeatureRule<T, F extends string> {
  /** `<subject>.<number>`; stable, so that skips and reports can name it. */
  readonly id: string;
  /** One sentence in the present tense that is true or false of a place. */
  readonly text: string;
  /** Features that must be native for the rule to apply. */
  readonly needs?: readonly F[];
  /** A feature that must be `none` for the rule to apply: it says how the place must refuse. */
  readonly without?: F;
  readonly run: (t: T) => Promise<void>;
}

/** What both suites are told. */
export interface FeatureOptions {
  readonly capabilities: { readonly scheme: string; readonly features: Readonly<Record<string, Level>> };
  /** Only rules whose id is one of these or begins with one of these and a dot. */
  readonly only?: readonly string[];
  /** Rules the place does not keep, each with the reason. They are listed in the report. */
  readonly skip?: readonly { readonly rule: string; readonly reason: string }[];
  /** Longest time of one case, in milliseconds. Default 60,000. */
  readonly caseTimeoutMs?: number;
}

/** One rule, ready for any test runner. */
export interface FeatureCase {
  /** `conditions.1: of many set() …` */
  readonly name: string;
  readonly rule: string;
  readonly text: string;
  /** Set when the options skip it, with the reason. */
  readonly skip: string | undefined;
  /** Rejects when the rule does not hold; the error begins with the rule. */
  readonly run: () => Promise<void>;
}

/** The cases of one place. */
export interface FeatureSuite {
  readonly scheme: string;
  readonly cases: readonly FeatureCase[];
  /** Rules that do not apply, with the reason. */
  readonly inapplicable: readonly { readonly rule: string; readonly text: string; readonly reason: string }[];
}

/** The outcome of a run. */
export interface FeatureReport {
  readonly scheme: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly inapplicable: number;
  readonly failures: readonly { readonly rule: string; readonly error: Error }[];
}

/** What a case works with; `finish()` closes, unlinks and ends everything. */
interface Trial {
  finish(): Promise<void>;
}

/**
 * @param what   whose rules they are: `maps`
 * @param trial  makes what one case works with, from a name that is unique in the run
 * @throws Error  a skip without a reason or of an unknown rule, or `only` that names nothing
 */
export function makeSuite<T extends Trial, F extends string>(
  what: string,
  rules: readonly FeatureRule<T, F>[],
  options: FeatureOptions,
  trial: (name: string) => T,
): FeatureSuite {
  for (const { rule, reason } of options.skip ?? []) {
    if (!rules.some(({ id }) => id === rule)) throw new Error(`skip: there is no rule "${rule}"`);
    if (reason.trim().length < 8) throw new Error(`skip of ${rule}: say why, for the report`);
  }
  for (const name of options.only ?? [])
    if (!rules.some(({ id }) => isWanted(id, [name]))) throw new Error(`only: there is no rule "${name}"`);
  const run = `m${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
  const wanted = rules
    .filter(({ id }) => isWanted(id, options.only))
    .map((rule) => ({ rule, reason: inapplicable(what, rule, options.capabilities) }));
  return {
    scheme: options.capabilities.scheme,
    cases: wanted
      .filter(({ reason }) => reason === undefined)
      .map(({ rule }, n) => makeCase(rule, options, () => trial(`${run}-${n}`))),
    inapplicable: wanted.flatMap(({ rule: { id, text }, reason }) =>
      reason === undefined ? [] : [{ rule: id, text, reason }],
    ),
  };
}

/** Runs every rule that applies, one after the other. */
export async function runSuite({ scheme, cases, inapplicable: apart }: FeatureSuite): Promise<FeatureReport> {
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
    scheme,
    passed: cases.length - skipped - failures.length,
    failed: failures.length,
    skipped,
    inapplicable: apart.length,
    failures,
  };
}

/** @returns why a rule does not apply to a place; undefined when it does */
function inapplicable<T, F extends string>(
  what: string,
  rule: FeatureRule<T, F>,
  { scheme, features }: FeatureOptions['capabilities'],
): string | undefined {
  const missing = (rule.needs ?? []).filter((feature) => features[feature] !== 'native');
  if (missing.length > 0) return `${what} of ${scheme}:// do not have ${missing.join(', ')}`;
  if (rule.without !== undefined && features[rule.without] !== 'none')
    return `${what} of ${scheme}:// have ${rule.without}`;
  return undefined;
}

function makeCase<T extends Trial, F extends string>(
  rule: FeatureRule<T, F>,
  { skip, caseTimeoutMs = CASE_MS }: FeatureOptions,
  trial: () => T,
): FeatureCase {
  return {
    name: `${rule.id}: ${rule.text}`,
    rule: rule.id,
    text: rule.text,
    skip: skip?.find((one) => one.rule === rule.id)?.reason,
    run: () => runCase(rule, trial(), caseTimeoutMs),
  };
}

async function runCase<T extends Trial, F extends string>(
  rule: FeatureRule<T, F>,
  trial: T,
  timeoutMs: number,
): Promise<void> {
  let failure: unknown;
  try {
    await within(rule.run(trial), timeoutMs, 'the case to finish');
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

function isWanted(id: string, only: readonly string[] | undefined): boolean {
  return only === undefined || only.some((name) => id === name || id.startsWith(`${name}.`));
}
