// A program that uses a mailbox in all its ways, run by versions.test.ts with each version of amqplib. It ends with "done", or fails.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { open } from '../../index.ts';
import { FaultProxy } from '../../link/fault-proxy.fixture.ts';

const [host = '', name = ''] = process.argv.slice(2);
const LIMITS = { timeoutMs: 20_000 };

async function queue(address: string): Promise<void> {
  await using mailbox = await open(address, {
    settle: 'manual',
    priorities: 3,
    emulate: ['delay'],
    needs: ['headers', 'priority', 'ttl', 'delay'],
  });
  await mailbox.send('late', { delayMs: 200 });
  await mailbox.send('low', { headers: { a: 'b' } });
  await mailbox.send('high', { priority: 2, ttlMs: 60_000 });
  const first = await mailbox.receive(LIMITS);
  assert.equal(first.data, 'high');
  await first.ack();
  const again = await mailbox.receive(LIMITS);
  await again.nack();
  const second = await mailbox.receive(LIMITS);
  assert.deepEqual([second.data, second.redelivered, second.headers], ['low', true, { a: 'b' }]);
  await second.ack();
  assert.equal((await mailbox.receive(LIMITS)).data, 'late');
  await mailbox.unlink();
}

async function topicAndRequests(address: string): Promise<void> {
  await using news = await open(`${address}-topic`, { deliver: 'all' });
  await using reader = await open(`${address}-topic`, { role: 'consumer' });
  await news.ready({ consumers: 1, ...LIMITS });
  await news.send('heard');
  assert.equal((await reader.receive(LIMITS)).data, 'heard');
  await using server = await open(`${address}-requests`, { needs: ['reply'] });
  server.serve(({ data }) => Number(data) * 2);
  await using client = await open(`${address}-requests`, { needs: ['reply'] });
  assert.equal((await client.request(21)).data, 42);
  await news.unlink();
  await server.unlink();
}

/** Confirms, acks and consumers over a connection that breaks again and again. */
async function recovery(address: (port: number) => string, port: number): Promise<void> {
  const proxy = await FaultProxy.to(port);
  await using mailbox = await open(address(proxy.port));
  // Acks that went with a connection.
  mailbox.on('error', () => undefined);
  const got = new Set<unknown>();
  const consuming = mailbox.consume(({ data }) => {
    got.add(data);
  });
  for (let n = 0; n < 300; n += 1) {
    const sending = mailbox.send(n);
    if (n % 100 === 50) proxy.reset();
    await sending;
  }
  while (got.size < 300) await new Promise((resolve) => setTimeout(resolve, 10));
  await consuming.stop();
  await mailbox.unlink();
  await proxy.close();
}

const { port } = new URL(host);
const address = (at: number): string => `amqp://guest:guest@127.0.0.1:${at}/?queue=${name}`;
await queue(address(Number(port)));
await topicAndRequests(address(Number(port)));
await recovery(address, Number(port));
const loaded = Object.keys(createRequire(import.meta.url).cache);
assert.ok(
  loaded.some((file) => file.includes(`/node_modules/${name}/`)),
  `${name} was not used`,
);
process.stdout.write('done\n');
