// Two copies of the package in one program (two dependants with an installation of their own) share memory mailboxes.

import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { open } from '../../index.ts';

const dist = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'naru-copy-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a mailbox of one copy is the mailbox of the other, in all it does', async () => {
  const isCode = (source: string): boolean => !/\.(?:test|fixture)\.|\.map$|\.d\.ts$/.test(source);
  cpSync(dist, join(folder, 'dist'), { recursive: true, filter: isCode });
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const copy = (await import(pathToFileURL(join(folder, 'dist/index.js')).href)) as { open: typeof open };
  expect(copy.open).not.toBe(open);

  await using mine = await open('memory://shared');
  await using theirs = await copy.open('memory://shared');
  expect([mine.created, theirs.created]).toEqual([true, false]);
  theirs.serve(({ data }) => `${String(data)}!`);
  expect((await mine.request('hello')).data).toBe('hello!');
  await theirs.unlink();
  await expect(mine.send('late')).rejects.toMatchObject({ code: 'NARU_CLOSED' });
});
