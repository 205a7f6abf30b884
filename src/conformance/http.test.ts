// http:// against the suite, on loopback and free ports.

import { afterAll, test } from 'vitest';
import { http } from '../places/http/capabilities.ts';
import { conformanceSuite } from './index.ts';

const suite = conformanceSuite({
  url: () => 'http://127.0.0.1:0/box?listen',
  capabilities: http,
  skip: [
    {
      rule: 'death.9',
      reason: 'owner is not looked at: the mailbox lives as long as its listener, and its peers reconnect',
    },
  ],
});

for (const { name, skip, run } of suite.cases) test.skipIf(skip !== undefined)(name, run);

afterAll(() => suite.close());
