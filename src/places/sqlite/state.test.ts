// Maps in a file of SQLite: several handles and processes at once, a file that others hold, that is damaged, newer, or lies where locks do not hold.

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isNaruError, type NaruError } from '../../errors/index.ts';
import { openMap } from '../../open-state.ts';
import type { SharedMap } from '../../state/map.ts';
import { Connection } from './connection.ts';
import { Database } from './database.ts';
import { networkFileSystem } from './file.ts';

let folder = '';
const closers: (() => unknown)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'naru-sqlite-'));
});
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
  rmSync(folder, { recursive: true });
});

const url = (more = ''): string => `sqlite://${folder}/a.db?map=m${more}`;

async function open(at = url(), options: Parameters<typeof openMap>[1] = {}): Promise<SharedMap> {
  const map = await openMap(at, options);
  closers.push(() => map.close());
  return map;
}

async function raw(): Promise<Database> {
  const database = await Database.open(join(folder, 'a.db'));
  closers.push(() => database.close());
  return database;
}

async function refusal(act: () => Promise<unknown>): Promise<NaruError> {
  try {
    await act();
  } catch (error) {
    if (isNaruError(error)) return error;
    throw error;
  }
  throw new Error('it was expected to fail');
}

test('keys and values of any bytes, in pages, through two handles', async () => {
  const [a, b] = [await open(url(), { codec: 'text' }), await open(url(), { codec: 'text' })];
  expect([a.created, b.created]).toEqual([true, false]);
  const keys = [' ', '\0', 'a\0b', "'; DROP TABLE naru_maps; --", '%_', '키-🚢', 'k'.repeat(1024)];
  for (let i = 0; i < 600; i += 1) keys.push(`key ${i}`);
  for (const key of keys) await a.set(key, `value of ${key}`);
  for (const key of keys) expect(await b.get(key)).toBe(`value of ${key}`);
  const found: string[] = [];
  for await (const { key, value } of b.entries()) {
    expect(value).toBe(`value of ${key}`);
    found.push(key);
  }
  expect(found.sort()).toEqual([...keys].sort());
  expect(await b.size()).toBe(keys.length);
  await b.clear();
  expect(await a.size()).toBe(0);
});

test('conditions, versions and times to live', async () => {
  const [a, b] = [await open(), await open()];
  expect(await a.set('k', 1, { ifAbsent: true })).toBe(true);
  expect(await b.set('k', 2, { ifAbsent: true })).toBe(false);
  const old = (await b.getEntry('k'))?.version as string;
  await a.set('k', 1);
  expect(await b.set('k', 2, { ifVersion: old })).toBe(false);
  expect(await b.delete('k', { ifVersion: old })).toBe(false);
  await a.set('t', 1, { ttlMs: 30 });
  await new Promise((resolve) => setTimeout(resolve, 35));
  expect([await b.get('t'), await b.delete('t'), await b.size()]).toEqual([undefined, false, 1]);
  expect(await b.set('t', 2, { ifAbsent: true })).toBe(true);
  expect(await a.get('t')).toBe(2);
});

test('what has expired is removed from the file in time', async () => {
  const map = await open();
  for (let i = 0; i < 150; i += 1) await map.set(`short ${i}`, i, { ttlMs: 1 });
  await new Promise((resolve) => setTimeout(resolve, 5));
  for (let i = 0; i < 60; i += 1) await map.set('long', i);
  const [row] = (await raw()).query('SELECT count(*) AS count FROM naru_map_1').all();
  expect(Number(row?.['count'])).toBe(1);
});

test('updates of several handles are all counted', async () => {
  const maps = [await open(), await open(), await open()];
  await Promise.all(
    Array.from({ length: 300 }, (_, i) =>
      (maps[i % 3] as SharedMap).update('n', (n) => ((n as number | undefined) ?? 0) + 1),
    ),
  );
  expect(await maps[0]?.get('n')).toBe(300);
});

