// unix:// against the suite, its sockets in a folder of their own.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, test } from 'vitest';
import { unix } from '../places/unix/capabilities.ts';
import { conformanceSuite } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'naru-unix-'));
const suite = conformanceSuite({
  url: (name) => `unix://${folder}/${name}`,
  capabilities: unix,
  skip: [
    {
      rule: 'death.9',
      reason: 'owner is not looked at: the mailbox lives as long as its listener, and its peers reconnect',
    },
  ],
});

for (const { name, skip, run } of suite.cases) test.skipIf(skip !== undefined)(name, run);

afterAll(async () => {
  await suite.close();
  rmSync(folder, { recursive: true, force: true });
});
