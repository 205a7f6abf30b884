// From rules to runnable cases: which apply to a place, in which shapes, with which skips; and the run of one of them.

import type { Shape } from '../mailbox/capabilities.ts';
import type { ConformanceOptions, ConformanceResult } from './options.ts';
import { PeerPool } from './peers.ts';
import { inapplicable, shapesOf, type Rule } from './rule.ts';
import { RULES } from './rules.ts';
import { Trial } from './trial.ts';
import { within } from './waiting.ts';

/** One rule in one shape, ready for any test runner. */
export interface ConformanceCase {
  /** `sync.3 (worker): a waiting receive …` */
  readonly name: string;
  readonly rule: string;
  readonly text: string;
  readonly shape: Shape;
  /** Set when the options skip it, with the reason. */
  readonly skip: string | undefined;
  /** Rejects when the rule does not hold; the error begins with the rule. */
  readonly run: () => Promise<void>;
}

/** The cases of one place. */
export interface ConformanceSuite {
  /** Those that apply to the place; in an order in which they may be run one by one. */
  readonly cases: readonly ConformanceCase[];
  /** Those that do not, with the reason. */
  readonly inapplicable: readonly ConformanceResult[];
  /** Ends the peers. Call it after the last case. */
  close(): Promise<void>;
}

const CASE_MS = 20_000;
const STRESS_COPIES = 8;

/**
 * Makes the cases of a place for a test runner; `runConformance()` runs them without one.
 *
 * @throws Error  a skip without a reason or of an unknown rule, or `only` that names nothing
 */
export function conformanceSuite(options: ConformanceOptions): ConformanceSuite {
  checkOptions(options);
  const pool = new PeerPool();
  const run = `c${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
  const cases: ConformanceCase[] = [];
  const left: ConformanceResult[] = [];
  let count = 0;
  const nextName = (): string => {
    count += 1;
    return `${run}-${count}`;
  };
  for (const rule of RULES) {
    if (!isWanted(rule, options.only)) continue;
    const why = inapplicable(rule, options.capabilities, options.open?.emulate ?? []);
    const available = options.capabilities.shapes.filter((s) => options.shapes?.includes(s) ?? true);
    for (const shape of shapesOf(rule, available)) {
      if (why === undefined) cases.push(makeCase(rule, shape, options, pool, nextName));
      else
        left.push({
          rule: rule.id,
          text: rule.text,
          shape,
          outcome: 'inapplicable',
          reason: why,
          durationMs: 0,
        });
    }
  }
  return { cases, inapplicable: left, close: () => pool.close() };
}

function makeCase(
  rule: Rule,
  shape: Shape,
  options: ConformanceOptions,
  pool: PeerPool,
  nextName: () => string,
): ConformanceCase {
  const skip = (options.skip ?? []).find(
    (s) => s.rule === rule.id && (s.shape === undefined || s.shape === shape),
  );
  const copies = options.stress === true ? STRESS_COPIES : Number(options.stress ?? 1) || 1;
  const one = (): Promise<void> =>
    runTrial(rule, new Trial({ shape, options, pool, name: nextName() }), options);
  return {
    name: `${rule.id} (${shape}): ${rule.text}`,
    rule: rule.id,
    text: rule.text,
    shape,
    skip: skip?.reason,
    run: async () => {
      const outcomes = await Promise.allSettled(Array.from({ length: copies }, one));
      const failed = outcomes.find((outcome) => outcome.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    },
  };
}

async function runTrial(rule: Rule, trial: Trial, options: ConformanceOptions): Promise<void> {
  let failure: unknown;
  try {
    await within(rule.run(trial), options.caseTimeoutMs ?? CASE_MS, 'the case to finish');
  } catch (error) {
    failure = error;
  }
  try {
    await trial.finish(failure === undefined);
  } catch (error) {
    failure ??= error;
  }
  if (failure === undefined) return;
  const why = failure instanceof Error ? failure.message : JSON.stringify(failure);
  const inner =
    failure instanceof Error && failure.cause instanceof Error ? `\n  ${failure.cause.message}` : '';
  throw new Error(`${rule.id} (${trial.shape}): ${rule.text}\n  ${why}${inner}`, { cause: failure });
}

function isWanted(rule: Rule, only: readonly string[] | undefined): boolean {
  return only === undefined || only.some((name) => rule.id === name || rule.id.startsWith(`${name}.`));
}

function checkOptions({ skip = [], only = [] }: ConformanceOptions): void {
  for (const { rule, reason } of skip) {
    if (!RULES.some(({ id }) => id === rule)) throw new Error(`skip: there is no rule "${rule}"`);
    if (typeof reason !== 'string' || reason.trim().length < 8) {
      throw new Error(`skip of ${rule}: say why, for the report`);
    }
  }
  for (const name of only) {
    if (!RULES.some((rule) => isWanted(rule, [name]))) throw new Error(`only: there is no rule "${name}"`);
  }
}
