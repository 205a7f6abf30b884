// Locks, semaphores and events of shm:// against the suite; and the suite itself.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { shmSyncCapabilities } from '../places/shm/sync-capabilities.ts';
import { SYNC_PLACES } from '../places/sync-registry.ts';
import { listSyncRules, runSyncConformance, syncConformanceSuite } from './index.ts';

const before = process.env['NARU_RUNTIME_DIR'];
const folder = mkdtempSync('/dev/shm/naru-test-');
beforeAll(() => {
  process.env['NARU_RUNTIME_DIR'] = folder;
});
afterAll(() => {
  if (before === undefined) delete process.env['NARU_RUNTIME_DIR'];
  else process.env['NARU_RUNTIME_DIR'] = before;
  rmSync(folder, { recursive: true, force: true });
});

const options = { url: (name: string) => `shm://${name}`, capabilities: shmSyncCapabilities };
for (const { name, run } of syncConformanceSuite(options).cases) test(name, { timeout: 90_000 }, run);

test('nothing is left behind', () => {
  expect(readdirSync(folder)).toEqual([]);
});

test('every place declares what it has under its own scheme', async () => {
  for (const [scheme, load] of Object.entries(SYNC_PLACES))
    expect((await load()).syncPlace.capabilities.scheme).toBe(scheme);
});

test('every rule of the contract is covered by a case; skips need a reason', () => {
  const covered = new Set(listSyncRules().flatMap(({ covers = [] }) => covers));
  // S7 is about what a driver does not do.
  expect([1, 2, 3, 4, 5, 6, 8].filter((n) => !covered.has(`S${n}` as 'S1'))).toEqual([]);
  expect(() => syncConformanceSuite({ ...options, skip: [{ rule: 'lock.1', reason: '' }] })).toThrow(
    /say why/,
  );
  expect(() => syncConformanceSuite({ ...options, only: ['nothing'] })).toThrow(/no rule/);
});

test('a place that has what it declares not to have fails', async () => {
  const features = { ...shmSyncCapabilities.features, immediate: 'none', blocking: 'none' } as const;
  const report = await runSyncConformance({
    ...options,
    capabilities: { ...shmSyncCapabilities, features },
    only: ['lacking', 'processes.7'],
  });
  expect(report).toMatchObject({ passed: 0, failed: 2, inapplicable: 1 });
});
