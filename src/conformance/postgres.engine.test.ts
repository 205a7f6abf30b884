// postgres:// against the suite, on a real server.

import { afterAll, test } from 'vitest';
import { onlyWith } from '../engines/only-with.fixture.ts';
import { postgres as engine } from '../engines/postgres.fixture.ts';
import { postgres } from '../places/postgres/capabilities.ts';
import { conformanceSuite } from './index.ts';

const LATE = 'a send waits for its commit: who aborts that wait does not learn whether it came to pass';

onlyWith(engine, 'conformance of mailboxes on postgres://', (url) => {
  // Addresses hold no password: peers have it from here.
  process.env['PGPASSWORD'] = decodeURIComponent(new URL(url).password);
  const suite = conformanceSuite({
    url: (name) => `${url}?mailbox=${name}`,
    capabilities: postgres,
    skip: [
      { rule: 'sendmany.5', reason: LATE },
      { rule: 'abort.4', reason: LATE },
      { rule: 'sendmany.3', reason: 'what is under way when an element is refused is counted as unknown' },
      ...(['worker', 'child'] as const).map((shape) => ({
        rule: 'abort.3',
        shape,
        reason: '50,000 aborted receives are over before 1,000 messages have crossed a busy server',
      })),
      { rule: 'death.9', reason: 'the owner is the system: a mailbox lives until it is removed' },
    ],
  });
  for (const { name, skip, run } of suite.cases)
    test.skipIf(skip !== undefined)(name, { timeout: 60_000 }, run);
  afterAll(() => suite.close());
});
