// sqlite:/// against the suite: one file for all mailboxes of a run.

import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { nativeProblem, tryNative } from '../native/index.ts';
import { sqlite } from '../places/sqlite/capabilities.ts';
import { conformanceSuite } from './index.ts';

// In memory where there is such a folder: the rules are about more than how fast a disk syncs.
const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'naru-sqlite-'));
const hasAddon = tryNative() !== undefined;

const LATE = 'a send waits for its commit: who aborts that wait does not learn whether it came to pass';

// libsql, which stands in where Node has no SQLite of its own, ends the whole process when a thread is terminated within one of its calls.
const KILLED = [
  'death.1',
  'death.2',
  'death.3',
  'death.4',
  'death.5',
  'death.6',
  'death.7',
  'death.8',
  'requests.8',
];
const FRAGILE = 'with libsql a terminated worker takes the process along (docs/places/sqlite.md)';
const fragile =
  process.getBuiltinModule?.('node:sqlite') === undefined
    ? KILLED.map((rule) => ({ rule, shape: 'worker' as const, reason: FRAGILE }))
    : [];

const suite = conformanceSuite({
  url: (name) => `sqlite://${folder}/suite.db?mailbox=${name}`,
  capabilities: sqlite,
  skip: [
    { rule: 'sendmany.5', reason: LATE },
    { rule: 'death.9', reason: 'the owner is the system: a mailbox lives until it is removed' },
    { rule: 'abort.4', reason: LATE },
    ...fragile,
  ],
});

for (const { name, skip, run } of suite.cases)
  test.skipIf(skip !== undefined || !hasAddon)(name, { timeout: 60_000 }, run);

test.skipIf(!hasAddon)(`no lock of a handle is left (${nativeProblem() ?? 'addon loaded'})`, () => {
  // Those of killed peers go with the next look.
  const left = readdirSync(folder).filter((name) => name.startsWith('suite.db-naru-'));
  expect(left.length).toBeLessThan(20);
});

afterAll(async () => {
  await suite.close();
  rmSync(folder, { recursive: true, force: true });
});
