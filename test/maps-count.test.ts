// Maps that need no engine count exactly, to a small total: two processes with two workers each. The large one: maps-count.engine.test.ts.

import { test } from 'vitest';
import { countInManager, countInSharedMemory, countInSqlite } from './maps-count.fixture.ts';

const TOTAL = 2_000;

test.each([
  ['shared memory', countInSharedMemory],
  ['a Manager', countInManager],
  ['SQLite', countInSqlite],
])('%s counts exactly', { timeout: 120_000 }, async (_, count) => {
  await count(TOTAL);
});