test('a change reaches those who watch in another handle, without polling', async () => {
  const [writer, reader] = [await open(), await open()];
  const watch = reader.watch('k');
  const first = watch.next();
  // The watch has started when it has seen something.
  const seen: unknown[] = [];
  void first.then((change) => seen.push(change));
  for (let i = 0; seen.length === 0; i += 1) {
    await writer.set('k', i);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const changes: unknown[] = [];
  const reading = (async () => {
    for await (const { entry } of watch) {
      changes.push(entry?.value);
      if (entry === undefined) return;
    }
  })();
  await writer.set('k', 'last');
  await expect.poll(() => changes, { timeout: 1000, interval: 5 }).toContain('last');
  await writer.delete('k');
  await reading;
});

test('a file that others hold: a bounded wait that does not block the event loop, then NARU_TIMEOUT; nothing is changed', async () => {
  const map = await open(url('&busyTimeoutMs=300'));
  await map.set('k', 1);
  const other = await raw();
  other.exec('BEGIN IMMEDIATE');
  let turns = 0;
  const turning = setInterval(() => (turns += 1), 5);
  const started = performance.now();
  const error = await refusal(() => map.set('k', 2));
  clearInterval(turning);
  expect(error.code).toBe('NARU_TIMEOUT');
  expect(performance.now() - started).toBeGreaterThan(290);
  expect(turns).toBeGreaterThan(10);
  // Readers are held up by no writer.
  expect(await map.get('k')).toBe(1);
  const later = map.set('k', 3);
  setTimeout(() => other.exec('COMMIT'), 50);
  expect([await later, await map.get('k')]).toEqual([true, 3]);
});

test('a slow reader holds up no writer, and sees what was there all the time exactly once', async () => {
  const map = await open();
  for (let i = 0; i < 700; i += 1) await map.set(`stays ${i}`, i);
  const writer = await open();
  const seen = new Map<string, number>();
  for await (const key of map.keys()) {
    seen.set(key, (seen.get(key) ?? 0) + 1);
    if (seen.size % 100 === 0) await writer.set(`new ${seen.size}`, 1);
  }
  for (let i = 0; i < 700; i += 1) expect(seen.get(`stays ${i}`)).toBe(1);
});

test('a removed map is gone for its other handles, and one of its name is another', async () => {
  const [a, b] = [await open(), await open()];
  await a.set('k', 1);
  await b.unlink();
  const again = await open(url(), { create: 'new' });
  for (const old of [a, b])
    for (const act of [() => old.get('k'), () => old.set('k', 2), () => old.delete('k'), () => old.size()])
      expect((await refusal(act)).code).toBe('NARU_CLOSED');
  expect(await again.size()).toBe(0);
  expect((await refusal(() => open(url(), { create: 'new' }))).code).toBe('NARU_EXISTS');
  expect((await refusal(() => open(url(), { maxValueBytes: 5 }))).code).toBe('NARU_EXISTS');
});

test('files that are not there, no database, damaged, or of a newer Naru', async () => {
  expect((await refusal(() => open(url(), { create: 'never' }))).code).toBe('NARU_NOT_FOUND');
  expect(readdirSync(folder)).toEqual([]);
  expect((await refusal(() => open(`sqlite://${folder}/no/such/a.db`))).code).toBe('NARU_NOT_FOUND');
  writeFileSync(join(folder, 'text.db'), 'this is no database at all\n'.repeat(50));
  expect((await refusal(() => open(`sqlite://${folder}/text.db`))).code).toBe('NARU_CORRUPT');
  for (const wrong of ['sqlite://a.db', `sqlite://${folder}/`, 'sqlite:///%00.db'])
    expect((await refusal(() => open(wrong))).code).toBe('NARU_INVALID_ARGUMENT');
  await (await open()).set('k', 1);
  const database = await raw();
  database.write(() => database.exec("UPDATE naru_format SET version = 99 WHERE part = 'map'"));
  const error = await refusal(() => open());
  expect(error.code).toBe('NARU_CORRUPT');
  expect(error.message).toMatch(/format 99, this version of Naru knows 1/);
});

test.each(["x'; DROP TABLE naru_maps; --", 'a b', '../x', ''])('the name %j is refused', async (name) => {
  const error = await refusal(() => open(`sqlite://${folder}/a.db?map=${encodeURIComponent(name)}`));
  expect(error.code).toBe('NARU_INVALID_ARGUMENT');
});

test('network file systems are known by their type', () => {
  expect(networkFileSystem(0x6969)).toBe('NFS');
  expect(networkFileSystem(0xff534d42 | 0)).toBe('CIFS');
  expect(networkFileSystem(0xfe534d42)).toBe('SMB 2');
  for (const local of [0xef53, 0x01021994, 0x9123683e, 0x58465342, 0x794c7630])
    expect(networkFileSystem(local)).toBeUndefined();
});

test.each([
  [undefined, 2],
  ['restart', 2],
  ['process', 1],
] as const)('survives: %s commits with synchronous = %i', async (survives, level) => {
  const connection = await Connection.open({
    path: join(folder, 'a.db'),
    text: url(),
    busyTimeoutMs: 1,
    isDurable: survives !== 'process',
  });
  closers.push(() => connection.close());
  const [row] = await connection.run((db) => db.query('PRAGMA synchronous').all());
  expect(row?.['synchronous']).toBe(level);
});

test('opening and closing leaves no descriptor', async () => {
  const count = (): number => readdirSync('/proc/self/fd').length;
  await (await openMap(url())).close();
  const before = count();
  for (let i = 0; i < 200; i += 1) {
    const map = await openMap(url());
    await map.set('k', i);
    await map.close();
    await new Promise(setImmediate);
  }
  // libsql (Node 20) gives some back a little later.
  expect(count()).toBeLessThanOrEqual(before + 40);
});
