// file://?format=raw against the suite. A plain file holds the newest value and nothing else: what needs a queue is left out, each rule
// with its reason.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { fileRaw } from '../places/file/capabilities.ts';
import { conformanceSuite } from './index.ts';

const REASONS: readonly (readonly [reason: string, rules: string])[] = [
  [
    'it sends a second value before the first is read: a plain file keeps the newest',
    `sync.23 sync.24 sync.25 format.1 format.11 format.12 format.13 order.1 order.2 iteration.7 sendmany.1 sendmany.2 sendmany.3
     sendmany.4 sendmany.5 sendmany.6 consume.2 consume.7 topic.1 topic.2 topic.6 topic.8 stats.2 stats.4 stats.6 stats.7 abort.2 abort.3
     abort.4 abort.5 abort.6 nobody.5 death.4 death.5 exit.5`,
  ],
  [
    'a value replaces the one before it: a plain file is never full, and no send waits for room',
    'life.7 life.8 sync.22 sync.27 full.1 full.2 full.6 full.7 full.8 exit.4 exit.6 death.3 lacking.dropOldest',
  ],
  [
    'nobody knows who opens a file: no seat is counted, no relation held',
    'life.12 life.13 nobody.2 nobody.3 nobody.4 nobody.6 stats.3 death.2 death.6 death.7 death.9',
  ],
  ['every reader of a plain file gets its value', 'order.3 topic.7'],
  ['nothing is made before the first value is sent', 'life.1'],
  ['a plain file has no capacity', 'life.4'],
  ['others are not told that a file was removed: the next value makes it again', 'life.9 life.18'],
  [
    'receive() settles at hand-out, so that nack() is NARU_SETTLED before the place is asked',
    'lacking.ack lacking.requeue',
  ],
];

const folder = mkdtempSync(join(tmpdir(), 'naru-conformance-'));
const suite = conformanceSuite({
  url: (name) => `file://${folder}/${name}?format=raw`,
  capabilities: fileRaw,
  small: {},
  skip: REASONS.flatMap(([reason, rules]) =>
    rules
      .trim()
      .split(/\s+/)
      .map((rule) => ({ rule, reason })),
  ),
});

for (const { name, skip, run } of suite.cases) test.skipIf(skip !== undefined)(name, run);

test('no temporary file is left', () => {
  expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
});

afterAll(async () => {
  await suite.close();
  rmSync(folder, { recursive: true, force: true });
});
