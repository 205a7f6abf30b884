// Channels of publish and subscribe on a real server: every consumer gets every message, nobody else does, and what a channel cannot do is refused.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { startEngine } from '../../engines/engine.fixture.ts';
import { onlyWith } from '../../engines/only-with.fixture.ts';
import { REDIS_SERVERS, redis } from '../../engines/redis.fixture.ts';
import { open } from '../../index.ts';
import { FaultProxy } from '../../link/fault-proxy.fixture.ts';

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

for (const server of REDIS_SERVERS) {
  onlyWith(server, `channels of redis://, ${server.name}`, (url) => {
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
      await using engine = await startEngine(server);
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
      await expect(open(`${url}?channel=x&mailbox=y`)).rejects.toMatchObject({
        code: 'NARU_INVALID_ARGUMENT',
      });
    });
  });
}

onlyWith(redis, 'what a consumer of a channel missed', () => {
  test('a consumer that is so slow that the server ends its connection hears how much went by', async () => {
    await using engine = await startEngine(redis, [
      '--client-output-buffer-limit',
      'pubsub',
      '1mb',
      '1mb',
      '1',
    ]);
    const url = `${engine.url}?channel=slow`;
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', LISTENER, new URL('../../index.js', import.meta.url).href, url],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    try {
      await using producer = await open(url, { codec: 'text' });
      await producer.ready({ consumers: 1, timeoutMs: 20_000 });
      await producer.send('1');
      child.kill('SIGSTOP');
      let sent = 1;
      // The kernel's buffers fill first, then the server's, then it gives up.
      for (; (await producer.stats()).place.consumers === 1; sent += 64)
        await producer.sendMany(Array.from({ length: 64 }, () => 'x'.repeat(65_536)));
      child.kill('SIGCONT');
      await producer.ready({ consumers: 1, timeoutMs: 20_000 });
      await producer.send('last');
      const { got, missed, told } = JSON.parse(await lastLine(child.stdout)) as Heard;
      expect(missed).toBeGreaterThan(0);
      expect(got + missed).toBe(sent + 1);
      expect(told).toEqual(['disconnect', 'reconnect', 'gap']);
    } finally {
      child.kill('SIGKILL');
    }
  }, 60_000);

  test('a network that goes silent is found out, and what went by meanwhile is told', async () => {
    await using engine = await startEngine(redis);
    const direct = `${engine.url}?channel=silent`;
    const proxy = await FaultProxy.to(Number(new URL(direct).port));
    try {
      await using producer = await open(direct);
      await using consumer = await open(proxy.through(direct), { role: 'consumer' });
      const told: unknown[] = [];
      consumer.on('disconnect', () => told.push('disconnect'));
      consumer.on('gap', ({ count }) => told.push(count));
      await producer.ready({ consumers: 1, timeoutMs: 20_000 });
      await producer.send('before');
      expect((await consumer.receive({ timeoutMs: 20_000 })).data).toBe('before');
      proxy.isStalled = true;
      await producer.sendMany(range(7));
      await expect.poll(() => told, { timeout: 30_000 }).toEqual(['disconnect']);
      const back = new Promise((resolve) => {
        consumer.on('reconnect', resolve);
      });
      proxy.isStalled = false;
      await back;
      await producer.send('after');
      expect((await consumer.receive({ timeoutMs: 20_000 })).data).toBe('after');
      expect(told).toEqual(['disconnect', 7]);
      expect((await consumer.stats()).dropped['missed']).toBe(7);
    } finally {
      await proxy.close();
    }
  }, 90_000);
});

interface Heard {
  readonly got: number;
  readonly missed: number;
  readonly told: readonly string[];
}

/** Prints what it heard when it has heard 'last'. */
const LISTENER = `
const { open } = await import(process.argv[1]);
const consumer = await open(process.argv[2], { role: 'consumer', codec: 'text' });
const told = [];
let missed = 0, got = 0;
for (const type of ['disconnect', 'reconnect', 'gap'])
  consumer.on(type, ({ count }) => { told.push(type); missed += type === 'gap' ? count : 0; });
for await (const { data } of consumer) {
  got += 1;
  if (data === 'last') break;
}
console.log(JSON.stringify({ got, missed, told }));
process.exit();
`;

async function lastLine(stream: NodeJS.ReadableStream): Promise<string> {
  let last = '';
  for await (const line of createInterface({ input: stream })) last = line;
  return last;
}
