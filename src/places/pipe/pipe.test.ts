// pipe:// beside the suite: child processes at the other end, in both directions, and what is no pipe.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fstatSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ChildPipe, pipe } from '../../kernel/index.ts';
import { codeOf, errorOf, hasCompiler, KernelStage } from '../../kernel/stage.fixture.ts';
import type { Mailbox } from '../../mailbox/mailbox.ts';
import type { OpenOptions } from '../../mailbox/options.ts';
import { nativeProblem, tryNative } from '../../native/index.ts';
import { until } from '../../native/stage.fixture.ts';
import { open } from '../../open.ts';

const peerFile = fileURLToPath(new URL('../../pipe/peer.fixture.js', import.meta.url));

describe.skipIf(tryNative() === undefined)(`pipe:// (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: KernelStage;
  let before: number;
  const descriptors = (): number => readdirSync('/proc/self/fd').length;

  beforeEach(() => {
    stage = new KernelStage();
    before = descriptors();
  });
  afterEach(() => stage.close());

  async function opened(url: string, options: OpenOptions = {}): Promise<Mailbox> {
    const mailbox: Mailbox = await open(url, { codec: 'text', ...options });
    stage.cleanup(() => mailbox.close({ flushMs: 0 }));
    return mailbox;
  }

  /** Starts a program with its two ends as the descriptors `at` and `at` + 1. */
  function start(both: ChildPipe, at: 0 | 3, command: string, ...args: readonly string[]): ChildProcess {
    const [reads, writes] = both.stdio;
    const stdio =
      at === 0
        ? [reads, writes, 'inherit' as const]
        : ['ignore' as const, 'inherit' as const, 'inherit' as const, reads, writes];
    const child = spawn(command, args, { stdio });
    stage.cleanup(() => child.kill('SIGKILL'));
    both.release();
    return child;
  }

  /** Our side as one mailbox. */
  function ours(both: ChildPipe, query = ''): Promise<Mailbox> {
    const { reader, writer } = both.handOver();
    return opened(`pipe://fd/${reader}/${writer}${query}`);
  }

  async function texts(mailbox: Mailbox, count: number): Promise<unknown[]> {
    const got: unknown[] = [];
    while (got.length < count) got.push((await mailbox.receive({ timeoutMs: 8_000 })).data);
    return got;
  }

  test('cat gives back each line; end() is its end, and its end is ours', async () => {
    const both = pipe();
    const child = start(both, 0, 'cat');
    const mailbox = await ours(both);
    await mailbox.sendMany(['to cat', 'and back']);
    expect(await texts(mailbox, 2)).toEqual(['to cat', 'and back']);
    await mailbox.send('last');
    await mailbox.end();
    expect(await codeOf(() => mailbox.send('more'))).toBe('NARU_CLOSED');
    const rest: unknown[] = [];
    for await (const { data } of mailbox) rest.push(data);
    expect(rest).toEqual(['last']);
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(await codeOf(() => mailbox.receive())).toBe('NARU_CLOSED');
    expect(await mailbox.close()).toEqual({ undelivered: 0 });
    await until('all descriptors are closed', () => descriptors() <= before);
  });

  test('a Naru program at the other end: pipe://fd/3/4, envelopes with headers, messages of any length', async () => {
    const both = pipe();
    const orders = { url: 'pipe://fd/3/4?format=envelope', act: 'echo' };
    const child = start(both, 3, process.execPath, peerFile, JSON.stringify({ ...orders, tells: 2 }));
    const mailbox = await ours(both, '?format=envelope');
    await mailbox.send('one', { headers: { n: '1' } });
    const answer = await mailbox.receive({ timeoutMs: 8_000 });
    expect(answer).toMatchObject({ data: 'echo one', headers: { n: '1' } });
    expect(answer.sender).not.toBe('');
    const large = 'x'.repeat(1_000_000);
    const sending = mailbox.send(large);
    expect(await texts(mailbox, 1)).toEqual([`echo ${large}`]);
    await sending;
    await mailbox.end();
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  test('raw: a message larger than the pipe goes through, for who writes alone', async () => {
    const both = pipe();
    start(both, 0, 'cat');
    const mailbox = await ours(both, '?frame=length');
    const large = 'x'.repeat(1_000_000);
    const sending = Promise.all([mailbox.send(large), mailbox.send('small')]);
    expect(await texts(mailbox, 2)).toEqual([large, 'small']);
    await sending;
  });

  test.skipIf(!hasCompiler())(
    'a C program reads its standard input and writes its standard output',
    async () => {
      const program = stage.compile(
        'upper',
        String.raw`
      char line[100];
      while (fgets(line, sizeof line, stdin)) {
        for (char *c = line; *c; c++) if (*c >= 'a' && *c <= 'z') *c -= 32;
        fputs(line, stdout);
        fflush(stdout);
      }`,
      );
      const both = pipe();
      const child = start(both, 0, program);
      const mailbox = await ours(both);
      for (const text of ['one', 'two', 'three']) {
        await mailbox.send(text);
        expect(await texts(mailbox, 1)).toEqual([text.toUpperCase()]);
      }
      await mailbox.end();
      expect(await once(child, 'exit')).toEqual([0, null]);
    },
  );

  test("Python's subprocess starts us: pipe://fd/0 and pipe://fd/1 are its pipes", async () => {
    const program = `
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
for word in ['one', 'two', 'three']:
    child.stdin.write(word + '\\n')
    child.stdin.flush()
    print(child.stdout.readline().strip(), flush=True)
child.stdin.close()
print('rest', repr(child.stdout.read()), child.wait())
`;
    const orders = JSON.stringify({ url: 'pipe://fd/0/1', act: 'echo', tells: 2 });
    const child = stage.start('python3', ['-c', program, process.execPath, peerFile, orders]);
    const lines = [await child.line(), await child.line(), await child.line(), await child.line()];
    expect(lines).toEqual(['echo one', 'echo two', 'echo three', "rest '' 0"]);
  });

  test('a child that is killed: what it wrote arrives, then the end; sends are NARU_PEER_GONE', async () => {
    const both = pipe();
    // In one write: the half is there when the line is.
    const child = start(both, 0, 'sh', '-c', 'printf "one\\nhalf"; exec sleep 100');
    const mailbox = await ours(both);
    const told: string[] = [];
    mailbox.on('error', ({ error }) => told.push(error.message));
    expect(await texts(mailbox, 1)).toEqual(['one']);
    let filled = 0;
    await mailbox.connect('producer');
    while (mailbox.trySend('x'.repeat(1000))) filled += 1;
    const waiting = codeOf(() => mailbox.send('x'.repeat(1000)));
    child.kill('SIGKILL');
    expect(await waiting).toBe('NARU_PEER_GONE');
    expect(await codeOf(() => mailbox.send('x'))).toBe('NARU_PEER_GONE');
    expect(await codeOf(() => mailbox.receive())).toBe('NARU_CLOSED');
    expect(told.join()).toMatch(/after 4 bytes of a message/);
    const { undelivered } = await mailbox.close();
    expect(undelivered).toBeGreaterThan(filled / 2);
    await until('all descriptors are closed', () => descriptors() <= before);
  });

  test('what is no end of a pipe is refused; a direction that it does not have is NARU_UNSUPPORTED', async () => {
    const both = pipe();
    const { reader, writer } = both.handOver();
    const [reads, writes] = both.stdio;
    expect(await codeOf(() => both.reader.read())).toBe('NARU_CLOSED');
    expect(await codeOf(() => opened('pipe://fd/99999'))).toBe('NARU_NOT_FOUND');
    expect(await codeOf(() => opened(`pipe://fd/${writer}/${reader}`))).toBe('NARU_INVALID_ARGUMENT');
    const file = stage.open('file');
    const error = await errorOf(() => opened(`pipe://fd/${file}`));
    expect(error).toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
    expect(error.message).toContain('pipe() of naru/kernel');
    expect(fstatSync(file).isFile()).toBe(true);
    for (const wrong of [
      'pipe://fd',
      'pipe://fd/x',
      'pipe://name',
      'pipe://fd/1/2/3',
      'pipe://fd/3?mode=600',
    ]) {
      expect(await codeOf(() => opened(wrong))).toBe('NARU_INVALID_ARGUMENT');
    }
    const reading = await opened(`pipe://fd/${reader}`);
    const writing = await opened(`pipe://fd/${writer}`);
    expect(await codeOf(() => reading.send('x'))).toBe('NARU_UNSUPPORTED');
    expect(await codeOf(() => writing.receive())).toBe('NARU_UNSUPPORTED');
    // The child's ends are still here: what one side sends the other receives.
    const far = await opened(`pipe://fd/${reads}/${writes}`);
    await writing.send('down');
    expect(await texts(far, 1)).toEqual(['down']);
    await far.send('up');
    expect(await texts(reading, 1)).toEqual(['up']);
  });

  test('a worker thread uses a pipe as well, without a warning', async () => {
    const both = pipe();
    start(both, 0, 'cat');
    const { reader, writer } = both.handOver();
    const { Worker } = await import('node:worker_threads');
    const module = new URL('../../open.js', import.meta.url).href;
    const program = `
      const { parentPort } = require('node:worker_threads');
      process.on('warning', (warning) => parentPort.postMessage(String(warning)));
      import(${JSON.stringify(module)}).then(async ({ open }) => {
        const mailbox = await open('pipe://fd/${reader}/${writer}', { codec: 'text' });
        await mailbox.send('from a worker');
        const { data } = await mailbox.receive();
        await mailbox.close();
        parentPort.postMessage(data);
      });`;
    const worker = new Worker(program, { eval: true });
    const messages: unknown[] = [];
    worker.on('message', (message) => messages.push(message));
    await once(worker, 'exit');
    expect(messages).toEqual(['from a worker']);
    await until('all descriptors are closed', () => descriptors() <= before);
  });
});
