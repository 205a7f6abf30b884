// fifo:// with programs that know nothing of Naru: C, Python's standard library and the tools of the shell, both ways.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codeOf, hasCompiler, KernelStage } from '../../kernel/stage.fixture.ts';
import type { Mailbox } from '../../mailbox/mailbox.ts';
import type { OpenOptions } from '../../mailbox/options.ts';
import { nativeProblem, tryNative } from '../../native/index.ts';
import { open } from '../../open.ts';

describe.skipIf(tryNative() === undefined)(`fifo:// (${nativeProblem() ?? 'addon loaded'}) and`, () => {
  let stage: KernelStage;
  let path: string;
  let url: string;

  beforeEach(() => {
    stage = new KernelStage();
    path = stage.path('fifo');
    url = `fifo://${path}`;
  });
  afterEach(() => stage.close());

  async function opened(at: string = url, options: OpenOptions = {}): Promise<Mailbox> {
    const mailbox: Mailbox = await open(at, { codec: 'text', ...options });
    stage.cleanup(() => mailbox.close({ flushMs: 0 }));
    return mailbox;
  }

  async function texts(mailbox: Mailbox, count: number): Promise<unknown[]> {
    const got: unknown[] = [];
    while (got.length < count) got.push((await mailbox.receive({ timeoutMs: 8_000 })).data);
    return got;
  }

  describe('the shell', () => {
    test('printf and cat write lines that we receive; carriage returns and empty lines are kept', async () => {
      const consumer = await opened(url, { role: 'consumer' });
      const child = stage.start('sh', [
        '-c',
        String.raw`printf 'one\r\n\n나루\n' > "$1"; printf 'a\nb\n' | cat > "$1"`,
        'sh',
        path,
      ]);
      expect(await texts(consumer, 5)).toEqual(['one\r', '', '나루', 'a', 'b']);
      expect(await child.end()).toMatchObject({ code: 0 });
    });

    test('cat reads what we send, to its end', async () => {
      await (await opened()).close();
      const cat = stage.start('cat', [path]);
      const producer = await opened(url, { role: 'producer' });
      await producer.sendMany(['first', 'second']);
      expect(await producer.close()).toEqual({ undelivered: 0 });
      expect([await cat.line(), await cat.line()]).toEqual(['first', 'second']);
      expect(await cat.end()).toMatchObject({ code: 0 });
    });

    test('head takes a line and goes: NARU_PEER_GONE, and the next reader is served', async () => {
      const producer = await opened(url, { role: 'producer' });
      const head = stage.start('head', ['-n', '1', path]);
      await producer.send('for head');
      expect(await head.line()).toBe('for head');
      await head.end();
      expect(await codeOf(() => producer.send('for nobody'))).toBe('NARU_PEER_GONE');
      const again = stage.start('head', ['-n', '1', path]);
      await producer.ready({ consumers: 1, timeoutMs: 8_000 });
      await producer.send('for the next one');
      expect(await again.line()).toBe('for the next one');
      await again.end();
    });

    test('several writers at once: every line whole, those of each in their order', async () => {
      const consumer = await opened(url, { role: 'consumer' });
      const program = `i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo "$1 $i"; done > "$2"`;
      const children = ['a', 'b', 'c'].map((name) => stage.start('sh', ['-c', program, 'sh', name, path]));
      const got = (await texts(consumer, 600)).map((text) => String(text).split(' '));
      for (const name of ['a', 'b', 'c']) {
        const own = got.filter(([who]) => who === name).map(([, n]) => Number(n));
        expect(own).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
      }
      await Promise.all(children.map((child) => child.end()));
    });
  });

  describe.skipIf(!hasCompiler())('C', () => {
    test('a program writes lines, in blocks as its library likes it; all arrive whole', async () => {
      const consumer = await opened(url, { role: 'consumer' });
      const child = stage.c(
        'writer',
        String.raw`
        FILE *out = fopen(argv[1], "w");
        if (out == NULL) fail("fopen");
        for (int i = 1; i <= 5000; i++) fprintf(out, "line %d of a C program\n", i);
        fclose(out);`,
        path,
      );
      const got: unknown[] = [];
      for await (const { data } of consumer) if (got.push(data) === 5000) break;
      expect(got).toEqual(Array.from({ length: 5000 }, (_, i) => `line ${i + 1} of a C program`));
      expect(await child.end()).toMatchObject({ code: 0 });
    });

    test('a program that blocks in open(2) is woken by our send, reads each message with read(2), and sees the end', async () => {
      await (await opened()).close();
      const child = stage.c(
        'reader',
        String.raw`
        const int in = open(argv[1], O_RDONLY);
        if (in < 0) fail("open");
        unsigned char head[4]; char text[100];
        while (read(in, head, 4) == 4) {
          const int length = head[0] << 24 | head[1] << 16 | head[2] << 8 | head[3];
          if (read(in, text, length) != length) fail("read");
          printf("%d %.*s\n", length, length, text);
          fflush(stdout);
        }
        say("end");`,
        path,
      );
      const producer = await opened(`${url}?frame=length`, { role: 'producer' });
      await producer.send('first');
      expect(await child.line()).toBe('5 first');
      await producer.send('');
      expect(await child.line()).toBe('0 ');
      await producer.send('나루');
      expect(await child.line()).toBe('6 나루');
      await producer.close();
      expect(await child.line()).toBe('end');
    });

    test('fixed structs arrive as they lie in memory', async () => {
      const consumer = await opened(`${url}?frame=fixed&slotBytes=8`, { role: 'consumer', codec: 'bytes' });
      stage.c(
        'structs',
        String.raw`
        struct { unsigned id; float value; } one = {0};
        const int out = open(argv[1], O_WRONLY);
        for (int i = 1; i <= 3; i++) {
          one.id = i;
          one.value = i * 1.5f;
          if (write(out, &one, sizeof one) != sizeof one) fail("write");
        }`,
        path,
      );
      const got = (await texts(consumer, 3)).map((bytes) => Buffer.from(bytes as Uint8Array));
      expect(got.map((bytes) => [bytes.readUInt32LE(0), bytes.readFloatLE(4)])).toEqual([
        [1, 1.5],
        [2, 3],
        [3, 4.5],
      ]);
    });

    test('two FIFOs make a duplex pair: a program answers each line', async () => {
      const down = await opened(`${url}-down`, { role: 'producer' });
      const up = await opened(`${url}-up`, { role: 'consumer' });
      const child = stage.c(
        'server',
        String.raw`
        FILE *in = fopen(argv[1], "r"), *out = fopen(argv[2], "w");
        char line[100];
        while (fgets(line, sizeof line, in)) { fprintf(out, "C says %s", line); fflush(out); }`,
        `${path}-down`,
        `${path}-up`,
      );
      for (let n = 1; n <= 50; n += 1) {
        await down.send(`line ${n}`);
        expect(await texts(up, 1)).toEqual([`C says line ${n}`]);
      }
      await down.close();
      expect(await child.end()).toMatchObject({ code: 0 });
    });
  });

  describe("Python's standard library", () => {
    test('os.mkfifo makes one; it writes, we receive', async () => {
      const program = `
import os, sys
os.mkfifo(sys.argv[1])
print('made', flush=True)
with open(sys.argv[1], 'w') as f:
    for i in range(100):
        print('python', i, file=f)
`;
      const child = stage.start('python3', ['-c', program, path]);
      expect(await child.line()).toBe('made');
      const consumer = await opened(url, { role: 'consumer', create: 'never' });
      expect(await texts(consumer, 100)).toEqual(Array.from({ length: 100 }, (_, i) => `python ${i}`));
      expect(await child.end()).toMatchObject({ code: 0 });
    });

    test('it reads what we send', async () => {
      const producer = await opened(url, { role: 'producer' });
      const program = `
import sys
for line in open(sys.argv[1], newline='\\n'):
    print(len(line), line.strip(), flush=True)
print('end')
`;
      const child = stage.start('python3', ['-c', program, path]);
      await producer.sendMany(['one', 'two', 'three']);
      await producer.close();
      expect([await child.line(), await child.line(), await child.line(), await child.line()]).toEqual([
        '4 one',
        '4 two',
        '6 three',
        'end',
      ]);
    });
  });
});
