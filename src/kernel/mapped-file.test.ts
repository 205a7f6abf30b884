// MappedFile: view, flush, grow, truncation by somebody else, and Python's mmap on the other side.

import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from '../native/index.ts';
import { MappedFile } from './mapped-file.ts';
import { codeOf, KernelStage } from './stage.fixture.ts';

describe.skipIf(tryNative() === undefined)(`MappedFile (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: KernelStage;
  let path: string;
  beforeEach(() => {
    stage = new KernelStage();
    path = stage.path('file');
  });
  afterEach(() => stage.close());

  test('what is written is in the file, also after all have closed it', async () => {
    const old = process.umask(0o077);
    try {
      await using file = new MappedFile(path, { sizeBytes: 5000, mode: 0o644 });
      expect([file.made, file.sizeBytes, statSync(path).mode & 0o777]).toEqual([true, 5000, 0o644]);
      file.bytes.set(Buffer.from('hello'), 4995);
      await file.flush();
    } finally {
      process.umask(old);
    }
    expect(readFileSync(path).subarray(4995).toString()).toBe('hello');
    await using again = new MappedFile(path, { readOnly: true, create: 'never' });
    expect(Buffer.from(again.bytes.slice(4995)).toString()).toBe('hello');
    expect(await codeOf(() => again.grow(10_000))).toBe('NARU_DENIED');
  });

  test('it grows, and another handle sees that and follows', async () => {
    await using one = new MappedFile(path, { sizeBytes: 4096 });
    await using two = new MappedFile(path);
    const before = one.bytes;
    one.grow(100_000)[99_999] = 7;
    one.bytes[0] = 5;
    expect([before[0], two.bytes[0], two.sizeBytes]).toEqual([5, 5, 4096]);
    expect(two.check()).toBe(100_000);
    expect(two.grow(1)[99_999]).toBe(7);
    expect(await codeOf(() => one.grow(2 ** 51))).toBe('NARU_LIMIT');
    expect(one.sizeBytes).toBe(100_000);
  });

  test('a file that another process made smaller is corrupt for who has it mapped, and at the next open', async () => {
    await using file = new MappedFile(path, { sizeBytes: 8192 });
    truncateSync(path, 4096);
    expect(await codeOf(() => file.check())).toBe('NARU_CORRUPT');
    expect(await codeOf(() => file.flush())).toBe('NARU_CORRUPT');
    expect(await codeOf(() => file.grow(10_000))).toBe('NARU_CORRUPT');
    expect(await codeOf(() => new MappedFile(path, { sizeBytes: 8192 }))).toBe('NARU_CORRUPT');
  });

  test('what does not exist, exists, is empty or is no file', async () => {
    expect(await codeOf(() => new MappedFile(path))).toBe('NARU_INVALID_ARGUMENT');
    expect(await codeOf(() => new MappedFile(path, { create: 'never' }))).toBe('NARU_NOT_FOUND');
    writeFileSync(path, '');
    expect(await codeOf(() => new MappedFile(path))).toBe('NARU_CORRUPT');
    expect(await codeOf(() => new MappedFile(path, { create: 'new', sizeBytes: 1 }))).toBe('NARU_EXISTS');
    mkdirSync(stage.path('folder'));
    expect(await codeOf(() => new MappedFile(stage.path('folder')))).toBe('NARU_INVALID_ARGUMENT');
    const file = new MappedFile(path, { sizeBytes: 10 });
    await file.close();
    await file.close();
    expect(await codeOf(() => file.bytes)).toBe('NARU_CLOSED');
    expect(await codeOf(() => file.flush())).toBe('NARU_CLOSED');
  });

  test("Python's mmap shares the bytes", async () => {
    await using file = new MappedFile(path, { sizeBytes: 4096 });
    file.bytes.set(Buffer.from('to python'));
    const program = `
import mmap, sys
with open(sys.argv[1], 'r+b') as f:
    m = mmap.mmap(f.fileno(), 0)
    print(m[0:9].decode(), flush=True)
    m[100:111] = b'from python'
    m.close()
`;
    const child = stage.start('python3', ['-c', program, path]);
    expect(await child.line()).toBe('to python');
    expect(await child.end()).toMatchObject({ code: 0 });
    expect(Buffer.from(file.bytes.slice(100, 111)).toString()).toBe('from python');
  });
});
