// Lists in a Manager.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Manager, type ManagerList, openList, openMap } from '../open-state.ts';

const key = 'the key of the list test';
let folder: string;
let manager: Manager;
let list: ManagerList;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'naru-manager-'));
  manager = await Manager.start({ listen: `unix://${folder}/m.sock`, key, maxValueBytes: 10_000 });
  list = await openList(`${manager.url}?name=log`, { key });
});

afterEach(async () => {
  await list.close();
  await manager.stop();
  rmSync(folder, { recursive: true });
});

test('elements come and go at both ends and in the middle, in one step each', async () => {
  expect(await list.push(1, 2, 3)).toBe(3);
  await list.insert(1, 'a', 'b');
  expect(await list.slice()).toEqual([1, 'a', 'b', 2, 3]);
  expect(await list.splice(1, 2, { c: 1 })).toEqual(['a', 'b']);
  expect(await list.pop()).toBe(3);
  expect(await list.shift()).toBe(1);
  expect(await list.remove(5)).toBeUndefined();
  expect(await list.slice()).toEqual([{ c: 1 }, 2]);
  expect(await list.length()).toBe(2);
  expect(await list.get(-1)).toBe(2);
  expect(await list.get(2)).toBeUndefined();
  expect(await list.slice(-1)).toEqual([2]);
  expect(await list.slice(0, -1)).toEqual([{ c: 1 }]);
  await list.clear();
  expect(await list.pop()).toBeUndefined();
});

test('values are frozen; an element that changed or moved is not overwritten', async () => {
  await list.push({ n: [1] });
  const value = (await list.get(0)) as { n: number[] };
  expect(() => value.n.push(2)).toThrow(TypeError);
  const entry = await list.getEntry(0);
  expect(await list.set(0, { n: [2] }, { ifVersion: entry?.version as string })).toBe(true);
  expect(await list.set(0, { n: [3] }, { ifVersion: entry?.version as string })).toBe(false);
  const again = await list.getEntry(0);
  await list.insert(0, 'first');
  expect(await list.set(0, 'x', { ifVersion: again?.version as string })).toBe(false);
  await expect(list.set(9, 1)).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
});

test('updates of several handles are all stored', async () => {
  const other = await openList(`${manager.url}?name=log`, { key });
  await list.push(0);
  const add = async (one: ManagerList): Promise<void> => {
    for (let n = 0; n < 200; n += 1) await one.update(0, (value) => (value as number) + 1);
  };
  await Promise.all([add(list), add(list), add(other)]);
  expect(await list.get(0)).toBe(600);
  await other.close();
});

test('a long list is read in parts, and only what fits is taken', async () => {
  const numbers = Array.from({ length: 2_000 }, (_, n) => n);
  for (let at = 0; at < numbers.length; at += 200) await list.push(...numbers.slice(at, at + 200));
  expect(await list.slice()).toEqual(numbers);
  let sum = 0;
  for await (const n of list) sum += n as number;
  expect(sum).toBe(1_999_000);
  await expect(list.push(...numbers)).rejects.toMatchObject({ code: 'NARU_TOO_LARGE' });
  await expect(list.push('x'.repeat(10_001))).rejects.toMatchObject({ code: 'NARU_TOO_LARGE' });
  const small = await openList(`${manager.url}?name=small`, { key, maxEntries: 2 });
  await small.push(1, 2);
  await expect(small.push(3)).rejects.toMatchObject({ code: 'NARU_FULL' });
  await small.close();
});

test('a list is nowhere else, and no map', async () => {
  await expect(openList('shm://log')).rejects.toThrow(/lists live in a Manager/);
  await expect(openMap(list.address, { key })).rejects.toMatchObject({ code: 'NARU_EXISTS' });
  await expect(openList(list.address, { key, ttlMs: 1 } as object)).rejects.toThrow(/no option ttlMs/);
  await list.unlink();
  await expect(list.get(0)).rejects.toMatchObject({ code: 'NARU_CLOSED' });
});
