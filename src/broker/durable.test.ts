// The broker on a real folder, with a real client: what outlives a restart, what does not and is named, and who is refused.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import amqp from 'amqplib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Broker, type BrokerOptions } from './index.ts';

const WITHIN = { timeout: 20_000 };

let dataDir: string;
const running = new Set<Broker>();

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'naru-broker-'));
});
afterEach(async () => {
  for (const broker of running) await broker.stop();
  running.clear();
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(options: BrokerOptions = {}): Promise<Broker> {
  const broker = await Broker.start({ port: 0, dataDir, ...options });
  running.add(broker);
  return broker;
}

/** The management API's answer to a request as guest. */
async function ask(broker: Broker, method: string, path: string, body?: object): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${broker.httpPort}/api/${path}`, {
    method,
    headers: { authorization: `Basic ${btoa('guest:guest')}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return response.status === 204 ? undefined : response.json();
}

/** Runs `work` with a channel that confirms; everything it published is confirmed when this resolves. */
async function on(broker: Broker, work: (channel: amqp.ConfirmChannel) => Promise<void>): Promise<void> {
  const connection = await amqp.connect(broker.url);
  try {
    const channel = await connection.createConfirmChannel();
    await work(channel);
    await channel.waitForConfirms();
    // amqplib sends the connection's close before what waits in a channel.
    await channel.close();
  } finally {
    await connection.close();
  }
}

interface Seen {
  readonly body: string;
  readonly redelivered: boolean;
  readonly key: string;
}

async function takeAll(broker: Broker, queue: string): Promise<Seen[]> {
  const seen: Seen[] = [];
  await on(broker, async (channel) => {
    for (;;) {
      const got = await channel.get(queue, { noAck: true });
      if (got === false) return;
      const { redelivered, routingKey: key } = got.fields;
      seen.push({ body: got.content.toString(), redelivered, key });
    }
  });
  return seen;
}

describe('a restart', () => {
  test('durable queues, exchanges, bindings and persistent messages are there, in order; once for all queues', async () => {
    const first = await start();
    await on(first, async (channel) => {
      await channel.assertExchange('events', 'topic', { durable: true });
      for (const queue of ['one', 'two']) {
        await channel.assertQueue(queue, { durable: true, arguments: { 'x-max-priority': 3 } });
        await channel.bindQueue(queue, 'events', 'a.#');
      }
      for (let n = 0; n < 5; n += 1)
        channel.publish('events', 'a.b', Buffer.from(`m${n}`), {
          persistent: true,
          priority: n === 4 ? 2 : 0,
        });
      await channel.waitForConfirms();
      const got = await channel.get('one');
      expect(got !== false && got.content.toString()).toBe('m4');
    });
    await first.stop();
    expect(first.lost).toEqual([]);

    const second = await start();
    expect(second.recovered).toMatchObject({ isNew: false, isClean: true, queues: 2, messages: 10 });
    const seen = await takeAll(second, 'one');
    expect(seen.map(({ body }) => body)).toEqual(['m4', 'm0', 'm1', 'm2', 'm3']);
    // What was delivered and not settled is marked; the rest is not.
    expect(seen.map(({ redelivered }) => redelivered)).toEqual([true, false, false, false, false]);
    expect(seen[1]?.key).toBe('a.b');
    expect((await takeAll(second, 'two')).map(({ body }) => body)).toEqual(['m4', 'm0', 'm1', 'm2', 'm3']);
    await on(second, async (channel) => {
      channel.publish('events', 'a', Buffer.from('new'), { persistent: true });
    });
    await second.stop();
    expect((await start()).queuedMessages).toEqual([
      { vhost: '/', queue: 'one', messages: 1 },
      { vhost: '/', queue: 'two', messages: 1 },
    ]);
  });

  test('what only memory held is gone, named and counted; exclusive queues are no loss', async () => {
    const first = await start();
    await on(first, async (channel) => {
      await channel.assertQueue('durable', { durable: true });
      await channel.assertQueue('transient', { durable: false });
      await channel.assertQueue('own', { exclusive: true });
      for (const queue of ['durable', 'transient', 'own']) {
        channel.sendToQueue(queue, Buffer.from('persistent'), { persistent: true });
        channel.sendToQueue(queue, Buffer.from('not'), { persistent: false });
      }
    });
    await first.stop();
    expect(first.lost).toEqual([
      { vhost: '/', queue: 'durable', messages: 1 },
      { vhost: '/', queue: 'transient', messages: 2 },
    ]);
    const second = await start();
    expect(second.queuedMessages).toEqual([{ vhost: '/', queue: 'durable', messages: 1 }]);
  });

  test('keepTransient keeps them, in their order, once', async () => {
    const first = await start({ keepTransient: true });
    await on(first, async (channel) => {
      await channel.assertExchange('passing', 'fanout', { durable: false });
      for (const durable of [true, false]) {
        await channel.assertQueue(`q-${durable}`, { durable });
        await channel.bindQueue(`q-${durable}`, 'passing', '');
      }
      for (let n = 0; n < 6; n += 1)
        channel.publish('passing', '', Buffer.from(`m${n}`), { persistent: n % 2 === 0 });
    });
    await first.stop();
    expect(first.lost).toEqual([]);
    const second = await start();
    for (const queue of ['q-true', 'q-false']) {
      const seen = await takeAll(second, queue);
      expect(seen.map(({ body }) => body)).toEqual(['m0', 'm1', 'm2', 'm3', 'm4', 'm5']);
    }
    await on(second, async (channel) => {
      channel.publish('passing', '', Buffer.from('again'));
    });
    // This stop keeps nothing.
    await second.stop();
    expect(second.lost.map(({ queue }) => queue)).toEqual(['q-true', 'q-false']);
    expect((await start()).queuedMessages).toEqual([]);
  });

  test('what was deleted, unbound, purged or acked stays so; ttl goes on', async () => {
    const first = await start();
    await on(first, async (channel) => {
      await channel.assertExchange('e', 'direct', { durable: true });
      for (const queue of ['gone', 'empty', 'old', 'kept'])
        await channel.assertQueue(queue, { durable: true });
      await channel.bindQueue('kept', 'e', 'one');
      await channel.bindQueue('kept', 'e', 'two');
      await channel.unbindQueue('kept', 'e', 'one');
      for (const queue of ['gone', 'empty', 'kept'])
        channel.sendToQueue(queue, Buffer.from('x'), { persistent: true });
      channel.sendToQueue('old', Buffer.from('short'), { persistent: true, expiration: 50 });
      channel.sendToQueue('old', Buffer.from('long'), { persistent: true, expiration: 3_600_000 });
      await channel.waitForConfirms();
      await channel.deleteQueue('gone');
      await channel.purgeQueue('empty');
      const got = await channel.get('kept');
      if (got !== false) channel.ack(got);
    });
    first.advance(100);
    await first.stop();
    const second = await start();
    expect(second.queuedMessages).toEqual([{ vhost: '/', queue: 'old', messages: 1 }]);
    await on(second, async (channel) => {
      for (const key of ['one', 'two']) channel.publish('e', key, Buffer.from(key), { persistent: true });
    });
    expect((await takeAll(second, 'kept')).map(({ body }) => body)).toEqual(['two']);
    second.advance(3_600_000);
    expect(second.queuedMessages).toEqual([]);
  });

  test('a message that waits for its time comes at its time', async () => {
    const first = await start();
    await on(first, async (channel) => {
      const type = { 'x-delayed-type': 'fanout' };
      await channel.assertExchange('later', 'x-delayed-message', { durable: true, arguments: type });
      await channel.assertQueue('due', { durable: true });
      await channel.bindQueue('due', 'later', '');
      const headers = { 'x-delay': 600_000 };
      channel.publish('later', '', Buffer.from('patience'), { persistent: true, headers });
      channel.publish('later', '', Buffer.from('forgotten'), { headers });
    });
    await first.stop();
    expect(first.lost).toEqual([{ vhost: '/', exchange: 'later', messages: 1 }]);
    const second = await start();
    expect(second.queuedMessages).toEqual([]);
    second.advance(600_001);
    expect(await takeAll(second, 'due')).toMatchObject([{ body: 'patience', redelivered: false }]);
  });

  test('users and permissions are there; guest does not come back', async () => {
    const definitions = {
      users: [{ name: 'app', password: 'secret', tags: ['administrator'] }],
      vhosts: [{ name: 'shop' }],
      permissions: [{ user: 'app', vhost: 'shop', configure: '.*', write: '.*', read: '.*' }],
    };
    const first = await start({ definitions });
    await first.stop();
    const second = await start();
    await expect(amqp.connect(second.url)).rejects.toThrow(/ACCESS_REFUSED/);
    const connection = await amqp.connect(`amqp://app:secret@127.0.0.1:${second.port}/shop`);
    await connection.close();
  });
});

describe('bodies beyond the memory for them', () => {
  test('are read from the disk when it is their turn, by get, consume and as dead letters', async () => {
    const limits = { storedBytesInMemoryMax: 300_000 };
    const broker = await start({ limits });
    const count = 1000;
    await on(broker, async (channel) => {
      const dead = { deadLetterExchange: '', deadLetterRoutingKey: 'dead' };
      await channel.assertQueue('dead', { durable: true });
      await channel.assertQueue('large', { durable: true, ...dead });
      for (let n = 0; n < count; n += 1)
        channel.sendToQueue('large', Buffer.alloc(1000, String(n)), { persistent: true });
      await channel.waitForConfirms();
      await channel.prefetch(50);
      const got: string[] = [];
      await new Promise<void>((resolve) => {
        void channel.consume('large', (message) => {
          if (message === null) return;
          got.push(message.content.toString().slice(0, 4));
          channel.nack(message, false, false);
          if (got.length === count) resolve();
        });
      });
      expect(got.map((text) => text === text[0])).toHaveLength(count);
    });
    const expected = Array.from({ length: count }, (_, n) => Buffer.alloc(1000, String(n)).toString());
    const seen: string[] = [];
    // Dead letters wait for their bytes, too.
    await expect
      .poll(async () => seen.push(...(await takeAll(broker, 'dead')).map(({ body }) => body)), WITHIN)
      .toBe(count);
    // Not toEqual(): nobody reads a difference of megabytes.
    expect(seen.every((body, index) => body === expected[index])).toBe(true);
  });
});

test('a second broker on the same folder is refused', async () => {
  await start();
  await expect(start()).rejects.toMatchObject({ code: 'NARU_EXISTS' });
});

test('reset() empties the folder too', async () => {
  const broker = await start();
  await on(broker, async (channel) => {
    await channel.assertQueue('q', { durable: true });
    channel.sendToQueue('q', Buffer.from('x'), { persistent: true });
  });
  await broker.reset();
  await broker.stop();
  const again = await start();
  expect([again.queuedMessages, again.recovered?.messages]).toEqual([[], 0]);
});

test('policies outlive a restart, and those that were deleted do not', WITHIN, async () => {
  const first = await start({ httpPort: 0 });
  const policy = { pattern: '^q', 'apply-to': 'queues', definition: { 'max-length': 2 } };
  await ask(first, 'PUT', 'policies/%2F/kept', policy);
  await ask(first, 'PUT', 'policies/%2F/gone', { ...policy, priority: 5 });
  await ask(first, 'DELETE', 'policies/%2F/gone');
  await on(first, async (channel) => {
    await channel.assertQueue('q');
    for (const body of ['a', 'b', 'c']) channel.sendToQueue('q', Buffer.from(body), { persistent: true });
  });
  await first.stop();
  const second = await start({ httpPort: 0 });
  expect(await ask(second, 'GET', 'policies')).toMatchObject([{ name: 'kept', priority: 0 }]);
  expect(await ask(second, 'GET', 'queues/%2F/q')).toMatchObject({ policy: 'kept', messages: 2 });
});
