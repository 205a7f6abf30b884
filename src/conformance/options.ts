// What the author of a place tells the suite, and what the suite reports.

import type { Capabilities, Shape } from '../mailbox/capabilities.ts';
import type { OpenOptions } from '../mailbox/options.ts';

/** How the suite meets a place. */
export interface ConformanceOptions {
  /**
   * The URL of a mailbox that does not exist yet. Called once for each mailbox of each case; `name` is unique in the run,
   * 1 to 60 of the characters A-Z a-z 0-9 . - . The first handle opens this URL, all others open that handle's `address`.
   */
  readonly url: (name: string) => string;
  /** What the place declares of itself. Declared `native` must hold, declared `none` must be refused. */
  readonly capabilities: Capabilities;
  /** Options for every open() of the suite; must be cloneable, because peers in other processes get them too. */
  readonly open?: Omit<OpenOptions, 'schema' | 'signal'>;
  /** Options that make a mailbox full after a few dozen messages of 1 KiB. Default: `capacityBytes: 65536`. */
  readonly small?: Omit<OpenOptions, 'schema' | 'signal'>;
  /** Called after each case with the addresses of its mailboxes, most of them unlinked by then: removes what is left. */
  readonly cleanup?: (urls: readonly string[]) => void | Promise<void>;
  /** Shapes to run in, of those the place declares. Default: all. */
  readonly shapes?: readonly Shape[];
  /** Only rules whose id is one of these or begins with one of these and a dot: `['sync', 'full.2']`. */
  readonly only?: readonly string[];
  /** Larger numbers, and so many copies of each case at once (`true`: 8). Default: off. */
  readonly stress?: boolean | number;
  /** Rules the place does not keep, each with the reason. They are listed in the report. */
  readonly skip?: readonly ConformanceSkip[];
  /** Longest time of one case, in milliseconds. Default 20,000. */
  readonly caseTimeoutMs?: number;
  /** Hears every result as it comes. */
  readonly onResult?: (result: ConformanceResult) => void;
}

/** A rule left out. */
export interface ConformanceSkip {
  /** Id of the rule. */
  readonly rule: string;
  /** Only in this shape; default: in all. */
  readonly shape?: Shape;
  /** Why; it must say something. */
  readonly reason: string;
}

/** `inapplicable`: the place does not declare what the rule is about (the rules of `lacking` hold it to that). */
export type ConformanceOutcome = 'passed' | 'failed' | 'skipped' | 'inapplicable';

/** What became of one rule in one shape. */
export interface ConformanceResult {
  readonly rule: string;
  /** The rule itself. */
  readonly text: string;
  readonly shape: Shape;
  readonly outcome: ConformanceOutcome;
  /** Why it was skipped or does not apply. */
  readonly reason?: string;
  /** Why it failed; its message begins with the rule. */
  readonly error?: Error;
  readonly durationMs: number;
}

/** The outcome of a run. */
export interface ConformanceReport {
  readonly scheme: string;
  readonly mode: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly inapplicable: number;
  readonly durationMs: number;
  readonly results: readonly ConformanceResult[];
}
