// mmap:// against the suite, its files in a folder of its own. Once all are closed nothing but the files themselves is left: the
// last test looks.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { mmap } from '../places/mmap/capabilities.ts';
import { conformanceSuite } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'naru-conformance-'));
const suite = conformanceSuite({ url: (name) => `mmap://${folder}/${name}`, capabilities: mmap });

for (const { name, skip, run } of suite.cases) test.skipIf(skip !== undefined)(name, run);

test('no lock and no doorbell is left beside the files', async () => {
  await suite.close();
  expect(readdirSync(folder).filter((name) => name.endsWith('.naru'))).toEqual([]);
});

afterAll(async () => {
  await suite.close();
  rmSync(folder, { recursive: true, force: true });
});
