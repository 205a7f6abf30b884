// tcp:// against the suite, on loopback and free ports.

import { afterAll, test } from 'vitest';
import { tcp } from '../places/tcp/capabilities.ts';
import { conformanceSuite } from './index.ts';

const suite = conformanceSuite({
  url: () => 'tcp://127.0.0.1:0?listen',
  capabilities: tcp,
  skip: [
    {
      rule: 'consume.10',
      reason:
        'the mailbox lives in the handle that drains and closes here: what is left goes with it, and is reported',
    },
    ...['life.10', 'lacking.trySync', 'lacking.waitSync'].map((rule) => ({
      rule,
      reason:
        'opens the address again after its listener closed: connecting makes no mailbox, only ?listen does',
    })),
  ],
});

for (const { name, skip, run } of suite.cases) test.skipIf(skip !== undefined)(name, run);

afterAll(() => suite.close());
