// Both packages, loaded before a test looks at the clock: the first of them takes a second of a processor that is free, and ten where others
// want it, too.

import { beforeAll } from 'vitest';
import { loadPackage as loadKafkaJs } from './kafkajs/package.ts';
import { loadPackage as loadPlatformatic } from './platformatic/package.ts';

/** How long that may take, in milliseconds. */
const LOAD_MS = 120_000;

/** For the top of a file of tests. */
export function loadFirst(): void {
  beforeAll(async () => {
    await Promise.all([loadPlatformatic(), loadKafkaJs()]);
  }, LOAD_MS);
}
