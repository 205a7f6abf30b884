// Mailboxes on a Redis server that is killed, silent, not there, or refuses; capacity that several share, and what a slow consumer costs.
// What holds for every place is in the conformance suite.

import { expect, test } from 'vitest';
import { startEngine } from '../../engines/engine.fixture.ts';
import { survivesSilence } from '../../engines/half-open.fixture.ts';
import { survivesKills } from '../../engines/kill-run.fixture.ts';
import { onlyWith } from '../../engines/only-with.fixture.ts';
import { redis } from '../../engines/redis.fixture.ts';
import { open } from '../../index.ts';
import { checkVersion } from './client.ts';

const KILLS = 20;
/** Every write is in the file before it is answered. */
const EVERY_WRITE = ['--appendonly', 'yes', '--appendfsync', 'always'];

onlyWith(redis, 'mailboxes on redis://', (url) => {
  test(`the server is killed ${KILLS} times: sends end as confirmed, failed or unknown, and nothing confirmed is lost`, {
    timeout: 300_000,
  }, async () => {
    await using engine = await startEngine(redis, EVERY_WRITE);
    await survivesKills(engine, 'mailbox=killed', KILLS);
  });

  test('a network that goes silent is found out: the send into it ends, and both ends go on when it is back', {
    timeout: 60_000,
  }, async () => {
    await using engine = await startEngine(redis);
    await survivesSilence(`${engine.url}?mailbox=silent`);
  });

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

test('a server older than Redis 6.2 is refused', () => {
  expect(() => checkVersion('6.0.16', 'redis://host/0')).toThrow(/Redis 6\.0\.16, mailboxes need 6\.2/);
  expect(() => checkVersion('6.2.0', 'redis://host/0')).not.toThrow();
  expect(() => checkVersion('7.0.15', 'redis://host/0')).not.toThrow();
});
