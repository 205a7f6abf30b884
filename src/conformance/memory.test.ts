// memory:// against the suite.

import { afterAll, test } from 'vitest';
import { memory } from '../places/memory/capabilities.ts';
import { conformanceSuite } from './index.ts';

const suite = conformanceSuite({ url: (name) => `memory://${name}`, capabilities: memory });

for (const { name, skip, run } of suite.cases) test.skipIf(skip !== undefined)(name, run);

afterAll(() => suite.close());
