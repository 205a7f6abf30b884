// Maps on engines against the suite, each on its real server.

import { test } from 'vitest';
import { memcached } from '../engines/memcached.fixture.ts';
import { onlyWith } from '../engines/only-with.fixture.ts';
import { postgres } from '../engines/postgres.fixture.ts';
import { redis, tooOldRedis, valkey } from '../engines/redis.fixture.ts';
import { memcachedMap } from '../places/memcached/map-capabilities.ts';
import { postgresMap } from '../places/postgres/map-capabilities.ts';
import { redisMap } from '../places/redis/map-capabilities.ts';
import { mapConformanceSuite } from './index.ts';
import type { MapConformanceOptions } from './map-trial.ts';

function addCases(options: MapConformanceOptions): void {
  for (const { name, skip, run } of mapConformanceSuite(options).cases)
    test.skipIf(skip !== undefined)(name, { timeout: 90_000 }, run);
}

// Maps need less of a server than mailboxes.
for (const engine of [redis, valkey, tooOldRedis]) {
  onlyWith(engine, `conformance of redis://, ${engine.name}`, (url) => {
    const skip = [
      {
        rule: 'full.1',
        reason:
          'the memory is the whole server’s: a few deletes make no room; test/maps.engine.test.ts fills one',
      },
    ];
    addCases({ url: (name) => `${url}?map=${name}`, capabilities: redisMap, skip });
  });
}

onlyWith(postgres, 'conformance of postgres://', (url) => {
  const reason = 'a map in a database has no size of its own: the disk of the server is its limit';
  addCases({
    url: (name) => `${url}?map=${name}`,
    capabilities: postgresMap,
    skip: [{ rule: 'full.1', reason }],
  });
});

onlyWith(memcached, 'conformance of memcached://', (url) => {
  const skip = [
    { rule: 'handles.4', reason: 'a cache cannot list its entries, so unlink() is NARU_UNSUPPORTED' },
  ];
  addCases({ url: (name) => `${url}?map=${name}`, capabilities: memcachedMap, skip });
});
