// What mmap:// adds to a mailbox in shared memory: files chosen by the user, what is refused, truncation, hostile contents. The rest
// is shm://'s tests and the conformance suite.

import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  closeSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isNaruError } from '../../errors/index.ts';
import { open } from '../../open.ts';
import { HEADER } from '../../ring/layout.ts';
import { Files } from './files.fixture.ts';
import { fileSystemObjection, objectionTo } from '../../disk/file-system.ts';
import { listMapped } from './index.ts';

let files: Files;
beforeEach(() => {
  files = new Files();
});
afterEach(() => files[Symbol.asyncDispose]());

/** Overwrites a word of a file. */
function poke(path: string, offset: number, value: number): void {
  const fd = openSync(path, 'r+');
  const word = Buffer.alloc(4);
  word.writeUInt32LE(value >>> 0);
  writeSync(fd, word, 0, 4, offset);
  closeSync(fd);
}

describe('the file', () => {
  test('is made with mode 600 whatever the umask, is listed while open, and is all that stays', async () => {
    const before = process.umask(0);
    const mailbox = await open(`mmap://${files.folder}/a%20b%23c`);
    process.umask(before);
    expect(mailbox.created).toBe(true);
    expect(statSync(files.path('a b#c')).mode & 0o777).toBe(0o600);
    expect(statSync(`${files.path('a b#c')}.naru`).mode & 0o777).toBe(0o700);
    await mailbox.send('kept');
    const listed = listMapped().find(({ path }) => path === files.path('a b#c'));
    expect(listed).toMatchObject({ address: mailbox.address, state: 'live', owner: 'system', depth: 1 });
    await mailbox.close();
    expect(readdirSync(files.folder)).toEqual(['a b#c']);
    expect(listMapped().some(({ path }) => path.startsWith(files.folder))).toBe(false);
    await using again = await open(mailbox.address as `mmap:///${string}`, { create: 'never' });
    expect((await again.receive()).data).toBe('kept');
    await again.unlink();
    expect(readdirSync(files.folder)).toEqual([]);
  });

  test('options that differ from what exists are told with both values', async () => {
    await using first = await open(`${files.url('m')}?capacity=64KiB`);
    expect(first.created).toBe(true);
    await expect(open(`${files.url('m')}?capacity=1MiB`)).rejects.toMatchObject({
      code: 'NARU_EXISTS',
      place: 'mmap',
      message: expect.stringContaining('asked 1 MiB, is 64 KiB'),
    });
    await expect(open(files.url('m'), { owner: 'users' })).rejects.toMatchObject({ code: 'NARU_EXISTS' });
    await expect(open(files.url('m'), { create: 'new' })).rejects.toMatchObject({ code: 'NARU_EXISTS' });
    await expect(open(files.url('n'), { create: 'never' })).rejects.toMatchObject({
      code: 'NARU_NOT_FOUND',
      message: expect.stringContaining(files.path('n')),
    });
    await expect(open(files.url('no/such/n'))).rejects.toMatchObject({ code: 'NARU_NOT_FOUND' });
    expect(readdirSync(files.folder).toSorted()).toEqual(['m', 'm.naru']);
  });

  test('goes with its users when it was made so', async () => {
    const one = await open(`${files.url('m')}?owner=users`);
    const other = await open(files.url('m'));
    await one.close();
    expect(existsSync(files.path('m'))).toBe(true);
    await other.close();
    expect(readdirSync(files.folder)).toEqual([]);
  });

  test('of another kind is refused and left as it is', async () => {
    const refused = async (name: string, code: string): Promise<void> => {
      await expect(open(files.url(name)), name).rejects.toMatchObject({ code });
    };
    writeFileSync(files.path('text'), 'x'.repeat(10_000), { mode: 0o600 });
    writeFileSync(files.path('short'), 'x', { mode: 0o600 });
    writeFileSync(files.path('empty'), '', { mode: 0o600 });
    writeFileSync(files.path('zeros'), Buffer.alloc(8192), { mode: 0o600 });
    mkdirSync(files.path('folder'));
    for (const name of ['text', 'short', 'empty', 'zeros']) await refused(name, 'NARU_CORRUPT');
    await refused('folder', 'NARU_DENIED');
    symlinkSync(files.path('text'), files.path('link'));
    await refused('link', 'NARU_DENIED');
    await (await open(files.url('ring'))).close();
    linkSync(files.path('ring'), files.path('other-name'));
    await refused('ring', 'NARU_DENIED');
    rmSync(files.path('other-name'));
    chmodSync(files.path('ring'), 0o640);
    await refused('ring', 'NARU_DENIED');
    chmodSync(files.path('ring'), 0o600);
    await (await open(files.url('ring'))).close();
    expect(readdirSync(files.folder).toSorted()).toEqual([
      'empty',
      'folder',
      'link',
      'ring',
      'short',
      'text',
      'zeros',
    ]);
    expect(readFileSync(files.path('text'), 'utf8')).toBe('x'.repeat(10_000));
  });

  test('of another version, size or mark is refused with what it has', async () => {
    await (await open(files.url('m'))).close();
    const cases: readonly (readonly [number, number, string, RegExp])[] = [
      [HEADER.magic, 0x12345678, 'NARU_CORRUPT', /starts with 0x12345678/],
      [HEADER.versionMajor, 77, 'NARU_UNSUPPORTED', /layout version 77/],
      [HEADER.requiredFeatures, 0x80, 'NARU_UNSUPPORTED', /features 0x00000080/],
      [HEADER.laneBytes, 12_345, 'NARU_CORRUPT', /12345/],
      [HEADER.byteOrder, 0x04030201, 'NARU_UNSUPPORTED', /byte order/],
    ];
    for (const [offset, value, code, message] of cases) {
      copyFileSync(files.path('m'), files.path('bad'));
      poke(files.path('bad'), offset, value);
      await expect(open(files.url('bad'))).rejects.toMatchObject({
        code,
        place: 'mmap',
        message: expect.stringMatching(message),
      });
    }
    copyFileSync(files.path('m'), files.path('bad'));
    truncateSync(files.path('bad'), 100_000);
    await expect(open(files.url('bad'))).rejects.toMatchObject({
      code: 'NARU_CORRUPT',
      message: expect.stringContaining('100000'),
    });
    expect(readdirSync(files.folder).toSorted()).toEqual(['bad', 'm']);
  });

  test('needs an absolute path with a name that leaves room for its folder', async () => {
    for (const url of [
      'mmap://name',
      'mmap://',
      'mmap:///',
      'mmap:///a/',
      'mmap:///x%00y',
      `mmap:///${'x'.repeat(251)}`,
      'mmap:///a.naru',
    ])
      await expect(open(url as 'mmap:///a'), url).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
    await using longest = await open(files.url('x'.repeat(250)));
    expect(longest.created).toBe(true);
    await expect(open(`${files.url('m')}?accessGroup=staff` as 'mmap:///a')).rejects.toMatchObject({
      code: 'NARU_INVALID_ARGUMENT',
    });
    await expect(open(files.url('m'), { survives: 'restart' } as never)).rejects.toMatchObject({
      code: 'NARU_UNSUPPORTED',
    });
  });

  test('on a file system of a network is refused', () => {
    for (const type of [0x6969, 0xff534d42, -0x00acb2be, 0x65735546]) expect(objectionTo(type)).toBeDefined();
    // ext4, tmpfs, XFS, Btrfs
    for (const type of [0xef53, 0x01021994, 0x58465342, 0x9123683e])
      expect(objectionTo(type)).toBeUndefined();
    expect(fileSystemObjection(files.folder)).toBeUndefined();
  });
});

