// naru doctor --verify: a whole folder is 0, a damaged one 71 with file and offset, one that is open or not there 1.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openLog } from '../disk/index.ts';

const program = fileURLToPath(new URL('./index.js', import.meta.url));
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'naru-verify-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function verify(...args: readonly string[]): { code: number | null; output: string; errors: string } {
  const all = [program, 'doctor', '--verify', ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' });
  return { code: status, output: stdout, errors: stderr };
}

test('a folder is whole, then damaged, and says so', async () => {
  const log = await openLog(folder, { segmentBytes: 1 << 16 });
  log.append(
    Array.from({ length: 50 }, (_, index) => ({ stream: 1, body: new Uint8Array(100).fill(index + 1) })),
  );
  await log.commit('disk');
  expect(verify(folder)).toMatchObject({ code: 1, errors: expect.stringContaining('NARU_EXISTS') });
  await log.close();
  const whole = verify(folder, '--json');
  expect(whole.code).toBe(0);
  expect(JSON.parse(whole.output)).toMatchObject({
    ok: true,
    isClean: true,
    segments: 1,
    storedRecords: 50,
    damaged: [],
  });

  const file = join(folder, '00000001.0.seg');
  const bytes = readFileSync(file);
  const body = bytes.indexOf(Buffer.alloc(100, 7));
  bytes[body + 5] = 0;
  writeFileSync(file, bytes);
  expect(verify(folder)).toMatchObject({
    code: 71,
    output: expect.stringContaining(`damaged: 00000001.0.seg at byte ${body - 40}:`),
  });
  bytes[body - 20] = 1;
  writeFileSync(file, bytes);
  expect(verify(folder)).toMatchObject({
    code: 71,
    errors: expect.stringContaining(`00000001.0.seg at byte ${body - 40}`),
  });
}, 60_000);

test('a folder without a log, or none, is not found, and is not made', () => {
  expect(verify(join(folder, 'none'))).toMatchObject({
    code: 1,
    errors: expect.stringContaining('NARU_NOT_FOUND'),
  });
  expect(verify(folder)).toMatchObject({ code: 1, errors: expect.stringContaining('NARU_NOT_FOUND') });
});
