// The frame of the suite on real engines, and rules that several such places leave out for the same reason.

import { afterAll, test } from 'vitest';
import { type ConformanceOptions, type ConformanceSkip, conformanceSuite } from './index.ts';

/** @param prefix  before the names of the tests, where one file runs several suites */
export function testConformance(options: ConformanceOptions, prefix = ''): void {
  const suite = conformanceSuite(options);
  for (const { name, skip, run } of suite.cases)
    test.skipIf(skip !== undefined)(`${prefix}${name}`, { timeout: 60_000 }, run);
  afterAll(() => suite.close());
}

export function because(reason: string, ...rules: readonly string[]): ConformanceSkip[] {
  return rules.map((rule) => ({ rule, reason }));
}

/** Of an engine that says by itself how much goes in, or takes everything. */
export function withoutCapacity(reason: string): ConformanceSkip[] {
  return because(
    reason,
    'life.4',
    'life.7',
    'life.8',
    'sync.22',
    'sync.25',
    'sync.27',
    'full.1',
    'full.2',
    'full.6',
    'full.7',
    'full.8',
    'sendmany.2',
    'sendmany.4',
    'stats.4',
    'abort.2',
    'death.3',
    'death.7',
    'exit.4',
    'exit.6',
  );
}

/** Of an engine that lets everybody in. */
export function withoutSeats(engine: string): ConformanceSkip[] {
  return because(`relation is advisory: ${engine} gives out no seats`, 'life.12', 'life.13', 'death.6');
}

/** @param answer  what a send waits for */
export function lateSends(answer: string): ConformanceSkip[] {
  const aborted = `a send waits for ${answer}: who aborts that wait does not learn whether it came to pass`;
  return [
    ...because(aborted, 'sendmany.5', 'abort.4'),
    ...because('what is under way when an element is refused is counted as unknown', 'sendmany.3'),
  ];
}

/** On a busy machine the aborted receives of the rule outrun the messages. */
export const HASTY_ABORTS =
  '50,000 aborted receives are over before 1,000 messages have crossed a busy server';

export const OWNED_BY_THE_SYSTEM: readonly ConformanceSkip[] = because(
  'the owner is the system: a mailbox lives until it is removed',
  'death.9',
);
