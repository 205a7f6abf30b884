// One plain file: whole values, each once, the newest last; strangers that write it as they like; deaths; what is refused.

import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hasCompiler, KernelStage } from '../../kernel/stage.fixture.ts';
import { open } from '../../open.ts';
import { Files, until } from '../mmap/files.fixture.ts';

const WRITER = '../file/writer.fixture.js';
const LIMIT = { timeout: 60_000 };

type Url = `file:///${string}?format=raw`;
interface Numbered {
  readonly number: number;
  readonly filler: string;
  readonly end: number;
}

/** Beside the file first, then over it: rename(2) lets no reader see half of it. */
const C_WRITER = String.raw`
char beside[4096];
snprintf(beside, sizeof beside, "%s.tmp", argv[1]);
FILE *file = fopen(beside, "w");
if (file == NULL) fail("fopen");
fprintf(file, "{\"from\": \"c\", \"orders\": [7, 8]}\n");
if (fclose(file) != 0) fail("fclose");
if (rename(beside, argv[1]) != 0) fail("rename");
`;
const C_READER = String.raw`
FILE *file = fopen(argv[1], "r");
if (file == NULL) fail("fopen");
char from[32];
int count;
if (fscanf(file, " { \"from\" : \"%31[^\"]\" , \"count\" : %d }", from, &count) != 2) fail("fscanf");
printf("%s counted to %d\n", from, count);
`;

const hasStrace = spawnSync('strace', ['-V']).error === undefined;

let files: Files;
beforeEach(() => {
  files = new Files();
});
afterEach(() => files[Symbol.asyncDispose]());

const urlOf = (name: string): Url => `file://${files.path(name)}?format=raw` as Url;
const read = (name: string): string => readFileSync(files.path(name), 'utf8');

