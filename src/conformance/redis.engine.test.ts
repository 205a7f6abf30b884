// redis:// against the suite, on real servers: Redis, Valkey, and the oldest Redis that it works on.

import { onlyWith } from '../engines/only-with.fixture.ts';
import { REDIS_SERVERS } from '../engines/redis.fixture.ts';
import { redis } from '../places/redis/capabilities.ts';
import { because, HASTY_ABORTS, lateSends, OWNED_BY_THE_SYSTEM, testConformance } from './engine.fixture.ts';

for (const engine of REDIS_SERVERS) {
  onlyWith(engine, `conformance of mailboxes on redis://, ${engine.name}`, (url) => {
    // Addresses hold no password: peers have it from here.
    process.env['REDISCLI_AUTH'] = decodeURIComponent(new URL(url).password);
    testConformance({
      url: (name) => `${url}?mailbox=${name}`,
      capabilities: redis,
      skip: [
        ...lateSends('the answer of the server'),
        ...because(HASTY_ABORTS, 'abort.3'),
        ...OWNED_BY_THE_SYSTEM,
      ],
    });
  });
}
