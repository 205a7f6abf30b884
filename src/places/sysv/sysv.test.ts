// sysv:// beside the suite: C programs at the other end, types and selections, what exists and what is stated, loops that end early.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SystemVQueue } from '../../kernel/index.ts';
import { codeOf, errorOf, hasCompiler, KernelStage, sleepersIn } from '../../kernel/stage.fixture.ts';
import type { Mailbox } from '../../mailbox/mailbox.ts';
import type { OpenOptions } from '../../mailbox/options.ts';
import { nativeProblem, tryNative } from '../../native/index.ts';
import { until } from '../../native/stage.fixture.ts';
import { open } from '../../open.ts';

describe.skipIf(tryNative() === undefined)(`sysv:// (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: KernelStage;
  let url: string;

  beforeEach(() => {
    stage = new KernelStage();
    url = `sysv://${stage.folder}?project=7`;
  });
  afterEach(() => stage.close());

  async function opened(at: string = url, options: OpenOptions = {}): Promise<Mailbox> {
    const mailbox: Mailbox = await open(at, { codec: 'text', ...options });
    // The address: the file that the path names may be gone by then.
    const key = Number(/0x[0-9a-f]+/.exec(mailbox.address)?.[0]);
    stage.cleanup(() => mailbox.close({ flushMs: 0 }));
    stage.cleanup(() => SystemVQueue.open({ key, create: 'never' }).remove());
    return mailbox;
  }

  describe.skipIf(!hasCompiler())('with C programs', () => {
    const OPEN = String.raw`
      struct message m = {0};
      const int id = msgget((key_t)strtoul(argv[1], NULL, 16), 0);
      if (id < 0) fail("msgget");
    `;
    const keyIn = (mailbox: Mailbox): string => mailbox.address.slice('sysv://'.length);

    test('a C producer that blocks on a full queue is woken by our receives; bodies and types are what it sent', async () => {
      const mailbox = await opened();
      const child = stage.c(
        'producer',
        String.raw`${OPEN}
        for (int i = 1; i <= 100; i++) {
          m.type = i;
          memset(m.text, '.', 1000);
          m.text[snprintf(m.text, sizeof m.text, "%d", i)] = '.';
          if (msgsnd(id, &m, 1000, 0) != 0) fail("msgsnd");
        }
        say("done");`,
        keyIn(mailbox),
      );
      await until('the producer sleeps on the full queue', () => sleepersIn('msgsnd', child.pid) === 1);
      const got: [string | undefined, number][] = [];
      for await (const message of mailbox) {
        got.push([message.type, Number.parseInt(message.data as string, 10)]);
        expect(message.body.length).toBe(1000);
        if (got.length === 100) break;
      }
      expect(got).toEqual(Array.from({ length: 100 }, (_, i) => [String(i + 1), i + 1]));
      expect(await child.line()).toBe('done');
    });

    test('a C consumer that sleeps on an empty queue is woken by our send and reads exactly the body', async () => {
      const mailbox = await opened();
      const child = stage.c(
        'consumer',
        String.raw`${OPEN}
        for (int i = 0; i < 3; i++) {
          const ssize_t n = msgrcv(id, &m, sizeof m.text, 0, 0);
          if (n < 0) fail("msgrcv");
          printf("%ld %zd %.*s\n", m.type, n, (int)n, m.text);
          fflush(stdout);
        }`,
        keyIn(mailbox),
      );
      await until('the consumer sleeps on the empty queue', () => sleepersIn('msgrcv', child.pid) === 1);
      await mailbox.send('first');
      await mailbox.send('', { type: '5' });
      await mailbox.send('나루', { type: '9007199254740991' });
      for (const line of ['1 5 first', '5 0 ', '9007199254740991 6 나루'])
        expect(await child.line()).toBe(line);
      expect(await child.end()).toMatchObject({ code: 0 });
    });
  });

  test('a handle receives the types that its URL selects, and only those', async () => {
    const all = await opened();
    const three = await opened(`${url}&type=3`);
    const upToThree = await opened(`${url}&type=-3`);
    const notThree = await opened(`${url}&except=3`);
    for (const type of ['5', '3', '2', '3', '1']) await all.send(`of ${type}`, { type });
    expect((await three.receive()).data).toBe('of 3');
    expect((await upToThree.receive()).data).toBe('of 1');
    expect((await notThree.receive()).data).toBe('of 5');
    expect((await notThree.receive()).data).toBe('of 2');
    expect(await codeOf(() => notThree.receive({ timeoutMs: 20 }))).toBe('NARU_TIMEOUT');
    const waiting = upToThree.receive();
    await all.send('of 7', { type: '7' });
    expect((await waiting).data).toBe('of 3');
    expect((await all.receive()).data).toBe('of 7');
  });

  test('a type that is no whole number from 1 is refused before anything is sent; an envelope takes any', async () => {
    const mailbox = await opened();
    for (const type of ['0', '-1', 'order', '1.5', '', '99999999999999999999']) {
      expect(await codeOf(() => mailbox.send('x', { type }))).toBe('NARU_INVALID_ARGUMENT');
    }
    expect((await mailbox.stats()).place.depth).toBe(0);
    const letters = await opened(`${url}&format=envelope`);
    await letters.send('x', { type: 'order', headers: { a: 'b' } });
    await letters.send('y', { type: '4' });
    const one = await letters.receive();
    expect([one.type, one.headers, one.sender]).toEqual(['order', { a: 'b' }, letters.identity]);
    expect((await (await opened(`${url}&format=envelope&type=4`)).receive()).data).toBe('y');
  });

  test('a raw message in a mailbox of envelopes is dropped, counted and told; the next is fine', async () => {
    const raw = await opened();
    const letters = await opened(`${url}&format=envelope`);
    const errors: Error[] = [];
    letters.on('error', ({ error }) => errors.push(error));
    await raw.send('no envelope');
    await letters.send('with one');
    expect((await letters.receive()).data).toBe('with one');
    expect((await letters.stats()).place.dropped).toEqual({ undecodable: 1 });
    expect(errors).toHaveLength(1);
  });

  test('what is stated and differs is NARU_EXISTS; a limit over kernel.msgmnb is NARU_LIMIT and leaves no queue', async () => {
    const small = await opened(`${url}&capacity=8KiB&mode=640`);
    expect(small.created).toBe(true);
    expect((await small.stats()).place).toMatchObject({ capacityBytes: 8192, producers: -1, consumers: -1 });
    expect(await codeOf(() => open(`${url}&capacity=4KiB`))).toBe('NARU_EXISTS');
    expect(await codeOf(() => open(`${url}&mode=600`))).toBe('NARU_EXISTS');
    expect(await codeOf(() => open(url, { create: 'new' }))).toBe('NARU_EXISTS');
    expect((await opened(`${url}&capacity=8KiB&mode=640`)).created).toBe(false);
    await small.unlink();
    expect(await codeOf(() => open(url, { create: 'never' }))).toBe('NARU_NOT_FOUND');
    expect((await errorOf(() => open(`${url}&size=1MiB`))).message).toContain('kernel.msgmax');
    expect(await codeOf(() => open(url, { create: 'never' }))).toBe('NARU_NOT_FOUND');
  });

  test.each([
    ['sysv://', 'NARU_INVALID_ARGUMENT'],
    ['sysv://0x0', 'NARU_INVALID_ARGUMENT'],
    ['sysv://0x123456789', 'NARU_INVALID_ARGUMENT'],
    ['sysv://na me', 'NARU_INVALID_ARGUMENT'],
    ['sysv://name/path', 'NARU_INVALID_ARGUMENT'],
    ['sysv://name?project=1', 'NARU_INVALID_ARGUMENT'],
    ['sysv://id/2147483647', 'NARU_NOT_FOUND'],
    ['sysv://id/1?create=new', 'NARU_INVALID_ARGUMENT'],
    ['sysv://id/2147483648', 'NARU_INVALID_ARGUMENT'],
    ['sysv:///tmp?project=0', 'NARU_INVALID_ARGUMENT'],
    ['sysv:///nowhere/at/all', 'NARU_NOT_FOUND'],
    ['sysv://name?type=0', 'NARU_INVALID_ARGUMENT'],
    ['sysv://name?type=1&except=2', 'NARU_INVALID_ARGUMENT'],
    ['sysv://name?except=-2', 'NARU_INVALID_ARGUMENT'],
    ['sysv://name?mode=rw', 'NARU_INVALID_ARGUMENT'],
    ['sysv://name?frame=lines', 'NARU_INVALID_ARGUMENT'],
    ['sysv://name?depth=10', 'NARU_UNSUPPORTED'],
    ['sysv://name?owner=process', 'NARU_UNSUPPORTED'],
    ['sysv://name?nobody=fail', 'NARU_UNSUPPORTED'],
    ['sysv://name?settle=manual', 'NARU_UNSUPPORTED'],
  ])('%s is %s, and nothing is made', async (wrong, code) => {
    expect(await codeOf(() => open(wrong))).toBe(code);
    expect(await codeOf(() => open('sysv://name', { create: 'never' }))).toBe('NARU_NOT_FOUND');
  });

  test('wait.yields says how many turns it looks before it sleeps', async () => {
    expect(await codeOf(() => open(url, { wait: { yields: Number.NaN } }))).toBe('NARU_INVALID_ARGUMENT');
    for (const yields of [0, 10_000]) {
      const mailbox = await opened(url, { wait: { yields } });
      const receiving = mailbox.receive();
      await (await opened()).send('late');
      expect((await receiving).data).toBe('late');
      await mailbox.close();
    }
  });

  test('what a loop that ends early had fetched ahead is received next, or goes back at close', async () => {
    const mailbox = await opened();
    for (let n = 1; n <= 6; n += 1) await mailbox.send(String(n));
    for await (const { data } of mailbox) if (data === '2') break;
    expect((await mailbox.stats()).place.depth).toBe(0);
    expect((await mailbox.receive()).data).toBe('3');
    expect(await mailbox.close()).toEqual({ undelivered: 0 });
    const other = await opened();
    expect((await other.receiveMany(10)).map(({ data }) => data)).toEqual(['4', '5', '6']);
  });

  test('what found no room to go back to is counted as undelivered', async () => {
    const mailbox = await opened(`${url}&capacity=2000`);
    await mailbox.send('x'.repeat(900));
    await mailbox.send('y'.repeat(900));
    for await (const { data } of mailbox) if (String(data).startsWith('x')) break;
    const other = await opened();
    await other.send('z'.repeat(1900));
    expect(await mailbox.close()).toEqual({ undelivered: 1 });
  });

  test('a send that is aborted in the moment it goes in has gone in: it resolves, and none is doubled', async () => {
    const mailbox = await opened(`${url}&capacity=100`, { codec: 'bytes' });
    const other = await opened(url, { codec: 'bytes' });
    await other.connect('consumer');
    let sent = 0;
    let received = 0;
    await mailbox.send(new Uint8Array(100));
    sent += 1;
    for (let round = 0; round < 300; round += 1) {
      const control = new AbortController();
      const sending = mailbox.send(new Uint8Array(100), { signal: control.signal }).then(
        () => (sent += 1),
        () => undefined,
      );
      if (round % 2 === 0) await Promise.resolve();
      else await new Promise(setImmediate);
      if (other.tryReceive() !== undefined) received += 1;
      for (let spin = 0; spin < (round % 7) * 20_000; spin += 1);
      control.abort();
      await sending;
    }
    while (other.tryReceive() !== undefined) received += 1;
    expect(received).toBe(sent);
  });

  test('sendSync() waits in the kernel and its message goes in once', async () => {
    const mailbox = await opened(`${url}&capacity=1000`);
    await mailbox.connect('producer');
    await mailbox.send('x'.repeat(1000));
    expect(await codeOf(() => mailbox.sendSync('y', { timeoutMs: 50 }))).toBe('NARU_TIMEOUT');
    expect((await mailbox.stats()).place.depth).toBe(1);
    await mailbox.receive();
    mailbox.sendSync('z', { timeoutMs: 1_000 });
    expect((await mailbox.receiveMany(5)).map(({ data }) => data)).toEqual(['z']);
  });

  test('peek() shows what the handle would receive, and neither takes it nor tells the kernel', async () => {
    const mailbox = await opened();
    const queue = SystemVQueue.open({ key: Number(mailbox.address.slice(7)), create: 'never' });
    for (let n = 1; n <= 100; n += 1) await mailbox.send(String(n), { type: String(1 + (n % 2)) });
    const before = queue.stat();
    expect((await mailbox.peek(3)).map(({ data, type }) => [data, type])).toEqual([
      ['1', '2'],
      ['2', '1'],
      ['3', '2'],
    ]);
    expect((await mailbox.peek(1000)).length).toBe(100);
    const ones = await opened(`${url}&type=1`);
    expect((await ones.peek(2)).map(({ data }) => data)).toEqual(['2', '4']);
    expect((await ones.peek(1000)).length).toBe(50);
    expect(queue.stat()).toEqual(before);
    expect(before.lastReceiverPid).toBe(0);
    await queue.close();
  });

  test('a private queue is found by its id, and not made by it', async () => {
    const queue = SystemVQueue.open({ key: 'private' });
    stage.cleanup(() => queue.remove());
    queue.trySend(Buffer.from('one'), 3);
    const mailbox = await open(`sysv://id/${queue.id}`, { codec: 'text' });
    stage.cleanup(() => mailbox.close());
    expect(mailbox).toMatchObject({ address: `sysv://id/${queue.id}`, created: false });
    expect((await mailbox.peek()).map(({ data, type }) => [data, type])).toEqual([['one', '3']]);
    await mailbox.unlink();
    expect(await codeOf(() => open(mailbox.address))).toBe('NARU_NOT_FOUND');
  });

  test('purge() empties it', async () => {
    const mailbox = await opened();
    for (let n = 0; n < 20; n += 1) await mailbox.send('x');
    expect(await mailbox.purge()).toBe(20);
    expect((await mailbox.stats()).place.depth).toBe(0);
  });
});
