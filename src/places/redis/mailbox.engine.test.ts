// Mailboxes on a Redis server that is killed, silent, not there, or refuses; capacity that several share, and what a slow consumer costs.
// What holds for every place is in the conformance suite.

import { expect, test } from 'vitest';
import { survivesBadNetwork } from '../../engines/bad-network.fixture.ts';
import { startEngine } from '../../engines/engine.fixture.ts';
import { survivesSilence } from '../../engines/half-open.fixture.ts';
import { survivesKills } from '../../engines/kills.fixture.ts';
import { onlyWith } from '../../engines/only-with.fixture.ts';
import { redis, tooOldRedis } from '../../engines/redis.fixture.ts';
import { refusesTooLarge } from '../../engines/too-large.fixture.ts';
import { FaultProxy } from '../../link/fault-proxy.fixture.ts';
import { type Mailbox, type Message, open } from '../../index.ts';

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

async function take(
  consumer: Pick<Mailbox<unknown, unknown, never>, 'receive'>,
  count: number,
): Promise<Message<unknown>[]> {
  const got: Message<unknown>[] = [];
  while (got.length < count) got.push(await consumer.receive({ timeoutMs: 20_000 }));
  return got;
}

const KILLS = 20;
/** Every write is in the file before it is answered. */
const EVERY_WRITE = ['--appendonly', 'yes', '--appendfsync', 'always'];

