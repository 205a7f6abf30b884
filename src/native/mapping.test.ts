// map, unmap, allocate: memory that processes share.

import { spawnSync } from 'node:child_process';
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from './index.ts';
import { actFile, addon, Stage } from './stage.fixture.ts';

describe.skipIf(tryNative() === undefined)(`mapped memory (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: Stage;
  beforeEach(() => {
    stage = new Stage();
  });
  afterEach(() => stage.close());

  test('what is written to the file is in the buffer, and the other way round', () => {
    writeFileSync(stage.path('a'), 'naru'.padEnd(64));
    const bytes = new Uint8Array(addon.map(stage.open('a', 'r+'), 64, false));
    expect(Buffer.from(bytes.subarray(0, 4)).toString()).toBe('naru');
    bytes.set(Buffer.from('ferry'));
    expect(readFileSync(stage.path('a'), 'latin1').slice(0, 5)).toBe('ferry');
  });

  test('the form is the one that is announced', () => {
    const buffer = stage.mapped('a');
    expect(buffer instanceof SharedArrayBuffer).toBe(addon.hasSharedArrayBuffer);
    expect(buffer.byteLength).toBe(4096);
  });

  test('two processes count with Atomics and lose nothing', async () => {
    const words = new Int32Array(stage.mapped('a'));
    const times = 300_000;
    const child = stage.act('count', stage.path('a'), String(times));
    expect(await child.line()).toBe('ready');
    Atomics.store(words, 0, 1);
    addon.futexWake(words.buffer, 0, 1);
    for (let i = 0; i < times; i++) Atomics.add(words, 1, 1);
    expect(await child.end()).toMatchObject({ code: 0 });
    expect(Atomics.load(words, 1)).toBe(2 * times);
  });

  test('a guarded mapping outlives the truncation of its file, and says that it is torn', () => {
    const fd = stage.open('a');
    ftruncateSync(fd, 3 * 4096);
    const buffer = addon.map(fd, 3 * 4096, false);
    const bytes = new Uint8Array(buffer).fill(7);
    expect([addon.guard(buffer), addon.guard(buffer), addon.isTorn(buffer)]).toEqual([true, true, false]);
    ftruncateSync(fd, 4096);
    expect(addon.isTorn(buffer)).toBe(false);
    expect([bytes[0], bytes[5000], bytes[12_000]]).toEqual([7, 0, 0]);
    bytes[5000] = 9;
    expect([bytes[5000], addon.isTorn(buffer)]).toEqual([9, true]);
    // What came later is not in the torn page.
    ftruncateSync(fd, 3 * 4096);
    expect(bytes[5000]).toBe(9);
    expect(() => addon.guard(new ArrayBuffer(8))).toThrow(TypeError);
  });

  test('a file that is too short is ERANGE, and nothing is mapped', () => {
    const fd = stage.open('a');
    ftruncateSync(fd, 100);
    expect(() => addon.map(fd, 101, false)).toThrow(
      expect.objectContaining({
        code: 'ERANGE',
        syscall: 'mmap',
        message: expect.stringContaining('the file has 100 bytes, 101 were to be mapped') as string,
      }),
    );
  });

  test('a system error carries code, errno and syscall', () => {
    expect(() => addon.map(1_000_000, 1, false)).toThrow(
      expect.objectContaining({ code: 'EBADF', errno: -9, syscall: 'fstat' }),
    );
    const fd = openSync(stage.folder, 'r');
    expect(() => addon.allocate(fd, 0, 1)).toThrow(
      expect.objectContaining({ code: 'EBADF', syscall: 'fallocate' }),
    );
    closeSync(fd);
  });

  test('a file opened for reading maps read-only, and is EACCES otherwise', () => {
    writeFileSync(stage.path('a'), 'abcd');
    const fd = stage.open('a', 'r');
    expect(new Uint8Array(addon.map(fd, 4, true))[0]).toBe(97);
    expect(() => addon.map(fd, 4, false)).toThrow(expect.objectContaining({ code: 'EACCES' }));
  });

  test('unmap ends an ArrayBuffer at once and is idempotent; a SharedArrayBuffer is left to the collector', () => {
    const buffer = stage.mapped('a');
    const view = new Uint8Array(buffer);
    const now = !addon.hasSharedArrayBuffer;
    expect(addon.unmap(buffer)).toBe(now);
    expect(addon.unmap(buffer)).toBe(now);
    expect(view.length).toBe(now ? 0 : 4096);
    expect(readFileSync('/proc/self/maps', 'latin1').includes(stage.folder)).toBe(!now);
  });

  test('unmap refuses a buffer that map did not give', () => {
    const foreign = new ArrayBuffer(8);
    expect(() => addon.unmap(foreign)).toThrow(TypeError);
    expect(foreign.byteLength).toBe(8);
  });

  test('memory that is unmapped under a waiting thread stays until that thread has ended', async () => {
    const buffer = stage.mapped('a');
    const wait = addon.futexWaitAsync(buffer, 0, 0, 120, true);
    addon.unmap(buffer);
    expect(readFileSync('/proc/self/maps', 'latin1')).toContain(stage.folder);
    expect(await wait).toBe('timeout');
    if (!addon.hasSharedArrayBuffer)
      expect(readFileSync('/proc/self/maps', 'latin1')).not.toContain(stage.folder);
  });

  test('mapping 10,000 times leaves neither mappings nor descriptors behind', async () => {
    const fd = stage.open('a');
    addon.allocate(fd, 0, 4096);
    if (!addon.hasSharedArrayBuffer) {
      const before = readdirSync('/proc/self/fd').length;
      for (let i = 0; i < 10_000; i++) addon.unmap(addon.map(fd, 4096, false));
      expect(readFileSync('/proc/self/maps', 'latin1')).not.toContain(stage.folder);
      expect(readdirSync('/proc/self/fd').length).toBe(before);
    }
    const child = stage.act('collect', stage.path('a'), '10000');
    expect(await child.line()).toBe('0');
    expect(await child.end()).toMatchObject({ code: 0, signal: null });
  });

  const unshare = ['-m', '-Ur -m']
    .map((flags) => flags.split(' '))
    .find(
      (flags) =>
        spawnSync('unshare', [...flags, 'sh', '-c', 'mount -t tmpfs -o size=1m tmpfs /mnt']).status === 0,
    );
  test('more than there is memory is ENOSPC before the first page is taken', () => {
    const fd = stage.open('huge');
    for (const size of [2 ** 40, 2 ** 51])
      expect(() => addon.allocate(fd, 0, size)).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
    expect(fstatSync(fd).blocks).toBe(0);
  });

  test.skipIf(unshare === undefined)(
    'a full file system is ENOSPC from allocate, not SIGBUS later (needs unshare with a tmpfs)',
    async () => {
      mkdirSync(stage.path('small'));
      const script = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$1" "$2" allocate "$0/a" "$3"';
      const begin = (size: number): ReturnType<Stage['start']> => {
        const run = ['sh', '-c', script, stage.path('small'), process.execPath, actFile, String(size)];
        return stage.start('unshare', [...(unshare ?? []), ...run]);
      };
      expect(await begin(4 << 20).line()).toBe('ENOSPC -28 fallocate');
      expect(await begin(512 << 10).line()).toBe('allocated');
    },
  );
});