describe('values', () => {
  test('are the file, whole, with nothing else beside it; mode 600, or that of the file before', async () => {
    await using mailbox = await open(urlOf('a.json'));
    expect(mailbox.created).toBe(true);
    expect((await mailbox.stats()).place.depth).toBe(0);
    const umask = process.umask(0);
    expect((await mailbox.send({ a: 1 })).reached).toBe('durable');
    process.umask(umask);
    expect(read('a.json')).toBe('{"a":1}');
    expect(statSync(files.path('a.json')).mode & 0o777).toBe(0o600);
    chmodSync(files.path('a.json'), 0o644);
    expect((await mailbox.send({ a: 2 }, { confirm: 'placed' })).reached).toBe('placed');
    expect(statSync(files.path('a.json')).mode & 0o777).toBe(0o644);
    expect((await mailbox.stats()).place).toMatchObject({ depth: 1, extra: { written: 2, replaced: 1 } });
    expect((await mailbox.peek(5)).map(({ data }) => data)).toEqual([{ a: 2 }]);
    await using other = await open(`${urlOf('b')}&mode=640` as Url, { codec: 'text' });
    await other.send('');
    expect(statSync(files.path('b')).mode & 0o777).toBe(0o640);
    expect(readdirSync(files.folder).toSorted()).toEqual(['a.json', 'b']);
    await mailbox.unlink();
    expect(readdirSync(files.folder)).toEqual(['b']);
  });

  test(
    'of a writer that never stops are read whole, in order, none twice, and the last one comes',
    LIMIT,
    async () => {
      const child = files.start(WRITER, [urlOf('a'), '100000']);
      await child.wrote(1);
      await using mailbox = await open(urlOf('a'), { role: 'consumer' });
      let missed = 0;
      mailbox.on('gap', ({ count }) => {
        missed += count;
      });
      const numbers: number[] = [];
      for (let reads = 0; reads < 100; reads += 1) {
        const { number, filler, end } = (await mailbox.receive({ timeoutMs: 10_000 })).data as Numbered;
        expect([filler.length, end]).toEqual([100_000, number]);
        numbers.push(number);
      }
      await child.kill();
      const last = (JSON.parse(read('a')) as Numbered).number;
      while (numbers.at(-1) !== last)
        numbers.push(((await mailbox.receive({ timeoutMs: 10_000 })).data as Numbered).number);
      expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
      await expect(mailbox.receive({ timeoutMs: 700 })).rejects.toMatchObject({ code: 'NARU_TIMEOUT' });
      // What the reader skipped it was told of, as far as the system told.
      expect(missed).toBeLessThanOrEqual(last - numbers.length);
    },
  );

  test('that were replaced before they were read are a gap', LIMIT, async () => {
    await using writer = await open(urlOf('a'));
    await using reader = await open(urlOf('a'));
    await reader.connect('consumer');
    const gaps: number[] = [];
    reader.on('gap', ({ count }) => gaps.push(count));
    for (let number = 1; number <= 5; number += 1) await writer.send(number);
    expect((await reader.receive()).data).toBe(5);
    const waiting = reader.receive({ timeoutMs: 3_000 });
    await until(() => gaps.reduce((sum, count) => sum + count, 0) === 4, 'the gap is told');
    await writer.send(6);
    expect((await waiting).data).toBe(6);
    expect((await reader.stats()).place.extra).toMatchObject({ missed: 4, watching: 1 });
  });

  test('from now leaves out the value that is there; from start, the default, begins with it', async () => {
    await using writer = await open(urlOf('a'));
    await writer.send('old');
    await using late = await open(urlOf('a'), { role: 'consumer' });
    await using now = await open(urlOf('a'), { role: 'consumer', from: 'now' });
    expect((await late.receive()).data).toBe('old');
    await expect(now.receive({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'NARU_TIMEOUT' });
    await writer.send('new');
    expect([(await late.receive()).data, (await now.receive()).data]).toEqual(['new', 'new']);
  });
});

describe('strangers', () => {
  test('who write in place are read when they are done, never half', LIMIT, async () => {
    await using reader = await open(urlOf('a'), { role: 'consumer', codec: 'text' });
    for (let round = 1; round <= 12; round += 1) {
      const text = String(round).repeat(50_000);
      const receiving = reader.receive({ timeoutMs: 10_000 });
      // As shells and editors do: cut, then written piece by piece.
      const fd = openSync(files.path('a'), 'w');
      let longestPauseMs = 0;
      for (let at = 0; at < text.length; at += 10_000) {
        const started = performance.now();
        writeSync(fd, text.slice(at, at + 10_000));
        await sleep(3);
        longestPauseMs = Math.max(longestPauseMs, performance.now() - started);
      }
      closeSync(fd);
      // On a busy machine this writer pauses for longer than anybody can wait for: then there may be halves before the whole.
      let { data } = await receiving;
      if (longestPauseMs > 15) while (data !== text) ({ data } = await reader.receive({ timeoutMs: 5_000 }));
      expect(data).toBe(text);
    }
  });

  test(
    'the same content written again is another value; mode, names and a look are none',
    LIMIT,
    async () => {
      await using reader = await open(`${urlOf('a')}&pollMs=20` as Url, { role: 'consumer', codec: 'text' });
      const replace = (): void => {
        writeFileSync(files.path('new'), 'same');
        renameSync(files.path('new'), files.path('a'));
      };
      for (let times = 0; times < 3; times += 1) {
        replace();
        expect((await reader.receive({ timeoutMs: 5_000 })).data).toBe('same');
      }
      const nothing = reader.receive({ timeoutMs: 400 });
      chmodSync(files.path('a'), 0o640);
      linkSync(files.path('a'), files.path('b'));
      readFileSync(files.path('a'));
      await expect(nothing).rejects.toMatchObject({ code: 'NARU_TIMEOUT' });
      // A new time of modification is all that a stranger in place may leave.
      utimesSync(files.path('a'), new Date(), new Date(Date.now() + 5_000));
      expect((await reader.receive({ timeoutMs: 5_000 })).data).toBe('same');
      appendFileSync(files.path('a'), '!');
      expect((await reader.receive({ timeoutMs: 5_000 })).data).toBe('same!');
    },
  );

  test('Python writes a JSON file that Naru reads, and reads one that Naru writes', LIMIT, async () => {
    const python = (program: string, ...args: string[]): string => {
      const { status, stdout, stderr } = spawnSync('python3', ['-c', program, ...args], { encoding: 'utf8' });
      expect(stderr).toBe('');
      expect(status).toBe(0);
      return stdout;
    };
    await using mailbox = await open(urlOf('state.json'));
    await mailbox.connect('consumer');
    const receiving = mailbox.receive({ timeoutMs: 30_000 });
    const write =
      'import json,os,sys\np=sys.argv[1]\nwith open(p+".tmp","w") as f: json.dump({"from":"python","n":[1,2.5,None]},f)\nos.replace(p+".tmp",p)';
    python(write, files.path('state.json'));
    expect((await receiving).data).toEqual({ from: 'python', n: [1, 2.5, null] });
    await mailbox.send({ from: 'naru', text: '나루' });
    const shown = python(
      'import json,sys\nprint(ascii(json.load(open(sys.argv[1]))))',
      files.path('state.json'),
    );
    expect(shown.trim()).toBe("{'from': 'naru', 'text': '\\ub098\\ub8e8'}");
  });

  test.runIf(hasCompiler())(
    'a C program writes a JSON file that Naru reads, and reads one that Naru writes',
    LIMIT,
    async () => {
      const stage = new KernelStage();
      try {
        await using mailbox = await open(urlOf('state.json'));
        await mailbox.connect('consumer');
        const receiving = mailbox.receive({ timeoutMs: 30_000 });
        const writer = stage.c('write-json', C_WRITER, files.path('state.json'));
        expect(await writer.ended).toMatchObject({ code: 0 });
        expect((await receiving).data).toEqual({ from: 'c', orders: [7, 8] });
        await mailbox.send({ from: 'naru', count: 42 });
        const reader = stage.c('read-json', C_READER, files.path('state.json'));
        expect(await reader.line()).toBe('naru counted to 42');
        expect(await reader.ended).toMatchObject({ code: 0 });
      } finally {
        stage.close();
      }
    },
  );

  test(
    'one whose JSON is broken costs that value, and one that is too long is told and not read',
    LIMIT,
    async () => {
      await using reader = await open(urlOf('a'), { role: 'consumer', maxMessageBytes: 100 });
      const errors: unknown[] = [];
      reader.on('error', ({ error }) => errors.push((error as { code?: unknown }).code));
      writeFileSync(files.path('a'), '{"half":');
      await expect(reader.receive({ timeoutMs: 5_000 })).rejects.toMatchObject({
        code: 'NARU_INVALID_MESSAGE',
      });
      const waiting = reader.receive({ timeoutMs: 10_000 });
      writeFileSync(files.path('a'), 'x'.repeat(1_000));
      await until(() => errors.includes('NARU_TOO_LARGE'), 'it is told');
      writeFileSync(files.path('a'), '1');
      expect((await waiting).data).toBe(1);
      expect((await reader.stats()).place.dropped).toMatchObject({ 'too-large': 1 });
    },
  );
});

describe('faults', () => {
  test(
    'a writer killed at any moment leaves a whole value; the next one clears what it left',
    LIMIT,
    async () => {
      let left = 0;
      for (let round = 0; round < 6; round += 1) {
        const child = files.start(WRITER, [urlOf('a'), '8000000']);
        await child.wrote(1);
        // In the midst of a value, where that can be hit: nothing of this process runs between the look and the signal.
        const end = performance.now() + 5_000;
        while (readdirSync(files.folder).length < 2 && performance.now() < end);
        child.process.kill('SIGKILL');
        await child.exit;
        const value = JSON.parse(read('a')) as Numbered;
        expect([value.end, value.filler.length]).toEqual([value.number, 8_000_000]);
        left += readdirSync(files.folder).length - 1;
        await using writer = await open(urlOf('a'), { role: 'producer' });
        expect(readdirSync(files.folder)).toEqual(['a']);
        await writer.close();
      }
      expect(left).toBeGreaterThan(0);
    },
  );

  test('where the system tells nothing a reader finds the value by looking', LIMIT, async () => {
    mkdirSync(files.path('dir'));
    await using reader = await open(`file://${files.path('dir/a')}?format=raw&pollMs=20` as Url, {
      role: 'consumer',
    });
    // The folder that is listened to goes away under another name; another one takes its place.
    renameSync(files.path('dir'), files.path('old'));
    mkdirSync(files.path('dir'));
    writeFileSync(files.path('dir/a'), '"here"');
    expect((await reader.receive({ timeoutMs: 5_000 })).data).toBe('here');
    rmSync(files.path('dir'), { recursive: true });
    const waiting = reader.receive({ timeoutMs: 5_000 });
    await sleep(60);
    mkdirSync(files.path('dir'));
    writeFileSync(files.path('dir/a'), '"again"');
    expect((await waiting).data).toBe('again');
  });

  test('a folder that goes, or is closed to us, is the error of the send, and nothing is left', async () => {
    mkdirSync(files.path('dir'));
    await using writer = await open(`file://${files.path('dir/a')}?format=raw` as Url, { role: 'producer' });
    await writer.send(1);
    rmSync(files.path('dir'), { recursive: true });
    await expect(writer.send(2)).rejects.toMatchObject({ code: 'NARU_NOT_FOUND', place: 'file' });
    mkdirSync(files.path('dir'));
    mkdirSync(files.path('dir/a'));
    await expect(writer.send(3)).rejects.toMatchObject({ code: 'NARU_UNSUPPORTED' });
    expect(readdirSync(files.path('dir'))).toEqual(['a']);
  });

  test.skipIf(!hasStrace)(
    'durable: the file is synced before it gets its name, the folder after (strace)',
    LIMIT,
    () => {
      const program = `import { open } from '${new URL('../../index.js', import.meta.url).href}';
      const mailbox = await open('${urlOf('a')}'); await mailbox.send(1); await mailbox.close();`;
      writeFileSync(files.path('program.mjs'), program);
      const trace = files.path('trace');
      const calls = 'trace=fsync,fdatasync,rename,renameat,renameat2';
      const { status } = spawnSync('strace', [
        '-f',
        '-o',
        trace,
        '-e',
        calls,
        process.execPath,
        files.path('program.mjs'),
      ]);
      expect(status).toBe(0);
      const names = [...readFileSync(trace, 'utf8').matchAll(/\b(fsync|fdatasync|rename)\w*\(/g)].map(
        ([, name]) => name,
      );
      expect(names).toEqual(['fsync', 'rename', 'fsync']);
    },
  );
});

describe('what is refused', () => {
  test('a folder, a link, another kind of file', async () => {
    await expect(open(`file://${files.folder}?format=raw` as Url)).rejects.toMatchObject({
      code: 'NARU_UNSUPPORTED',
    });
    symlinkSync(files.path('x'), files.path('link'));
    await expect(open(urlOf('link'))).rejects.toMatchObject({ code: 'NARU_DENIED' });
    spawnSync('mkfifo', [files.path('fifo')]);
    await expect(open(urlOf('fifo'))).rejects.toMatchObject({ code: 'NARU_UNSUPPORTED' });
    await expect(open(urlOf('no/such'))).rejects.toMatchObject({ code: 'NARU_NOT_FOUND' });
    await expect(open(urlOf('none'), { create: 'never' })).rejects.toMatchObject({ code: 'NARU_NOT_FOUND' });
    writeFileSync(files.path('there'), '1');
    await expect(open(urlOf('there'), { create: 'new' })).rejects.toMatchObject({ code: 'NARU_EXISTS' });
  });

  test('options that a file cannot keep, and values that are wrong', async () => {
    const unsupported = [
      'deliver=one',
      'owner=users',
      'nobody=fail',
      'capacity=1MiB',
      'depth=3',
      'relation=1:1',
      'frame=lines',
    ];
    for (const option of unsupported)
      await expect(open(`${urlOf('a')}&${option}` as Url), option).rejects.toMatchObject({
        code: 'NARU_UNSUPPORTED',
      });
    for (const option of ['mode=999', 'mode=rw', 'pollMs=0', 'pollMs=x', 'no=1'])
      await expect(open(`${urlOf('a')}&${option}` as Url), option).rejects.toMatchObject({
        code: 'NARU_INVALID_ARGUMENT',
      });
    for (const url of [
      'file://name?format=raw',
      'file:///?format=raw',
      `file:///${'x'.repeat(181)}?format=raw`,
    ])
      await expect(open(url as Url), url).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
    expect(readdirSync(files.folder)).toEqual([]);
  });

  test('an idle handle keeps neither process nor descriptors', LIMIT, async () => {
    const fds = (): number => readdirSync('/proc/self/fd').length;
    await using writer = await open(urlOf('a'));
    await writer.send(1);
    const before = fds();
    for (let times = 0; times < 300; times += 1) {
      const reader = await open(urlOf('a'), { role: 'consumer' });
      await reader.receive();
      await reader.close();
    }
    expect(fds()).toBeLessThanOrEqual(before + 2);
  });
});
