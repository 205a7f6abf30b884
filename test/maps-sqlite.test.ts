// Maps in a file of SQLite from several processes: who makes the tables, who counts, who is killed.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openMap } from 'naru/state';
import { MapWorker, together } from './map-workers.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'naru-sqlite-processes-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const url = (): `sqlite://${string}` => `sqlite://${folder}/a.db?map=m`;

test('processes that start at the same moment make the tables once', async () => {
  const ends = (await together(5, url(), 'start')) as { created: boolean }[];
  expect(ends.filter(({ created }) => created)).toHaveLength(1);
  await using map = await openMap(url());
  expect(await map.size()).toBe(5);
});

test('updates of processes and of loops within them are all counted', async () => {
  await together(3, url(), 'count', 'n', 200, 2);
  await using map = await openMap(url());
  expect(await map.get('n')).toBe(600);
});

test('a killed writer leaves the old value or the new one, and holds up nobody', async () => {
  await using map = await openMap(url());
  for (let round = 0; round < 10; round += 1) {
    using worker = new MapWorker(url(), 'write', 'k');
    let last = 0;
    while (last < 10 + round) last = Number(await worker.line());
    worker.kill();
    const { i, same } = (await map.get('k')) as { i: number; same: string };
    expect(i).toBeGreaterThanOrEqual(last);
    expect(same).toBe(String(i).repeat(50));
    await map.set('k', { i: 0, same: '' });
  }
}, 60_000);

test('an open handle that does nothing lets the process end', async () => {
  using worker = new MapWorker(url(), 'idle');
  const ended = new Promise((resolve) => {
    worker.process.once('close', resolve);
  });
  expect(await worker.line()).toBe('{"value":1}');
  expect(await ended).toBe(0);
});
