// posixmq:// beside the suite: C programs at the other end, what exists and what is stated, waiting without work.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PosixQueue } from '../../kernel/index.ts';
import { codeOf, hasCompiler, KernelStage, sleepersIn } from '../../kernel/stage.fixture.ts';
import type { Mailbox } from '../../mailbox/mailbox.ts';
import type { OpenOptions } from '../../mailbox/options.ts';
import { nativeProblem, tryNative } from '../../native/index.ts';
import { until } from '../../native/stage.fixture.ts';
import { open } from '../../open.ts';

describe.skipIf(tryNative() === undefined)(`posixmq:// (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: KernelStage;
  let name: string;
  let url: string;
  let count = 0;

  beforeEach(() => {
    stage = new KernelStage();
    count += 1;
    name = `naru-test-${process.pid}-${count}`;
    url = `posixmq://${name}`;
    stage.cleanup(() => PosixQueue.unlink(`/${name}`));
  });
  afterEach(() => stage.close());

  async function opened(at: string = url, options: OpenOptions = {}): Promise<Mailbox> {
    const mailbox: Mailbox = await open(at, { codec: 'text', ...options });
    stage.cleanup(() => mailbox.close({ flushMs: 0 }));
    return mailbox;
  }

  test.skipIf(!hasCompiler())(
    'a C producer that blocks on a full queue is woken by our receive; bodies and priorities are what it sent',
    async () => {
      const mailbox = await opened();
      const child = stage.c(
        'producer',
        String.raw`
        const mqd_t queue = mq_open(argv[1], O_WRONLY);
        if (queue < 0) fail("mq_open");
        for (int i = 1; i <= 60; i++) {
          char text[16];
          const int n = snprintf(text, sizeof text, "%d", i);
          if (mq_send(queue, text, n, i == 60 ? 0 : 5) != 0) fail("mq_send");
        }
        say("done");`,
        `/${name}`,
      );
      await until('the producer sleeps', () => sleepersIn('mqTimedSend', child.pid) === 1);
      const got: [unknown, number][] = [];
      for await (const { data, priority } of mailbox) {
        got.push([data, priority]);
        if (got.length === 60) break;
      }
      expect(got).toEqual(Array.from({ length: 60 }, (_, i) => [String(i + 1), i === 59 ? 0 : 5]));
      expect(await child.line()).toBe('done');
    },
  );

  test.skipIf(!hasCompiler())(
    'a C consumer that sleeps on an empty queue is woken by our send and reads exactly the body',
    async () => {
      const mailbox = await opened();
      const child = stage.c(
        'consumer',
        String.raw`
        const mqd_t queue = mq_open(argv[1], O_RDONLY);
        if (queue < 0) fail("mq_open");
        for (int i = 0; i < 3; i++) {
          char text[8192];
          unsigned priority;
          const ssize_t n = mq_receive(queue, text, sizeof text, &priority);
          if (n < 0) fail("mq_receive");
          printf("%u %zd %.*s\n", priority, n, (int)n, text);
          fflush(stdout);
        }`,
        `/${name}`,
      );
      await until('the consumer sleeps', () => sleepersIn('mqTimedReceive', child.pid) === 1);
      await mailbox.send('first', { priority: 32_767 });
      expect(await child.line()).toBe('32767 5 first');
      await mailbox.send('');
      expect(await child.line()).toBe('0 0 ');
      await mailbox.send('나루', { priority: 1 });
      expect(await child.line()).toBe('1 6 나루');
      expect(await child.end()).toMatchObject({ code: 0 });
    },
  );

  test('the most urgent message comes first; a priority that the kernel does not have is refused', async () => {
    const mailbox = await opened();
    for (const priority of [1, 3, 2, 3]) await mailbox.send(`of ${priority}`, { priority });
    const got = await mailbox.receiveMany(10);
    expect(got.map(({ data }) => data)).toEqual(['of 3', 'of 3', 'of 2', 'of 1']);
    expect(await codeOf(() => mailbox.send('x', { priority: 32_768 }))).toBe('NARU_INVALID_ARGUMENT');
  });

  test('depth and size make the queue; others are NARU_EXISTS, more than the sysctl is NARU_LIMIT', async () => {
    const mailbox = await opened(`${url}?depth=3&size=100&mode=640`);
    expect(mailbox.created).toBe(true);
    expect((await mailbox.stats()).place).toMatchObject({ capacityMessages: 3, depth: 0 });
    await mailbox.send('x'.repeat(100));
    expect((await mailbox.stats()).place).toMatchObject({ depth: 1, depthBytes: 100 });
    expect(await codeOf(() => mailbox.send('x'.repeat(101)))).toBe('NARU_TOO_LARGE');
    expect(await codeOf(() => open(`${url}?depth=4`))).toBe('NARU_EXISTS');
    expect(await codeOf(() => open(`${url}?mode=600`))).toBe('NARU_EXISTS');
    expect((await opened(url)).created).toBe(false);
    await mailbox.unlink();
    expect(await codeOf(() => open(url, { create: 'never' }))).toBe('NARU_NOT_FOUND');
    expect(await codeOf(() => open(`${url}?size=1GiB`))).toBe('NARU_LIMIT');
  });

  test.each([
    ['posixmq://', 'NARU_INVALID_ARGUMENT'],
    ['posixmq://name/path', 'NARU_INVALID_ARGUMENT'],
    ['posixmq://name?type=1', 'NARU_INVALID_ARGUMENT'],
    ['posixmq://name?capacity=1MiB', 'NARU_UNSUPPORTED'],
    ['posixmq://name?owner=users', 'NARU_UNSUPPORTED'],
    ['posixmq://name?settle=manual', 'NARU_UNSUPPORTED'],
  ])('%s is %s', async (wrong, code) => {
    expect(await codeOf(() => open(wrong))).toBe(code);
  });

  test('a queue of a name that Naru would not give is opened, and never made', async () => {
    const odd = `/naru test:${process.pid}@%`;
    const at = `posixmq://${encodeURIComponent(odd.slice(1))}`;
    expect(await codeOf(() => open(at))).toBe('NARU_INVALID_ARGUMENT');
    expect(await codeOf(() => open(at, { create: 'new' }))).toBe('NARU_INVALID_ARGUMENT');
    expect(await codeOf(() => open(at, { create: 'never' }))).toBe('NARU_NOT_FOUND');
    stage.cleanup(() => PosixQueue.unlink(odd));
    const queue = PosixQueue.open({ name: odd, create: 'new' });
    queue.trySend(Buffer.from('theirs'));
    await queue.close();
    const mailbox = await opened(at);
    expect(mailbox.address).toBe(at);
    expect((await mailbox.receive()).data).toBe('theirs');
  });

  test('what a loop that ends early had fetched ahead goes back at close, priorities too', async () => {
    const mailbox = await opened();
    for (let n = 1; n <= 5; n += 1) await mailbox.send(String(n), { priority: n });
    for await (const { data } of mailbox) if (data === '4') break;
    expect(await mailbox.close()).toEqual({ undelivered: 0 });
    const got = await (await opened()).receiveMany(10);
    expect(got.map(({ data, priority }) => [data, priority])).toEqual([
      ['3', 3],
      ['2', 2],
      ['1', 1],
    ]);
  });

  test('a closed handle says NARU_CLOSED to everything, also to stats()', async () => {
    const mailbox = await opened();
    await mailbox.close();
    expect(await codeOf(() => mailbox.send('x'))).toBe('NARU_CLOSED');
    expect(await codeOf(() => mailbox.stats())).toBe('NARU_CLOSED');
  });
});
