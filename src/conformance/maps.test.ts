// Maps of memory://, shm:// and mmap:// against the suite.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { memoryMap } from '../places/memory/map-capabilities.ts';
import { mmapMap } from '../places/mmap/map-capabilities.ts';
import { shmMap } from '../places/shm/map-capabilities.ts';
import { listMapRules, mapConformanceSuite, runMapConformance } from './index.ts';

describe('memory://', () => {
  const suite = mapConformanceSuite({ url: (name) => `memory://${name}`, capabilities: memoryMap });
  for (const { name, run } of suite.cases) test(name, { timeout: 90_000 }, run);
});

describe('shm://', () => {
  const before = process.env['NARU_RUNTIME_DIR'];
  const folder = mkdtempSync('/dev/shm/naru-test-');
  beforeAll(() => {
    process.env['NARU_RUNTIME_DIR'] = folder;
  });
  const suite = mapConformanceSuite({ url: (name) => `shm://${name}`, capabilities: shmMap });
  for (const { name, run } of suite.cases) test(name, { timeout: 90_000 }, run);
  test('leaves nothing behind', () => {
    expect(readdirSync(folder)).toEqual([]);
  });
  afterAll(() => {
    if (before === undefined) delete process.env['NARU_RUNTIME_DIR'];
    else process.env['NARU_RUNTIME_DIR'] = before;
    rmSync(folder, { recursive: true, force: true });
  });
});

describe('mmap://', () => {
  const folder = mkdtempSync('/dev/shm/naru-test-');
  const suite = mapConformanceSuite({ url: (name) => `mmap://${folder}/${name}`, capabilities: mmapMap });
  for (const { name, run } of suite.cases) test(name, { timeout: 90_000 }, run);
  test('leaves nothing behind', () => {
    expect(readdirSync(folder)).toEqual([]);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
});

test('every rule of the contract is covered by a case; skips need a reason', async () => {
  const covered = new Set(listMapRules().flatMap(({ covers = [] }) => covers));
  // M9 is about what a driver does not do.
  expect([1, 2, 3, 4, 5, 6, 7, 8, 10].filter((n) => !covered.has(`M${n}` as 'M1'))).toEqual([]);
  const options = { url: (name: string) => `memory://${name}`, capabilities: memoryMap };
  expect(() => mapConformanceSuite({ ...options, skip: [{ rule: 'values.1', reason: '' }] })).toThrow(
    /say why/,
  );
  expect(() => mapConformanceSuite({ ...options, only: ['nothing'] })).toThrow(/no rule/);
  const report = await runMapConformance({ ...options, only: ['sync', 'lacking'] });
  expect(report).toMatchObject({ passed: 4, failed: 0, skipped: 0 });
});

test('a place that declares what it does not have fails', async () => {
  const features = { ...memoryMap.features, durable: 'native', sync: 'none' } as const;
  const report = await runMapConformance({
    url: (name) => `memory://${name}`,
    capabilities: { ...memoryMap, features },
    only: ['lacking.sync', 'handles.3'],
  });
  expect(report.failures.map(({ rule }) => rule)).toEqual(['handles.3', 'lacking.sync']);
});
