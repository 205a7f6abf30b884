// Values and maps of mmap:///file: that they outlive their users, and that a file of somebody else's is left alone. What else they do is
// mapped-state/'s and tested with shm://.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { open } from 'naru';
import { openArray, openMap, openValue } from 'naru/state';
import { removeMapped } from './listing.ts';
import { parseUrl } from '../../mailbox/parse-url.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync('/dev/shm/naru-test-');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('what is in them stays when nobody uses them; nothing lies beside the file then', async () => {
  const value = await openValue(`mmap://${folder}/count`, 'i64');
  value.set(7n);
  await value.close();
  const map = await openMap(`mmap://${folder}/map?capacity=64KiB`);
  await map.set('a', { b: 1 });
  await map.close();
  expect(readdirSync(folder).toSorted()).toEqual(['count', 'map']);
  await using again = await openValue(`mmap://${folder}/count`, 'i64', { create: 'never' });
  await using other = await openMap(`mmap://${folder}/map`);
  expect([again.created, again.get(), await other.get('a')]).toEqual([false, 7n, { b: 1 }]);
  await expect(openArray(`mmap://${folder}/count`, BigInt64Array)).rejects.toMatchObject({
    code: 'NARU_EXISTS',
  });
  await again.unlink();
  expect(existsSync(`${folder}/count`)).toBe(false);
});

test('a file of somebody else’s is refused and left as it is', async () => {
  const content = 'my own notes\n'.repeat(5000);
  writeFileSync(`${folder}/notes`, content, { mode: 0o600 });
  writeFileSync(`${folder}/zeros`, Buffer.alloc(65_536), { mode: 0o600 });
  for (const name of ['notes', 'zeros']) {
    await expect(openValue(`mmap://${folder}/${name}`, 'i32')).rejects.toMatchObject({
      code: 'NARU_CORRUPT',
    });
    await expect(openMap(`mmap://${folder}/${name}`)).rejects.toMatchObject({ code: 'NARU_CORRUPT' });
  }
  await expect(removeMapped(parseUrl(`mmap://${folder}/notes`).parts)).rejects.toMatchObject({
    code: 'NARU_CORRUPT',
  });
  expect(readFileSync(`${folder}/notes`, 'utf8')).toBe(content);
  expect(readdirSync(folder).toSorted()).toEqual(['notes', 'zeros']);
});

test('a ring, a folder that is not there, and owners that a file cannot have are refused', async () => {
  await using mailbox = await open(`mmap://${folder}/ring`);
  await mailbox.send('x');
  await expect(openMap(`mmap://${folder}/ring`)).rejects.toMatchObject({ code: 'NARU_CORRUPT' });
  await expect(openMap(`mmap://${folder}/none/map`)).rejects.toMatchObject({ code: 'NARU_NOT_FOUND' });
  await expect(openMap(`mmap://${folder}/map?owner=users`)).rejects.toMatchObject({
    code: 'NARU_UNSUPPORTED',
  });
  await expect(openValue('mmap://name', 'i32')).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
});

test('naru rm removes them', async () => {
  await using value = await openValue(`mmap://${folder}/v`, 'i32');
  expect(await removeMapped(parseUrl(`mmap://${folder}/v`).parts)).toBe(true);
  expect(existsSync(`${folder}/v`)).toBe(false);
  await new Promise(setImmediate);
  expect(() => value.get()).toThrow(expect.objectContaining({ code: 'NARU_CLOSED' }));
});
