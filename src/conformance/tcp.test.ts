// tcp:// against the suite, on loopback and free ports.

import { afterAll, test } from 'vitest';
import { tcp } from '../places/tcp/capabilities.ts';
import { conformanceSuite } from './index.ts';

const suite = conformanceSuite({
  url: () => 'tcp://127.0.0.1:0?listen',
  capabilities: tcp,
});

for (const { name, skip, run } of suite.cases) test.skipIf(skip !== undefined)(name, run);

afterAll(() => suite.close());
