// The list of all rules, and what tests and documents ask of it. A new subject is a file in cases/ and a line here.

import { abort } from './cases/abort.ts';
import { blocking } from './cases/blocking.ts';
import { consume } from './cases/consume.ts';
import { counters } from './cases/counters.ts';
import { death } from './cases/death.ts';
import { exit } from './cases/exit.ts';
import { format } from './cases/format.ts';
import { full } from './cases/full.ts';
import { iteration } from './cases/iteration.ts';
import { lacking } from './cases/lacking.ts';
import { lifecycle } from './cases/lifecycle.ts';
import { nobody } from './cases/nobody.ts';
import { order } from './cases/order.ts';
import { rendezvous } from './cases/rendezvous.ts';
import { requests } from './cases/requests.ts';
import { sendMany } from './cases/send-many.ts';
import { settle } from './cases/settle.ts';
import { synchronisation } from './cases/synchronisation.ts';
import { time } from './cases/time.ts';
import { topic } from './cases/topic.ts';
import { zeroCopy } from './cases/zero-copy.ts';
import type { Feature } from '../mailbox/capabilities.ts';
import type { DriverRule, Rule } from './rule.ts';

/** Every rule, in the order in which they run: the simple ones first. */
export const RULES: readonly Rule[] = [
  ...lifecycle,
  ...synchronisation,
  ...format,
  ...order,
  ...full,
  ...nobody,
  ...rendezvous,
  ...settle,
  ...iteration,
  ...sendMany,
  ...consume,
  ...requests,
  ...topic,
  ...time,
  ...zeroCopy,
  ...counters,
  ...abort,
  ...blocking,
  ...death,
  ...exit,
  ...lacking,
];

/** A rule as tables show it. */
export interface RuleInfo {
  readonly id: string;
  readonly text: string;
  /** Features that must be native for it to apply. */
  readonly needs: readonly Feature[];
  /** The feature that must be missing for it to apply. */
  readonly without: Feature | undefined;
  /** Rules of the driver's contract it tests. */
  readonly covers: readonly DriverRule[];
}

/** Every rule of the suite: for tables, and to name one in `only` or `skip`. */
export function listRules(): readonly RuleInfo[] {
  return RULES.map(({ id, text, needs = [], without, covers = [] }) => ({
    id,
    text,
    needs,
    without,
    covers,
  }));
}
