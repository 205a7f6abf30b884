// Maps of sqlite:/// against the suite.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, test } from 'vitest';
import { sqliteMap } from '../places/sqlite/map-capabilities.ts';
import { mapConformanceSuite } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'naru-conformance-'));
afterAll(() => rmSync(folder, { recursive: true }));

const suite = mapConformanceSuite({
  url: (name) => `sqlite://${folder}/maps.db?map=${name}`,
  capabilities: sqliteMap,
  skip: [{ rule: 'full.1', reason: 'a map in a file has no size of its own: the disk is its limit' }],
});
for (const { name, skip, run } of suite.cases)
  test.skipIf(skip !== undefined)(name, { timeout: 90_000 }, run);
