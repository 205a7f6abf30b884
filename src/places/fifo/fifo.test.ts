// fifo:// beside the suite: who is there and who is not, a full pipe, what a death leaves, what may stand under the path.

import { spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codeOf, errorOf, KernelStage, sleepersIn } from '../../kernel/stage.fixture.ts';
import type { Mailbox } from '../../mailbox/mailbox.ts';
import type { OpenOptions } from '../../mailbox/options.ts';
import { nativeProblem, tryNative } from '../../native/index.ts';
import { type Child, until } from '../../native/stage.fixture.ts';
import { open } from '../../open.ts';

const peerFile = fileURLToPath(new URL('../../pipe/peer.fixture.js', import.meta.url));

describe.skipIf(tryNative() === undefined)(`fifo:// (${nativeProblem() ?? 'addon loaded'})`, () => {
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

  const peer = (orders: Record<string, unknown>): Child =>
    stage.start(process.execPath, [peerFile, JSON.stringify(orders)]);

  async function texts(mailbox: Mailbox, count: number): Promise<unknown[]> {
    const got: unknown[] = [];
    while (got.length < count) got.push((await mailbox.receive({ timeoutMs: 8_000 })).data);
    return got;
  }

  /** What a mailbox drops from now on, by reason. */
  function lossesOf(mailbox: Mailbox): Map<string, number> {
    const losses = new Map<string, number>();
    mailbox.on('drop', ({ reason, count }) => losses.set(reason, (losses.get(reason) ?? 0) + count));
    mailbox.on('error', () => undefined);
    return losses;
  }

  describe('who is there', () => {
    test('a producer without a reader waits; the reader that comes wakes it', async () => {
      const producer = await opened(url, { role: 'producer' });
      expect(await codeOf(() => producer.send('x', { timeoutMs: 20 }))).toBe('NARU_TIMEOUT');
      expect(producer.trySend('x')).toBe(false);
      const sending = producer.send('patient');
      const consumer = await opened(url, { role: 'consumer' });
      await sending;
      expect(await texts(consumer, 1)).toEqual(['patient']);
      expect(await producer.close()).toEqual({ undelivered: 0 });
    });

    test('nobody "wait", "fail" and "drop" of a producer are what they say, also after the reader has gone', async () => {
      const patient = await opened(url, { role: 'producer', nobody: 'wait' });
      const strict = await opened(url, { role: 'producer', nobody: 'fail' });
      const easy = await opened(url, { role: 'producer', nobody: 'drop' });
      for (const round of [1, 2]) {
        expect(await codeOf(() => patient.send('x', { timeoutMs: 20 }))).toBe('NARU_TIMEOUT');
        expect(await codeOf(() => strict.send('x'))).toBe('NARU_NO_CONSUMER');
        expect((await easy.send('x')).reached).toBe('dropped');
        const sending = patient.send(`${round}`);
        const consumer = await opened(url, { role: 'consumer' });
        await sending;
        await strict.send('strict');
        await easy.send('easy');
        expect(await texts(consumer, 3)).toEqual([`${round}`, 'strict', 'easy']);
        await consumer.close();
        for (const { peers } of [strict, easy]) expect(peers.consumers).toBe(0);
      }
    });

    test('a reader that vanishes is NARU_PEER_GONE to sends that wait and to later ones, until somebody reads again', async () => {
      const producer = await opened(url, { role: 'producer' });
      const events: string[] = [];
      producer.on('disconnect', () => events.push('disconnect'));
      producer.on('reconnect', () => events.push('reconnect'));
      const reader = await opened(url, { role: 'consumer' });
      let filled = 0;
      while (producer.trySend('x'.repeat(1000))) filled += 1;
      const waiting = ['one', 'two']
        .map((text) => producer.send(text.repeat(1000)))
        .map((call) => codeOf(() => call));
      await reader.close();
      expect(await Promise.all(waiting)).toEqual(['NARU_PEER_GONE', 'NARU_PEER_GONE']);
      const error = await errorOf(() => producer.send('three'));
      expect(error).toMatchObject({ code: 'NARU_PEER_GONE', retryable: true });
      // What was in it is still there for the next one, as long as we have it open.
      const next = await opened(url, { role: 'consumer' });
      expect(await texts(next, filled)).toHaveLength(filled);
      await producer.send('four');
      expect(await texts(next, 1)).toEqual(['four']);
      expect(events).toEqual(['disconnect', 'reconnect']);
      await next.close();
      expect(await codeOf(() => producer.send('five'))).toBe('NARU_PEER_GONE');
    });

    test('close() says how many messages nobody will read', async () => {
      const producer = await opened(url, { role: 'producer' });
      const reader = await opened(url, { role: 'consumer' });
      await producer.sendMany(['1', '2', '3']);
      await texts(reader, 1);
      await reader.close();
      expect(await producer.close()).toEqual({ undelivered: 2 });
      const keeper = await opened();
      await keeper.sendMany(['1', '2', '3', '4']);
      expect(await keeper.close()).toEqual({ undelivered: 4 });
      const other = await opened(url, { nobody: 'keep' });
      const sender = await opened();
      await sender.send('kept');
      expect(await sender.close()).toEqual({ undelivered: 0 });
      expect(await texts(other, 1)).toEqual(['kept']);
    });

    test('a reader outlives its writers: it waits for the next one', async () => {
      const consumer = await opened(url, { role: 'consumer' });
      for (const round of [1, 2, 3]) {
        const receiving = consumer.receive({ timeoutMs: 8_000 });
        const child = stage.start('sh', ['-c', `echo ${round} > ${path}`]);
        expect((await receiving).data).toBe(`${round}`);
        expect(await child.end()).toMatchObject({ code: 0 });
        expect(await codeOf(() => consumer.receive({ timeoutMs: 20 }))).toBe('NARU_TIMEOUT');
      }
    });

    test('a reader that goes in the middle of a long message: the next one gets nothing of it', async () => {
      const alone = await opened(url, { role: 'producer', relation: '1:1' });
      const reader = await opened(url, { role: 'consumer' });
      const sending = codeOf(() => alone.send('x'.repeat(300_000)));
      await reader.close();
      expect(await sending).toBe('NARU_PEER_GONE');
      const next = await opened(url, { role: 'consumer' });
      await alone.send('whole');
      expect(await texts(next, 1)).toEqual(['whole']);
    });

    test('a reader that comes while a send is given up keeps its writer: it sees no end, and gets the next message', async () => {
      const producer = await opened(url, { role: 'producer' });
      const giveUp = new AbortController();
      const sending = errorOf(() => producer.send('given up', { signal: giveUp.signal }));
      await until('the wait sleeps in open(2)', () => sleepersIn('openat') === 1);
      const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        // Its thread has the end, and this thread has not heard of it when it gives up.
        while (sleepersIn('openat') > 0);
        giveUp.abort(new Error('too late'));
        expect(await sending).toMatchObject({ message: 'too late' });
        // The event loop hears of the thread's end.
        for (let turns = 0; turns < 200; turns += 1) await new Promise(setImmediate);
        expect(() => readSync(reader, Buffer.alloc(64))).toThrow('EAGAIN');
        await producer.send('next');
        const got = Buffer.alloc(64);
        expect(got.toString('utf8', 0, readSync(reader, got))).toBe('next\n');
      } finally {
        closeSync(reader);
      }
    });

    test('who waits for a reader of a FIFO that is removed hears of it', async () => {
      const waiting = await opened(url, { role: 'producer' });
      const sending = codeOf(() => waiting.send('x'));
      const other = await opened();
      await other.unlink();
      expect(await sending).toBe('NARU_NOT_FOUND');
    });

    test('a second consumer is NARU_LIMIT; a stopped one frees its seat', async () => {
      const first = await opened(url, { role: 'consumer' });
      expect(await codeOf(() => opened(url, { role: 'consumer' }))).toBe('NARU_LIMIT');
      await first.disconnect('consumer');
      const second = await opened(url, { role: 'consumer' });
      expect(await codeOf(() => first.connect('consumer'))).toBe('NARU_LIMIT');
      await second.close();
    });
  });

  describe('room', () => {
    test('capacity makes the pipe larger; a full one makes send wait, trySend say no, and full "fail" fail', async () => {
      const mailbox = await opened(`${url}?capacity=128KiB&nobody=keep`);
      expect((await mailbox.stats()).place).toMatchObject({ capacityBytes: 131_072, depthBytes: 0 });
      await mailbox.connect('producer');
      let count = 0;
      while (mailbox.trySend('x'.repeat(4095))) count += 1;
      expect(count).toBe(32);
      expect((await mailbox.stats()).place.depthBytes).toBe(131_072);
      expect(await codeOf(() => mailbox.send('x', { timeoutMs: 20 }))).toBe('NARU_TIMEOUT');
      const strict = await opened(url, { full: 'fail' });
      expect(await codeOf(() => strict.send('x'))).toBe('NARU_FULL');
      const sending = mailbox.send('last');
      expect(await texts(mailbox, count)).toHaveLength(count);
      await sending;
      expect(await texts(mailbox, 1)).toEqual(['last']);
    });

    test.skipIf(process.getuid?.() !== 0)(
      'more than fs.pipe-max-size is NARU_LIMIT and names it (skipped without root, whom it does not bind)',
      async () => {
        const module = new URL('../../open.js', import.meta.url).href;
        const asked = Number(readFileSync('/proc/sys/fs/pipe-max-size', 'utf8')) + 1;
        const program = `const { open } = await import(${JSON.stringify(module)});
          await open('fifo:///dev/shm/naru-test-never?capacity=${asked}').catch((e) => console.log(e.code, e.message));`;
        const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
          uid: 65_534,
          gid: 65_534,
        });
        let text = '';
        for await (const part of child.stdout) text += String(part);
        expect(text).toMatch(/^NARU_LIMIT .*1048577 bytes.*fs\.pipe-max-size allows 1048576/);
        expect(existsSync('/dev/shm/naru-test-never')).toBe(false);
      },
    );

    test('more than stays together is refused when several may write, names PIPE_BUF, and passes when one is alone', async () => {
      const consumer = await opened(url, { role: 'consumer' });
      const several = await opened(url, { role: 'producer' });
      const error = await errorOf(() => several.send('x'.repeat(4096)));
      expect(error).toMatchObject({ code: 'NARU_TOO_LARGE' });
      expect(error.message).toMatch(/4096 bytes, the limit is 4095.*PIPE_BUF.*relation 1:1/);
      await several.send('x'.repeat(4095));
      expect(await texts(consumer, 1)).toEqual(['x'.repeat(4095)]);
      expect(await codeOf(() => opened(url, { role: 'producer', relation: '1:1' }))).toBe('NARU_LIMIT');
      await several.close();
      const alone = await opened(url, { role: 'producer', relation: '1:1' });
      expect(await codeOf(() => opened(url, { role: 'producer' }))).toBe('NARU_LIMIT');
      const large = 'abcdefg'.repeat(100_000);
      const sending = Promise.all([alone.send(large), alone.send('small'), alone.send(large)]);
      expect(await texts(consumer, 3)).toEqual([large, 'small', large]);
      await sending;
      expect(await codeOf(() => opened(`${url}?frame=fixed&slotBytes=5000`))).toBe('NARU_TOO_LARGE');
      expect(await codeOf(() => opened(`${url}?frame=eof&relation=N:1`))).toBe('NARU_INVALID_ARGUMENT');
    });

    test('envelopes of any length from several producers at once arrive whole', async () => {
      const at = `${url}?format=envelope`;
      const consumer = await opened(at, { role: 'consumer' });
      const producers = await Promise.all([1, 2, 3].map(() => opened(at, { role: 'producer' })));
      const sending = producers.map((producer, who) =>
        producer.sendMany(Array.from({ length: 5 }, (_, n) => `${who}${n}`.repeat(30_000))),
      );
      const got = (await texts(consumer, 15)).map((text) => String(text));
      await Promise.all(sending);
      expect(got.map((text) => text.length)).toEqual(got.map(() => 60_000));
      for (const who of [0, 1, 2]) {
        const own = got.filter((text) => text.startsWith(`${who}`));
        expect(own).toEqual(Array.from({ length: 5 }, (_, n) => `${who}${n}`.repeat(30_000)));
      }
    });

    test('a long message whose sender gave up when half of it was in arrives all the same', async () => {
      const consumer = await opened(url, { role: 'consumer' });
      const alone = await opened(url, { role: 'producer', relation: '1:1' });
      const large = 'x'.repeat(300_000);
      // It counts as sent, and goes on by itself.
      await alone.send(large, { timeoutMs: 30 });
      expect(await texts(consumer, 1)).toEqual([large]);
      await alone.send(large, { timeoutMs: 30 });
      const closing = alone.close();
      expect(await texts(consumer, 1)).toEqual([large]);
      expect(await closing).toEqual({ undelivered: 0 });
      const last = await opened(url, { role: 'producer', relation: '1:1' });
      await last.send(large, { timeoutMs: 30 });
      await consumer.close();
      expect(await last.close()).toEqual({ undelivered: 1 });
    });
  });

  describe('deaths', () => {
    test('a writer killed within a message: the rest is told, not delivered; the next writer is served', async () => {
      for (const [frame, torn] of [
        ['lines', 'half a li'],
        ['length', '\\0\\0\\0\\20half'],
      ] as const) {
        const at = `fifo://${path}-${frame}?frame=${frame}`;
        const consumer = await opened(at, { role: 'consumer' });
        const told: string[] = [];
        consumer.on('error', ({ error }) => told.push(error.message));
        const receiving = consumer.receive({ timeoutMs: 8_000 });
        const program = String.raw`exec 3> "$1"; printf '%b' "$2" >&3; echo written; read forever`;
        const child = stage.start('sh', ['-c', program, 'sh', `${path}-${frame}`, torn]);
        expect(await child.line()).toBe('written');
        child.process.kill('SIGKILL');
        // A writer that comes before the reader has looked hides that there was none.
        await until('the loss is told', () => told.length === 1);
        const producer = await opened(at, { role: 'producer' });
        await producer.send('whole');
        expect((await receiving).data).toBe('whole');
        expect(told[0]).toMatch(/the last writer went after \d+ bytes of a message/);
        expect((await consumer.stats()).dropped).toEqual({ torn: 1 });
      }
    });

    test('a Naru writer killed in the middle of long messages: those before arrive, the torn one never', async () => {
      for (const query of ['relation=1:1', 'format=envelope']) {
        const at = `fifo://${path}-${query.length}?${query}`;
        const consumer = await opened(at, { role: 'consumer' });
        let told = 0;
        consumer.on('error', () => (told += 1));
        const child = peer({
          url: at,
          act: 'produce',
          count: 1_000,
          bytes: 500_000,
          options: { role: 'producer' },
        });
        const got = await texts(consumer, 3);
        child.process.kill('SIGKILL');
        await child.end();
        for (;;) {
          const next = await consumer.receive({ timeoutMs: 300 }).catch(() => undefined);
          if (next === undefined) break;
          got.push(next.data);
        }
        expect(got).toEqual(got.map((_, i) => `m-${i + 1}-`.padEnd(500_000, 'x')));
        expect(told).toBeLessThanOrEqual(1);
        const next = await opened(at, { role: 'producer' });
        await next.send('after');
        expect(await texts(consumer, 1)).toEqual(['after']);
      }
    });

    test('a reader killed in mid-stream takes along no more than it was given: the next one begins with a whole message', async () => {
      await opened(url, { nobody: 'keep' });
      // Lines that are written in blocks which end anywhere, as the C library does.
      const program = String.raw`i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo "line $i of the writer"; done | cat > "$1"`;
      const writer = stage.start('sh', ['-c', program, 'sh', path]);
      const numbers: number[] = [];
      for (let round = 1; round <= 5; round += 1) {
        const reader = peer({ url, act: 'consume', options: { role: 'consumer', prefetch: 1 } });
        expect(await reader.line()).toBe('ready');
        for (let n = 0; n < 50; n += 1) numbers.push(numberOf(await reader.line()));
        reader.process.kill('SIGKILL');
        await reader.end();
      }
      const last = await opened(url, { role: 'consumer', prefetch: 1 });
      for await (const { data } of last) {
        numbers.push(numberOf(String(data)));
        if (numbers.at(-1) === 20_000) break;
      }
      expect(await writer.end()).toMatchObject({ code: 0 });
      // Each line once and in order; those that a killed reader had and did not tell are missing, no more.
      for (let i = 1; i < numbers.length; i += 1) {
        expect(numbers[i]).toBeGreaterThan(numbers[i - 1] as number);
      }
    });

    test('both sides killed leave a FIFO with nothing in it, which works on', async () => {
      const reader = peer({ url, act: 'consume', options: { role: 'consumer' } });
      expect(await reader.line()).toBe('ready');
      const writer = peer({
        url,
        act: 'produce',
        count: 100_000,
        bytes: 1_000,
        options: { role: 'producer' },
      });
      await reader.line();
      for (const child of [reader, writer]) child.process.kill('SIGKILL');
      await Promise.all([reader.end(), writer.end()]);
      const mailbox = await opened();
      expect(mailbox.created).toBe(false);
      expect(await codeOf(() => mailbox.receive({ timeoutMs: 20 }))).toBe('NARU_TIMEOUT');
      await mailbox.send('works');
      expect(await texts(mailbox, 1)).toEqual(['works']);
      await mailbox.unlink();
      expect(readdirSync(stage.folder)).toEqual([]);
    });

    function numberOf(line: string): number {
      const match = /^line (\d+) of the writer$/.exec(line);
      expect(match, line).not.toBeNull();
      return Number(match?.[1]);
    }
  });

  describe('what is written', () => {
    test('frames: lines, length, fixed, chunk and eof', async () => {
      const expected: Record<string, unknown[]> = {
        'frame=lines': ['ab', '', 'cd'],
        'frame=length': ['ab', '', 'cd\n'],
        'frame=fixed&slotBytes=2': ['ab', 'cd'],
        'frame=chunk': ['ab'],
        'frame=eof': ['ab'],
      };
      for (const [i, [query, bodies]] of Object.entries(expected).entries()) {
        const at = `fifo://${path}${i}?${query}`;
        const consumer = await opened(at, { role: 'consumer' });
        const producer = await opened(at, { role: 'producer' });
        for (const body of bodies) await producer.send(body);
        expect(await texts(consumer, bodies.length)).toEqual(bodies);
        if (query === 'frame=eof') {
          expect(await codeOf(() => producer.send('more'))).toBe('NARU_CLOSED');
          stage.start('sh', ['-c', `(printf c; printf d) > ${path}${i}`]);
          expect(await texts(consumer, 1)).toEqual(['cd']);
        }
      }
      const producer = await opened(url, { role: 'producer' });
      await opened(url, { role: 'consumer' });
      expect(await codeOf(() => producer.send('two\nlines'))).toBe('NARU_INVALID_MESSAGE');
    });

    test('partial=deliver takes a last line without a line break for a message', async () => {
      const consumer = await opened(`${url}?partial=deliver`, { role: 'consumer' });
      const child = stage.start('sh', ['-c', `printf 'one\ntwo' > ${path}`]);
      expect(await texts(consumer, 2)).toEqual(['one', 'two']);
      await child.end();
      expect(await codeOf(() => opened(`${url}?partial=maybe`))).toBe('NARU_INVALID_ARGUMENT');
      expect(await codeOf(() => opened(`${url}?partial=deliver&frame=length`))).toBe('NARU_INVALID_ARGUMENT');
    });

    test('a line that is too long is told and skipped; so is what is no envelope', async () => {
      const consumer = await opened(`${url}?size=10`, { role: 'consumer' });
      const lines = lossesOf(consumer);
      const long = `head -c 100000 /dev/zero | tr '\\0' x`;
      const program = `(echo short; ${long}; echo; echo short again; ${long}) > "$1"`;
      const child = stage.start('sh', ['-c', program, 'sh', path]);
      expect(await texts(consumer, 1)).toEqual(['short']);
      // It must see that the writer has gone before the next one comes.
      const nothing = codeOf(() => consumer.receive({ timeoutMs: 1_000 }));
      await child.end();
      expect(await nothing).toBe('NARU_TIMEOUT');
      stage.start('sh', ['-c', `echo next > ${path}`]);
      expect(await texts(consumer, 1)).toEqual(['next']);
      expect(lines).toEqual(new Map([['tooLarge', 3]]));
      const at = `fifo://${path}-e?format=envelope`;
      const envelopes = await opened(at, { role: 'consumer' });
      const losses = lossesOf(envelopes);
      const garbage = stage.start('sh', ['-c', `head -c 30000 /dev/urandom > ${path}-e`]);
      const receiving = envelopes.receive({ timeoutMs: 8_000 });
      await garbage.end();
      await until('it is told', () => losses.has('undecodable'));
      const producer = await opened(at, { role: 'producer' });
      await producer.send('fine', { headers: { a: 'b' } });
      expect(await receiving).toMatchObject({ data: 'fine', headers: { a: 'b' } });
    });

    test('a length that cannot be is told; the stream is skipped until its writers have gone', async () => {
      const at = `${url}?frame=length`;
      const consumer = await opened(at, { role: 'consumer' });
      const losses = lossesOf(consumer);
      const receiving = consumer.receive({ timeoutMs: 8_000 });
      const child = stage.start('sh', [
        '-c',
        String.raw`printf '\377\377\377\377garbage' > "$1"`,
        'sh',
        path,
      ]);
      await child.end();
      await until('it is told', () => losses.has('tooLarge'));
      const producer = await opened(at, { role: 'producer' });
      await producer.send('fine');
      expect((await receiving).data).toBe('fine');
    });
  });

  describe('the path', () => {
    test('it is made with mode 0600 or the mode that is said, whatever the umask; unlink() removes it', async () => {
      const mailbox = await opened();
      expect(mailbox.created).toBe(true);
      expect(lstatSync(path).mode & 0o7777).toBe(0o600);
      expect(await codeOf(() => opened(`${url}?mode=660`))).toBe('NARU_EXISTS');
      expect(await codeOf(() => opened(url, { create: 'new' }))).toBe('NARU_EXISTS');
      await mailbox.unlink();
      expect(existsSync(path)).toBe(false);
      expect(await codeOf(() => opened(url, { create: 'never' }))).toBe('NARU_NOT_FOUND');
      await opened(`${url}?mode=666`);
      expect(lstatSync(path).mode & 0o7777).toBe(0o666);
      expect(await codeOf(() => opened(`fifo://${path}/in/no/folder`))).toBe('NARU_NOT_FOUND');
    });

    test('what is no FIFO is refused, a symbolic link too, and neither is touched', async () => {
      writeFileSync(stage.path('file'), 'mine');
      mkdirSync(stage.path('folder'));
      tryNative()?.makeFifo(stage.path('real'), 0o600);
      symlinkSync(stage.path('real'), stage.path('link'));
      symlinkSync(stage.path('nowhere'), stage.path('dangling'));
      expect(await codeOf(() => opened(`fifo://${stage.path('file')}`))).toBe('NARU_INVALID_ARGUMENT');
      expect(await codeOf(() => opened(`fifo://${stage.path('folder')}`))).toBe('NARU_INVALID_ARGUMENT');
      const error = await errorOf(() => opened(`fifo://${stage.path('link')}`));
      expect(error).toMatchObject({ code: 'NARU_DENIED' });
      expect(error.message).toContain('symbolic link');
      expect(await codeOf(() => opened(`fifo://${stage.path('dangling')}`))).toBe('NARU_DENIED');
      expect(existsSync(stage.path('nowhere'))).toBe(false);
      expect(readFileSync(stage.path('file'), 'utf8')).toBe('mine');
    });

    test('a link that takes the place of the FIFO later is not followed either', async () => {
      const producer = await opened(url, { role: 'producer' });
      await producer.unlink();
      const other = await opened(url, { role: 'producer' });
      rmSync(path);
      writeFileSync(stage.path('victim'), '');
      symlinkSync(stage.path('victim'), path);
      expect(await codeOf(() => other.send('x'))).toBe('NARU_DENIED');
      expect(readFileSync(stage.path('victim'), 'utf8')).toBe('');
    });

    test.skipIf(process.getuid?.() !== 0)(
      "somebody else's FIFO is NARU_DENIED unless that is said to be known (skipped without root)",
      async () => {
        const made = stage.start('sh', ['-c', `mkfifo ${path} && chown 65534 ${path}`]);
        await made.end();
        const error = await errorOf(() => opened());
        expect(error).toMatchObject({ code: 'NARU_DENIED' });
        expect(error.message).toMatch(/belongs to user 65534.*create=never/);
        await opened(url, { create: 'never' });
      },
    );

    test.each([
      ['fifo://', 'NARU_INVALID_ARGUMENT'],
      ['fifo://name', 'NARU_INVALID_ARGUMENT'],
      ['fifo:///tmp/', 'NARU_INVALID_ARGUMENT'],
      ['fifo:///dev/shm/n?frame=fixed', 'NARU_INVALID_ARGUMENT'],
      ['fifo:///dev/shm/n?frame=lines&format=envelope', 'NARU_INVALID_ARGUMENT'],
      ['fifo:///dev/shm/n?mode=9', 'NARU_INVALID_ARGUMENT'],
      ['fifo:///dev/shm/n?depth=10', 'NARU_UNSUPPORTED'],
      ['fifo:///dev/shm/n?owner=users', 'NARU_UNSUPPORTED'],
      ['fifo:///dev/shm/n?settle=manual', 'NARU_UNSUPPORTED'],
      ['fifo:///dev/shm/n?deliver=all', 'NARU_UNSUPPORTED'],
    ])('%s is %s, and nothing is made', async (wrong, code) => {
      expect(await codeOf(() => open(wrong))).toBe(code);
      expect(existsSync('/dev/shm/n')).toBe(false);
    });
  });

  test('a thousand handles leave no descriptor and no thread', async () => {
    const count = (): number => readdirSync('/proc/self/fd').length;
    await opened(url, { nobody: 'keep' });
    const before = count();
    for (let n = 0; n < 1_000; n += 1) {
      const one = await open(url, { codec: 'text' });
      await one.send('x');
      await one.receive();
      await one.close();
    }
    const waiting = await Promise.all(
      Array.from({ length: 8 }, (_, i) => open(`fifo://${path}-${i}`, { role: 'producer' })),
    );
    const sends = waiting.map((one) => codeOf(() => one.send('nobody reads')));
    // Neither the event loop nor libuv's four threads are held by eight waits.
    expect(await readFile('/proc/self/comm', 'utf8')).not.toBe('');
    await Promise.all(waiting.map((one) => one.close({ flushMs: 0 })));
    expect(new Set(await Promise.all(sends))).toEqual(new Set(['NARU_CLOSED']));
    expect(count()).toBeLessThanOrEqual(before);
  });
});
