// Maps on engines against the suite, each on its real server.

import { afterAll, beforeAll, test } from 'vitest';
import { type Running, startEngine } from '../engines/engine.fixture.ts';
import { memcached } from '../engines/memcached.fixture.ts';
import { onlyWith } from '../engines/only-with.fixture.ts';
import { postgres } from '../engines/postgres.fixture.ts';
import { redis } from '../engines/redis.fixture.ts';
import { memcachedMap } from '../places/memcached/map-capabilities.ts';
import { postgresMap } from '../places/postgres/map-capabilities.ts';
import { redisMap } from '../places/redis/map-capabilities.ts';
import { mapConformanceSuite } from './index.ts';
import type { MapConformanceOptions } from './map-trial.ts';

function addCases(options: MapConformanceOptions): void {
  for (const { name, skip, run } of mapConformanceSuite(options).cases)
    test.skipIf(skip !== undefined)(name, { timeout: 30_000 }, run);
}

onlyWith(redis, 'conformance of redis://', (url) => {
  const skip = [{ rule: 'full.1', reason: 'runs below, on a server that has little memory' }];
  addCases({ url: (name) => `${url}?map=${name}`, capabilities: redisMap, skip });
});

onlyWith(redis, 'conformance of redis:// on a full server', () => {
  let running: Running | undefined;
  beforeAll(async () => {
    running = await startEngine(redis, ['--maxmemory', '4mb', '--maxmemory-policy', 'noeviction']);
  });
  afterAll(() => running?.stop());
  const url = (name: string): string => `${running?.url ?? ''}?map=${name}`;
  addCases({ url, capabilities: redisMap, small: {}, only: ['full'] });
});

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
