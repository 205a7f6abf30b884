// shm:// with one consumer by declaration: the same rules, but for those about topics and several consumers.

import { mkdtempSync, rmSync } from 'node:fs';
import { afterAll, test } from 'vitest';
import { shm } from '../places/shm/capabilities.ts';
import { conformanceSuite } from './index.ts';

const folder = mkdtempSync('/dev/shm/naru-conformance-');
process.env['NARU_RUNTIME_DIR'] = folder;
const suite = conformanceSuite({
  url: (name) => `shm://${name}?relation=N:1`,
  capabilities: {
    ...shm,
    features: {
      ...shm.features,
      multiConsumer: 'none',
      deliverAll: 'none',
      overwrite: 'none',
      retain: 'none',
      replay: 'none',
    },
  },
  only: [
    'sync',
    'settle',
    'iteration',
    'consume',
    'abort',
    'full',
    'death',
    'order',
    'claim',
    'views',
    'blocking',
  ],
});

for (const { name, skip, run } of suite.cases) test.skipIf(skip !== undefined)(name, run);

afterAll(async () => {
  await suite.close();
  rmSync(folder, { recursive: true, force: true });
});
