// http:// against the suite, on loopback and free ports; what makes and ends handles also with a token.

import { afterAll, describe, test } from 'vitest';
import { http } from '../places/http/capabilities.ts';
import { type ConformanceOptions, conformanceSuite } from './index.ts';

const common: ConformanceOptions = {
  url: () => 'http://127.0.0.1:0/box?listen',
  capabilities: http,
  skip: [
    {
      rule: 'death.9',
      reason: 'owner is not looked at: the mailbox lives as long as its listener, and its peers reconnect',
    },
  ],
};

describe.each([
  { name: 'http', options: common },
  {
    name: 'http with a token',
    options: { ...common, open: { key: 'every-peer-has-it' }, only: ['life', 'death', 'exit'] },
  },
])('$name', ({ options }) => {
  const suite = conformanceSuite(options);
  for (const { name, skip, run } of suite.cases) test.skipIf(skip !== undefined)(name, run);
  afterAll(() => suite.close());
});
