// What a rule of the suite is: one sentence that can be tested, when it applies, and the case that tests it. The cases
// themselves are in cases/, the list of them all in rules.ts.

import type { Capabilities, Feature, Shape } from '../mailbox/capabilities.ts';
import { has } from '../mailbox/requirements.ts';
import type { Trial } from './trial.ts';

/** The numbered rules of src/mailbox/driver.ts. */
export type DriverRule = `R${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15 | 16}`;

/** A rule and its case. */
export interface Rule {
  /** `<subject>.<number>`; stable, so that skips and reports can name it. */
  readonly id: string;
  /** The rule: one sentence in the present tense that is true or false of a place. */
  readonly text: string;
  /** Rules of the driver's contract that the case tests, wholly or in part. */
  readonly covers?: readonly DriverRule[];
  /** Features that must be there for the rule to apply: native, or emulated where the run asks for that. */
  readonly needs?: readonly Feature[];
  /** A feature that must not be there for the rule to apply: it says how the place must refuse. */
  readonly without?: Feature;
  /** Shapes it runs in, of those the place has. Default: all. `once`: no peer takes part, the first shape is enough. */
  readonly shapes?: readonly Shape[] | 'once';
  readonly run: (t: Trial) => Promise<void>;
}

/**
 * @param emulate  features that the run asks to be emulated
 * @returns why a rule does not apply to a place; undefined when it does
 */
export function inapplicable(
  rule: Rule,
  capabilities: Capabilities,
  emulate: readonly Feature[],
): string | undefined {
  const missing = (rule.needs ?? []).filter((feature) => !has(capabilities, feature, emulate));
  if (missing.length > 0) return `${capabilities.scheme}:// does not have ${missing.join(', ')}`;
  if (rule.without !== undefined && has(capabilities, rule.without, emulate)) {
    return `${capabilities.scheme}:// has ${rule.without}`;
  }
  return undefined;
}

/** The shapes of a place that a rule runs in. */
export function shapesOf(rule: Rule, available: readonly Shape[]): readonly Shape[] {
  if (rule.shapes === 'once') return available.slice(0, 1);
  const { shapes } = rule;
  return shapes === undefined ? available : available.filter((shape) => shapes.includes(shape));
}
