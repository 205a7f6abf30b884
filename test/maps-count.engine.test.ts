// Two processes with two workers each count one value to exactly 100,000 through update(), in shared memory, in a Manager, in a file of SQLite and
// on each engine.

import { test } from 'vitest';
import { memcached } from '#naru/engines/memcached.fixture';
import { onlyWith } from '#naru/engines/only-with.fixture';
import { postgres } from '#naru/engines/postgres.fixture';
import { redis } from '#naru/engines/redis.fixture';
import { countInManager, countInSharedMemory, countInSqlite, countTo } from './maps-count.fixture.ts';

const TOTAL = 100_000;
const TIMEOUT_MS = 900_000;

test('shared memory counts to exactly 100,000', () => countInSharedMemory(TOTAL), TIMEOUT_MS);
test('a Manager counts to exactly 100,000', () => countInManager(TOTAL), TIMEOUT_MS);
onlyWith(redis, 'SQLite', () => {
  test('counts to exactly 100,000', () => countInSqlite(TOTAL), TIMEOUT_MS);
});
for (const engine of [postgres, redis, memcached]) {
  onlyWith(engine, engine.name, (shared) => {
    test('counts to exactly 100,000', () => countTo(TOTAL, `${shared}?map=count-${process.pid}`), TIMEOUT_MS);
  });
}
