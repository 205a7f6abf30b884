// shm:// against the suite, in a runtime folder of its own.

import { mkdtempSync, rmSync } from 'node:fs';
import { afterAll, test } from 'vitest';
import { shm } from '../places/shm/capabilities.ts';
import { conformanceSuite } from './index.ts';

const folder = mkdtempSync('/dev/shm/naru-conformance-');
process.env['NARU_RUNTIME_DIR'] = folder;
const suite = conformanceSuite({ url: (name) => `shm://${name}`, capabilities: shm });

for (const { name, skip, run } of suite.cases) test.skipIf(skip !== undefined)(name, run);

afterAll(async () => {
  await suite.close();
  rmSync(folder, { recursive: true, force: true });
});
