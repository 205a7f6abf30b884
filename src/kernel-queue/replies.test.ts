// Requests over queues of the kernel: private queues that come and go, strangers' addresses, and time to live.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PosixQueue, SystemVQueue } from '../kernel/index.ts';
import { codeOf, KernelStage } from '../kernel/stage.fixture.ts';
import type { Mailbox } from '../mailbox/mailbox.ts';
import type { OpenOptions } from '../mailbox/options.ts';
import { nativeProblem, tryNative } from '../native/index.ts';
import { until } from '../native/stage.fixture.ts';
import { open } from '../open.ts';

const privateQueues = (): number => SystemVQueue.list().filter(({ mode }) => (mode & 0o111) === 0o101).length;

describe.skipIf(tryNative() === undefined).each(['sysv', 'posixmq'])(
  `replies and ttl over %s:// (${nativeProblem() ?? 'addon loaded'})`,
  (scheme) => {
    let stage: KernelStage;
    let url: string;
    let count = 0;

    beforeEach(() => {
      stage = new KernelStage();
      count += 1;
      const name = `naru-replies-${process.pid}-${count}`;
      url = `${scheme}://${name}?format=envelope`;
    });
    afterEach(() => stage.close());

    async function opened(options: OpenOptions = {}): Promise<Mailbox> {
      const mailbox: Mailbox = await open(url, { emulate: ['reply', 'ttl'], ...options });
      stage.cleanup(() => mailbox.unlink());
      stage.cleanup(() => mailbox.close({ flushMs: 0 }));
      return mailbox;
    }

    test('without emulate a request, serve() and a ttl are NARU_UNSUPPORTED, and needs say how to get them', async () => {
      const mailbox = await opened({ emulate: [] });
      expect(await codeOf(() => mailbox.request('x'))).toBe('NARU_UNSUPPORTED');
      expect(await codeOf(() => mailbox.serve(() => 1))).toBe('NARU_UNSUPPORTED');
      expect(await codeOf(() => mailbox.send('x', { ttlMs: 10 }))).toBe('NARU_UNSUPPORTED');
      await expect(open(url, { needs: ['reply', 'ttl'] })).rejects.toThrow("emulate: ['reply', 'ttl']");
      expect(
        await codeOf(() => open(url.replace('envelope', 'raw'), { needs: ['reply'], emulate: ['reply'] })),
      ).toBe('NARU_UNSUPPORTED');
    });

    test('the private queue is there from the first request to the close of the handle; who only answers has none', async () => {
      const before = privateQueues();
      const server = await opened();
      server.serve(({ data }) => `${String(data)}!`);
      const client = await opened();
      expect(privateQueues()).toBe(before);
      expect((await client.request('hello')).data).toBe('hello!');
      expect((await client.request('again')).data).toBe('again!');
      expect(privateQueues()).toBe(before + 1);
      await client.close();
      expect(privateQueues()).toBe(before);
    });

    test("an answer goes into no queue but a requester's", async () => {
      const victim = SystemVQueue.open({
        key: 0x52000000 | (process.pid & 0xffffff),
        create: 'new',
        mode: 0o777,
      });
      stage.cleanup(() => victim.remove());
      const mailbox = await opened();
      const address = `sysv://0x${(0x52000000 | (process.pid & 0xffffff)).toString(16)}?format=envelope`;
      for (const [replyTo, code] of [
        [address, 'NARU_PEER_GONE'],
        ['sysv://orders?format=envelope', 'NARU_INVALID_ARGUMENT'],
        ['shm://orders', 'NARU_INVALID_ARGUMENT'],
      ] as const) {
        await mailbox.send('question', { replyTo });
        const question = await mailbox.receive();
        expect(await codeOf(() => question.reply('answer'))).toBe(code);
      }
      expect(victim.stat().count).toBe(0);
    });

    test('a reply to a requester that has closed is NARU_PEER_GONE, also when it was answered before', async () => {
      const server = await opened();
      const client = await opened();
      const asked = client.request('first');
      const first = await server.receive();
      await first.reply('yes');
      await asked;
      const left = client.request('second').catch((error: unknown) => error);
      const second = await server.receive();
      await client.close();
      await left;
      expect(await codeOf(() => second.reply('too late'))).toBe('NARU_PEER_GONE');
    });

    test('what has expired is dropped and counted by whoever takes it, and a blocking receive goes on waiting', async () => {
      const mailbox = await opened();
      for (let n = 1; n <= 3; n += 1) await mailbox.send(`short ${n}`, { ttlMs: 1 });
      const sent = performance.now();
      await until('they have expired', () => performance.now() - sent > 5);
      await mailbox.send('long', { ttlMs: 60_000 });
      expect((await mailbox.receive()).data).toBe('long');
      expect((await mailbox.stats()).place.dropped).toEqual({ expired: 3 });
      await mailbox.send('short', { ttlMs: 1 });
      const again = performance.now();
      await until('it has expired', () => performance.now() - again > 5);
      expect(await codeOf(() => mailbox.receiveSync({ timeoutMs: 30 }))).toBe('NARU_TIMEOUT');
      expect((await mailbox.stats()).place.dropped).toEqual({ expired: 4 });
    });

    test('nothing is left', () => {
      const names = (PosixQueue.list() ?? []).map(({ name }) => name);
      expect(names.filter((name) => name.includes('naru-replies'))).toEqual([]);
    });
  },
);
