// file:///folder against the suite: a log in a folder of its own for each mailbox. On a file system in memory where there is one: what
// a disk does at a power cut is tested elsewhere, and its syncs would take most of the time.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, test } from 'vitest';
import { fileLog } from '../places/file/capabilities.ts';
import { conformanceSuite } from './index.ts';

const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'naru-log-'));
const url = (name: string): string => `file://${folder}/${name}?segment=64KiB`;

/** With a receipt that comes later, an aborted send may have been taken: these hold of what is taken without one. */
const WITHOUT_RECEIPT = ['abort.4', 'sendmany.3', 'sendmany.5'];

const suite = conformanceSuite({
  url,
  capabilities: fileLog,
  skip: [
    { rule: 'death.9', reason: 'a log stays until it is removed: owner "process" is refused' },
    { rule: 'nobody.5', reason: 'a log keeps it: a consumer that comes later may begin at the start' },
    ...WITHOUT_RECEIPT.map((rule) => ({ rule, reason: 'see the second suite: with confirm "accepted"' })),
  ],
});

const accepted = conformanceSuite({
  url: (name) => url(`accepted-${name}`),
  capabilities: fileLog,
  open: { confirm: 'accepted' },
  only: WITHOUT_RECEIPT,
});

for (const { name, skip, run } of suite.cases) test.skipIf(skip !== undefined)(name, run);
for (const { name, skip, run } of accepted.cases) test.skipIf(skip !== undefined)(`accepted: ${name}`, run);

afterAll(async () => {
  await suite.close();
  await accepted.close();
  rmSync(folder, { recursive: true, force: true });
});