onlyWith(redis, 'mailboxes on redis://', (url) => {
  test(`the server is killed ${KILLS} times: sends end as confirmed, failed or unknown, and nothing confirmed is lost`, {
    timeout: 300_000,
  }, async () => {
    await using engine = await startEngine(redis, EVERY_WRITE);
    await survivesKills(`${engine.url}?mailbox=killed`, KILLS, 'marked', () => engine.restart());
  });

  test('a network that goes silent is found out: the send into it ends, and both ends go on when it is back', {
    timeout: 60_000,
  }, async () => {
    await using engine = await startEngine(redis);
    await survivesSilence(`${engine.url}?mailbox=silent`);
  });

  test(
    'a network that is slow, or cuts what is written in two: every send ends, and nothing confirmed is lost',
    {
      timeout: 60_000,
    },
    () => survivesBadNetwork(`${url}?mailbox=bad-network`, 'marked'),
  );

  test('a server that kept nothing gives an empty mailbox, and its handles go on', async () => {
    await using engine = await startEngine(redis);
    await using mailbox = await open(`${engine.url}?mailbox=forgotten`);
    await using consumer = await open(`${engine.url}?mailbox=forgotten`);
    await mailbox.send('forgotten');
    const back = new Promise((resolve) => {
      mailbox.on('reconnect', resolve);
    });
    await engine.restart();
    await back;
    const receiving = consumer.receive({ timeoutMs: 20_000 });
    await mailbox.send('after');
    expect((await receiving).data).toBe('after');
  }, 60_000);

  test('a mailbox that was removed while a handle was away is closed for it', async () => {
    await using engine = await startEngine(redis, EVERY_WRITE);
    const address = `${engine.url}?mailbox=removed`;
    await using mailbox = await open(address);
    await using other = await open(address);
    const closed = expect(mailbox.receive()).rejects.toMatchObject({ code: 'NARU_CLOSED' });
    await other.unlink();
    await closed;
  }, 60_000);

  test('many starters at once make one mailbox', async () => {
    const address = `${url}?mailbox=redis-once`;
    const handles = await Promise.all(Array.from({ length: 20 }, () => open(address)));
    expect(handles.filter(({ created }) => created)).toHaveLength(1);
    await handles[0]?.unlink();
    await Promise.all(handles.map((handle) => handle.close()));
  }, 30_000);

  test('several producers at once never exceed the capacity, and nothing is lost', async () => {
    const address = `${url}?mailbox=redis-bounded&depth=10`;
    const producers = await Promise.all(Array.from({ length: 4 }, () => open(address)));
    await using consumer = await open(address);
    const sent = Promise.all(
      producers.map(async (producer, p) => {
        for (let n = 0; n < 100; n += 1) await producer.send({ p, n });
      }),
    );
    const got: { p: number; n: number }[] = [];
    while (got.length < 400) {
      const { depth, unsettled } = (await consumer.stats()).place;
      expect(depth + unsettled).toBeLessThanOrEqual(10);
      for (let i = 0; i < 5; i += 1)
        got.push((await consumer.receive({ timeoutMs: 20_000 })).data as { p: number; n: number });
    }
    await sent;
    for (const p of [0, 1, 2, 3])
      expect(got.filter((one) => one.p === p).map(({ n }) => n)).toEqual(
        Array.from({ length: 100 }, (_, n) => n),
      );
    await Promise.all(producers.map((producer) => producer.close()));
    await consumer.unlink();
  }, 60_000);

  test('what is acked leaves the stream, whatever else is there, and nothing else does', async () => {
    const { createClient } = await import('@redis/client');
    const client = createClient({ url });
    await client.connect();
    const address = `${url}?mailbox=redis-trim&settle=manual`;
    const [producer, first, second] = [await open(address), await open(address), await open(address)];
    try {
      await producer.sendMany(range(300));
      const oldest = await take(first, 100);
      const younger = await take(second, 100);
      // Older ones are another's: only its own go.
      await Promise.all(younger.map((message) => message.ack()));
      expect((await producer.stats()).place).toMatchObject({ depth: 100, unsettled: 100 });
      // The oldest, but for some in their middle.
      const kept = oldest.splice(40, 20);
      await Promise.all(oldest.map((message) => message.ack()));
      expect((await producer.stats()).place).toMatchObject({ depth: 100, unsettled: 20 });
      await Promise.all(kept.map((message) => message.nack()));
      const rest = await take(second, 120);
      expect(rest.map(({ data }) => data)).toEqual([...range(60).slice(40), ...range(300).slice(200)]);
      await Promise.all(rest.map((message) => message.ack()));
      const [stream] = await client.keys('naru:box:{redis-trim}:*:s');
      expect(await client.xLen(stream as string)).toBe(0);
      await producer.unlink();
    } finally {
      client.destroy();
      await Promise.all([producer, first, second].map((handle) => handle.close()));
    }
  }, 60_000);

  test('a slow consumer holds no more than it fetches ahead', async () => {
    const address = `${url}?mailbox=redis-slow`;
    await using producer = await open(address, { codec: 'bytes' });
    await using consumer = await open(address, { codec: 'bytes', prefetch: 16 });
    await producer.sendMany(Array.from({ length: 500 }, () => new Uint8Array(10_000)));
    for await (const message of consumer) {
      expect(message.data.byteLength).toBe(10_000);
      const { depth, unsettled } = (await producer.stats()).place;
      expect(unsettled).toBeLessThanOrEqual(32);
      expect(depth).toBeGreaterThan(400);
      break;
    }
    await producer.unlink();
  }, 60_000);

  test('a server that is not there and a wrong password are said at open, without the password', async () => {
    // Nobody may listen on port 1 but root, and nobody does.
    const absent = open('redis://:s3cret-w0rd@127.0.0.1:1/0?mailbox=x');
    await expect(absent).rejects.toMatchObject({ code: 'NARU_DISCONNECTED' });
    const wrong = new URL(url);
    wrong.password = 's3cret-w0rd';
    const refused = await open(`${wrong.href}?mailbox=x`).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'NARU_DENIED' });
    expect(JSON.stringify(refused) + String(refused)).not.toContain('s3cret-w0rd');
  });

  test('a server that takes the connection and says nothing is given up', async () => {
    const proxy = await FaultProxy.to(Number(new URL(url).port));
    proxy.isStalled = true;
    try {
      const silent = open(`redis://:s3cret-w0rd@127.0.0.1:${proxy.port}/0?mailbox=x`);
      await expect(silent).rejects.toMatchObject({
        code: 'NARU_DISCONNECTED',
        message: expect.stringContaining('did not answer') as unknown,
      });
    } finally {
      await proxy.close();
    }
  }, 30_000);

  test('what is too large, and what a stream cannot do, is refused', async () => {
    await using mailbox = await open(`${url}?mailbox=redis-large&size=1000`, { codec: 'bytes' });
    await expect(mailbox.send(new Uint8Array(1_001))).rejects.toMatchObject({ code: 'NARU_TOO_LARGE' });
    await mailbox.unlink();
    for (const option of ['survives=restart', 'priorities=3', 'from=start'])
      await expect(open(`${url}?mailbox=x&${option}`)).rejects.toMatchObject({
        code: 'NARU_UNSUPPORTED',
        message: expect.stringContaining('places that have it') as unknown,
      });
  });

  test("a message over the server's own limit is refused by name, and costs nothing that was sent beside it", async () => {
    await using engine = await startEngine(redis, ['--proto-max-bulk-len', '1mb']);
    await refusesTooLarge(`${engine.url}?mailbox=large`, 1_200_000);
    // What is under way on a channel is not sent again.
    await refusesTooLarge(`${engine.url}?channel=large`, 1_200_000, { behind: 'NARU_OUTCOME_UNKNOWN' });
  }, 60_000);

  test('a key that somebody else uses under its name is told, and left alone', async () => {
    const { createClient } = await import('@redis/client');
    const client = createClient({ url });
    await client.connect();
    try {
      await client.set('naru:box:{redis-foreign}', 'mine');
      await expect(open(`${url}?mailbox=redis-foreign`)).rejects.toMatchObject({ code: 'NARU_CORRUPT' });
      expect(await client.get('naru:box:{redis-foreign}')).toBe('mine');
      await client.del('naru:box:{redis-foreign}');
    } finally {
      client.destroy();
    }
  });
});

onlyWith(tooOldRedis, 'a Redis that is too old', (url) => {
  test.each(['mailbox', 'channel'])('%s: refused at open, with what it would take', async (what) => {
    const refused = open(`${url}?${what}=x`);
    await expect(refused).rejects.toMatchObject({
      code: 'NARU_UNSUPPORTED',
      message: expect.stringMatching(/the server is Redis 6\.0\.9, mailboxes need 6\.2 or newer/) as unknown,
    });
  });
});
