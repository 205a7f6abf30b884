// Channels of publish and subscribe on a real server: every consumer gets every message, nobody else does, and what a channel cannot do is refused.

import { expect, test } from 'vitest';
import { startEngine } from '../../engines/engine.fixture.ts';
import { onlyWith } from '../../engines/only-with.fixture.ts';
import { redis } from '../../engines/redis.fixture.ts';
import { open } from '../../index.ts';

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

onlyWith(redis, 'channels of redis://', (url) => {
  test('every consumer gets every message in order, from when it is there', async () => {
    const address = `${url}?channel=redis-news`;
    await using producer = await open(address);
    await using first = await open(address, { role: 'consumer' });
    await using second = await open(address, { role: 'consumer' });
    await producer.ready({ consumers: 2, timeoutMs: 20_000 });
    await producer.sendMany(range(500));
    for (const consumer of [first, second]) {
      const got: unknown[] = [];
      for await (const { data } of consumer) if (got.push(data) === 500) break;
      expect(got).toEqual(range(500));
    }
    await second.close();
    await expect.poll(async () => (await producer.stats()).place.consumers).toBe(1);
  }, 60_000);

  test('what nobody hears is dropped and counted', async () => {
    await using producer = await open(`${url}?channel=redis-alone`);
    for (const n of range(3)) await producer.send(n);
    expect((await producer.stats()).dropped['nobody']).toBe(3);
  });

  test('a slow consumer costs bounded memory: it misses the oldest, and hears how many', async () => {
    const address = `${url}?channel=redis-slow`;
    await using producer = await open(address);
    await using slow = await open(address, { role: 'consumer' });
    await producer.ready({ consumers: 1, timeoutMs: 20_000 });
    let missed = 0;
    slow.on('gap', ({ count }) => {
      missed += count;
    });
    const count = 20_000;
    await producer.sendMany(range(count));
    await expect
      .poll(async () => (await slow.stats()).dropped['full'], { timeout: 20_000 })
      .toBe(count - 16_384);
    const { data } = await slow.receive({ timeoutMs: 20_000 });
    expect([data, missed]).toEqual([count - 16_384 + 1, count - 16_384]);
  }, 60_000);

  test('what strangers publish is no message; it is dropped and counted', async () => {
    const { createClient } = await import('@redis/client');
    const client = createClient({ url });
    await client.connect();
    try {
      await using consumer = await open(`${url}?channel=redis-strange`, { role: 'consumer' });
      await client.publish('redis-strange', 'hello');
      await expect.poll(async () => (await consumer.stats()).dropped['undecodable']).toBe(1);
    } finally {
      client.destroy();
    }
  });

  test('subscriptions come back when the server was killed', async () => {
    await using engine = await startEngine(redis);
    const address = `${engine.url}?channel=back`;
    await using producer = await open(address);
    await using consumer = await open(address, { role: 'consumer' });
    const back = new Promise((resolve) => {
      consumer.on('reconnect', resolve);
    });
    await engine.restart();
    await back;
    const receiving = consumer.receive({ timeoutMs: 20_000 });
    await producer.send('again');
    expect((await receiving).data).toBe('again');
  }, 60_000);

  test('what a channel cannot do is refused', async () => {
    const unsupported = { code: 'NARU_UNSUPPORTED' };
    for (const option of ['survives=restart', 'leaseMs=100', 'deliver=one', 'depth=5', 'full=drop-oldest'])
      await expect(open(`${url}?channel=x&${option}`)).rejects.toMatchObject(unsupported);
    await expect(open(`${url}?channel=x`, { needs: ['ack'] })).rejects.toMatchObject(unsupported);
    await expect(open(`${url}?channel=x&mailbox=y`)).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
  });
});
