// FIFOs and pipes to children: waiting, atomic writes, the end and the loss of the other side; C and Python there.

import { spawn } from 'node:child_process';
import { constants, openSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from '../native/index.ts';
import { NamedPipe, pipe } from './named-pipe.ts';
import { PipeReader, pollReader } from './pipe-reader.ts';
import { codeOf, hasCompiler, KernelStage } from './stage.fixture.ts';

describe.skipIf(tryNative() === undefined)(`pipes (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: KernelStage;
  let path: string;
  beforeEach(() => {
    stage = new KernelStage();
    path = stage.path('fifo');
  });
  afterEach(() => stage.close());

  test('bytes pass from writer to reader, in each form', async () => {
    await using fifo = new NamedPipe(path, { mode: 0o640 });
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(fifo.tryWriter()).toBeUndefined();
    const reader = fifo.reader();
    expect(reader.tryRead()).toBeUndefined();
    expect(await codeOf(() => reader.readSync(10, { timeoutMs: 10 }))).toBe('NARU_TIMEOUT');
    const writer = await fifo.writer();
    expect(writer.tryWrite(Buffer.from('one'))).toBe(true);
    expect(reader.tryRead(2)?.toString()).toBe('on');
    expect(reader.readSync()?.toString()).toBe('e');
    expect(await codeOf(() => reader.read(10, { timeoutMs: 10 }))).toBe('NARU_TIMEOUT');
    const read = reader.read();
    writer.writeSync(Buffer.from('two'));
    expect((await read)?.toString()).toBe('two');
    await writer.write(Buffer.from('three'));
    expect((await reader.read(3))?.toString()).toBe('thr');
    expect((await reader.read())?.toString()).toBe('ee');
    expect(reader.tryRead()).toBeUndefined();
    await writer.close();
    expect(await reader.read()).toBeNull();
    expect(reader.readSync()).toBeNull();
  });

  test('a writer waits for a reader, or says that there is none', async () => {
    await using fifo = new NamedPipe(path);
    expect(await codeOf(() => fifo.writer({ nobody: 'fail' }))).toBe('NARU_PEER_GONE');
    expect(await codeOf(() => fifo.writer({ timeoutMs: 10 }))).toBe('NARU_TIMEOUT');
    const abort = new AbortController();
    const aborted = fifo.writer({ signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    const waiting = fifo.writer();
    fifo.reader({ keepOpen: true });
    expect((await waiting).tryWrite(Buffer.from('x'))).toBe(true);
  });

  test('a full pipe makes writes wait, in order, and an aborted one wrote nothing', async () => {
    await using fifo = new NamedPipe(path);
    const reader = fifo.reader();
    const writer = await fifo.writer();
    const block = Buffer.alloc(4096, 'a');
    let blocks = 0;
    while (writer.tryWrite(block)) blocks += 1;
    expect(blocks).toBeGreaterThan(0);
    expect(await codeOf(() => writer.write(block, { timeoutMs: 10 }))).toBe('NARU_TIMEOUT');
    expect(await codeOf(() => writer.writeSync(block, { timeoutMs: 10 }))).toBe('NARU_TIMEOUT');
    const first = writer.write(Buffer.alloc(4096, 'b'));
    const second = writer.write(Buffer.alloc(4096, 'c'));
    let text = '';
    while (!text.endsWith('c'.repeat(4096))) text += (await reader.read())?.toString() ?? '';
    await Promise.all([first, second]);
    expect(text).toBe('a'.repeat(4096 * blocks) + 'b'.repeat(4096) + 'c'.repeat(4096));
  });

  test('more than PIPE_BUF is refused unless it may be in pieces', async () => {
    await using fifo = new NamedPipe(path);
    const reader = fifo.reader();
    const writer = await fifo.writer();
    const large = Buffer.alloc(300_000, 'abcdefg');
    expect(await codeOf(() => writer.write(large))).toBe('NARU_TOO_LARGE');
    expect(await codeOf(() => writer.tryWrite(large))).toBe('NARU_TOO_LARGE');
    expect(await codeOf(() => writer.writeSync(large.subarray(0, 4097)))).toBe('NARU_TOO_LARGE');
    const written = writer.write(large, { atomic: false }).then(() => writer.close());
    const chunks: Buffer[] = [];
    for await (const chunk of reader) chunks.push(chunk);
    await written;
    expect(Buffer.concat(chunks).equals(large)).toBe(true);
  });

  test('a reader that vanishes is NARU_PEER_GONE, also for a write that waits', async () => {
    await using fifo = new NamedPipe(path);
    const reader = fifo.reader();
    const writer = await fifo.writer();
    while (writer.tryWrite(Buffer.alloc(4096))) continue;
    const waiting = codeOf(() => writer.write(Buffer.from('x')));
    await reader.close();
    expect(await waiting).toBe('NARU_PEER_GONE');
    expect(await codeOf(() => writer.tryWrite(Buffer.from('x')))).toBe('NARU_PEER_GONE');
    expect(await codeOf(() => reader.read())).toBe('NARU_CLOSED');
  });

  test('what is no FIFO, is not there, or is closed', async () => {
    writeFileSync(stage.path('file'), '');
    expect(await codeOf(() => new NamedPipe(stage.path('file')))).toBe('NARU_INVALID_ARGUMENT');
    expect(await codeOf(() => new NamedPipe(path, { create: 'never' }))).toBe('NARU_NOT_FOUND');
    const fifo = new NamedPipe(path);
    expect(await codeOf(() => new NamedPipe(path, { create: 'new' }))).toBe('NARU_EXISTS');
    const read = codeOf(() => fifo.reader().read());
    await fifo.close();
    expect(await read).toBe('NARU_CLOSED');
    expect(await codeOf(() => fifo.reader())).toBe('NARU_CLOSED');
    fifo.remove();
  });

  test.skipIf(!hasCompiler())('lines pass both ways with a C program over two FIFOs', async () => {
    await using down = new NamedPipe(path);
    await using up = new NamedPipe(stage.path('up'));
    const reader = up.reader();
    const child = stage.c(
      'lines',
      `FILE *in = fopen(argv[1], "r"), *out = fopen(argv[2], "w"); char line[100];
       while (fgets(line, sizeof line, in)) { fprintf(out, "C says %s", line); fflush(out); }`,
      down.path,
      up.path,
    );
    const writer = await down.writer();
    for (let i = 0; i < 50; i++) await writer.write(Buffer.from(`line ${i}\n`));
    await writer.close();
    const lines: string[] = [];
    for await (const line of reader.lines()) lines.push(line);
    expect(lines).toEqual(Array.from({ length: 50 }, (_, i) => `C says line ${i}`));
    expect(await child.end()).toMatchObject({ code: 0 });
  });

  test("Python's os.mkfifo makes one that ours reads", async () => {
    const program = `
import os, sys
os.mkfifo(sys.argv[1])
print('made', flush=True)
with open(sys.argv[1], 'w') as f:
    f.write('first\\nsecond\\nno line feed')
`;
    const child = stage.start('python3', ['-c', program, path]);
    expect(await child.line()).toBe('made');
    await using fifo = new NamedPipe(path, { create: 'never' });
    const lines: string[] = [];
    for await (const line of fifo.reader().lines()) lines.push(line);
    expect(lines).toEqual(['first', 'second', 'no line feed']);
    expect(await child.end()).toMatchObject({ code: 0 });
  });

  test('a writer that comes, writes and goes between the two looks of a read is no end', async () => {
    await using _fifo = new NamedPipe(path);
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    let polls = 0;
    await using reader = new PipeReader(path, fd, () => {
      polls += 1;
      // The read has found nothing, and now asks whether that was the end.
      if (polls === 1) writeFileSync(path, 'x');
      return pollReader(path, fd);
    });
    expect(reader.tryRead()?.toString()).toBe('x');
    expect(reader.tryRead()).toBe(null);
    expect(polls).toBe(2);
  });

  test('a writer that comes while the reader looks is not missed: no reader ends without what was written', {
    timeout: 60_000,
  }, async () => {
    const rounds = 300;
    // The next reader opens only when the writer before it has gone.
    await using fifo = new NamedPipe(path);
    const program = 'for i in $(seq $2); do printf x > "$1"; read -r _; done';
    const child = spawn('sh', ['-c', program, 'sh', path, String(rounds)], {
      stdio: ['pipe', 'inherit', 'inherit'],
    });
    stage.cleanup(() => child.kill('SIGKILL'));
    const ended = new Promise((resolve) => child.once('close', resolve));
    const readAll = async (): Promise<string> => {
      await using reader = fifo.reader();
      let got = '';
      for (let chunk = reader.tryRead(); chunk !== null; chunk = reader.tryRead()) {
        if (chunk === undefined) await new Promise(setImmediate);
        else got += chunk.toString();
      }
      return got;
    };
    for (let round = 1; round <= rounds; round += 1) {
      expect([round, await readAll()]).toEqual([round, 'x']);
      child.stdin.write('\n');
    }
    expect(await ended).toBe(0);
  });

  test('pipe() talks to a child process in both directions, until it ends', async () => {
    await using both = pipe();
    const child = spawn('cat', [], { stdio: [both.stdio[0], both.stdio[1], 'inherit'] });
    both.release();
    await both.writer.write(Buffer.from('to cat\nand back\n'));
    const lines = both.reader.lines();
    expect((await lines.next()).value).toBe('to cat');
    expect((await lines.next()).value).toBe('and back');
    await both.writer.close();
    expect((await lines.next()).done).toBe(true);
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0);
  });
});
