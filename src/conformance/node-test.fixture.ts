// The example of docs/internals/conformance.md: the suite under node:test.

import { after, test } from 'node:test';
import { memory } from '../places/memory/capabilities.ts';
import { conformanceSuite } from './index.ts';

const suite = conformanceSuite({
  url: (name) => `memory://${name}`,
  capabilities: memory,
  only: ['order', 'settle'],
});

for (const { name, skip, run } of suite.cases) {
  test(name, { skip: skip ?? false }, run).catch(() => undefined);
}

after(() => suite.close());