describe('while it is open', () => {
  test('truncation ends a process that is busy with it by NARU_CORRUPT, not by SIGBUS', {
    timeout: 60_000,
  }, async () => {
    for (const bytes of [0, 4096, 65_536]) {
      const name = `busy${bytes}`;
      const child = files.start('./busy.fixture.js', [files.url(name)]);
      await child.wrote(1);
      truncateSync(files.path(name), bytes);
      expect([await child.exit, child.lines]).toEqual([0, ['busy', 'NARU_CORRUPT']]);
    }
  });

  test('truncation ends every wait with NARU_CORRUPT', async () => {
    await using mailbox = await open(files.url('m'));
    const waiting = mailbox.receive();
    truncateSync(files.path('m'), 0);
    await expect(waiting).rejects.toMatchObject({
      code: 'NARU_CORRUPT',
      message: expect.stringContaining('truncated'),
    });
    await expect(mailbox.send(1)).rejects.toMatchObject({ code: 'NARU_CORRUPT' });
  });

  test('removing or moving it by hand ends every wait with NARU_CLOSED, and the moved file works', async () => {
    const one = await open(files.url('m'));
    const waiting = one.receive();
    await using other = await open(files.url('m'));
    await other.connect('producer');
    const late = other.receive();
    late.catch(() => undefined);
    renameSync(files.path('m'), files.path('moved'));
    await expect(waiting).rejects.toMatchObject({ code: 'NARU_CLOSED' });
    await one.close();
    await using moved = await open(files.url('moved'), { create: 'never' });
    await moved.send('here');
    expect((await moved.receive()).data).toBe('here');
    await expect(late).rejects.toMatchObject({ code: 'NARU_CLOSED' });
  });
});

describe('hostile contents', () => {
  test('a file with words of chance in it opens and works, or is refused with a code', {
    timeout: 60_000,
  }, async () => {
    const seed = await open(`${files.url('seed')}?capacity=16KiB`);
    for (let i = 0; i < 40; i += 1) await seed.send({ number: i, text: 'x'.repeat(i) });
    await seed.close();
    const whole = readFileSync(files.path('seed'));
    // Header, participants, lanes, cursors and the first lane's records: all that is not empty.
    const used = 100_000;
    let round = 0;
    const word = fc.record({
      at: fc.oneof(fc.nat(1023), fc.nat(used / 4 - 1)),
      value: fc.oneof(fc.nat(300), fc.integer(), fc.constantFrom(0, -1, 0x7fffffff, 0x80000000 | 0)),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(word, { minLength: 1, maxLength: 12 }), async (words) => {
        round += 1;
        const name = `f${round}`;
        const bytes = Buffer.from(whole);
        for (const { at, value } of words) bytes.writeInt32LE(value, at * 4);
        writeFileSync(files.path(name), bytes, { mode: 0o600 });
        try {
          await using mailbox = await open(files.url(name));
          mailbox.on('error', () => undefined);
          for (let i = 0; i < 60; i += 1) if (mailbox.tryReceive() === undefined) break;
          mailbox.trySend({ number: -1 });
          await mailbox.stats();
          await mailbox.peek(5);
        } catch (error) {
          if (!isNaruError(error)) throw error;
        }
        rmSync(files.path(name), { force: true });
        rmSync(`${files.path(name)}.naru`, { recursive: true, force: true });
      }),
      { numRuns: 150, seed: 4 },
    );
  });
});
