// Two processes count one value to exactly 100,000 through update(), in shared memory, in a Manager, in a file of SQLite and on each engine. Each step reads, computes
// and compares-and-sets; nothing is put together into one.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Manager, openMap } from 'naru/state';
import { memcached } from '#naru/engines/memcached.fixture';
import { onlyWith } from '#naru/engines/only-with.fixture';
import { postgres } from '#naru/engines/postgres.fixture';
import { redis } from '#naru/engines/redis.fixture';
import { together } from './map-workers.ts';

const TOTAL = 100_000;
const PROCESSES = 2;
/** Loops that update at the same time, in each process. More of them would only meet more often. */
const LANES = 1;

const folder = mkdtempSync(join(tmpdir(), 'naru-count-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function countTo(url: string): Promise<void> {
  const map = await openMap(url);
  try {
    const started = performance.now();
    await together(PROCESSES, url, 'count', 'total', TOTAL / PROCESSES, LANES);
    const perSecond = TOTAL / ((performance.now() - started) / 1000);
    console.log(`${url.split(':')[0]}: ${Math.round(perSecond)} updates a second`);
    expect(await map.get('total')).toBe(TOTAL);
  } finally {
    await map.close();
  }
}

const name = `count-${process.pid}`;
test('shared memory counts to exactly 100,000', async () => {
  const before = process.env['NARU_RUNTIME_DIR'];
  const runtime = mkdtempSync('/dev/shm/naru-count-');
  process.env['NARU_RUNTIME_DIR'] = runtime;
  try {
    await countTo(`shm://${name}`);
  } finally {
    if (before === undefined) delete process.env['NARU_RUNTIME_DIR'];
    else process.env['NARU_RUNTIME_DIR'] = before;
    rmSync(runtime, { recursive: true, force: true });
  }
}, 900_000);
test('a Manager counts to exactly 100,000', async () => {
  const before = process.env['NARU_MANAGER_KEY'];
  await using manager = await Manager.start({ listen: `unix://${folder}/m.sock` });
  process.env['NARU_MANAGER_KEY'] = manager.key;
  try {
    await countTo(`${manager.url}?name=${name}`);
  } finally {
    if (before === undefined) delete process.env['NARU_MANAGER_KEY'];
    else process.env['NARU_MANAGER_KEY'] = before;
  }
}, 900_000);
onlyWith(redis, 'SQLite', () => {
  test(
    'counts to exactly 100,000',
    () => countTo(`sqlite://${folder}/count.db?map=${name}&survives=process`),
    900_000,
  );
});
for (const engine of [postgres, redis, memcached]) {
  onlyWith(engine, engine.name, (shared) => {
    test('counts to exactly 100,000', () => countTo(`${shared}?map=${name}`), 900_000);
  });
}
