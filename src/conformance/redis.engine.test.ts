// redis:// against the suite, on real servers: Redis, Valkey, and the oldest Redis that it works on.

import { afterAll, test } from 'vitest';
import { onlyWith } from '../engines/only-with.fixture.ts';
import { REDIS_SERVERS } from '../engines/redis.fixture.ts';
import { redis } from '../places/redis/capabilities.ts';
import { conformanceSuite } from './index.ts';

const LATE =
  'a send waits for the answer of the server: who aborts that wait does not learn whether it came to pass';

for (const engine of REDIS_SERVERS) {
  onlyWith(engine, `conformance of mailboxes on redis://, ${engine.name}`, (url) => {
    // Addresses hold no password: peers have it from here.
    process.env['REDISCLI_AUTH'] = decodeURIComponent(new URL(url).password);
    const suite = conformanceSuite({
      url: (name) => `${url}?mailbox=${name}`,
      capabilities: redis,
      skip: [
        { rule: 'sendmany.5', reason: LATE },
        { rule: 'abort.4', reason: LATE },
        { rule: 'sendmany.3', reason: 'what is under way when an element is refused is counted as unknown' },
        {
          rule: 'abort.3',
          reason: '50,000 aborted receives are over before 1,000 messages have crossed a busy server',
        },
        { rule: 'death.9', reason: 'the owner is the system: a mailbox lives until it is removed' },
      ],
    });
    for (const { name, skip, run } of suite.cases)
      test.skipIf(skip !== undefined)(name, { timeout: 60_000 }, run);
    afterAll(() => suite.close());
  });
}
