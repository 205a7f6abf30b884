// Clients that RabbitMQ's users have, unchanged, over real sockets.

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Broker } from 'naru/broker';
import type { Amqplib, AmqplibMessage, CloudAmqp, RabbitmqClient } from './client-types.fixture.ts';

const require = createRequire(import.meta.url);
let broker: Broker;
const failures: Error[] = [];

beforeEach(async () => {
  broker = await Broker.start({ port: 0 });
  broker.on('error', (error: Error) => failures.push(error));
});

afterEach(async () => {
  await broker.stop();
  expect(failures.splice(0)).toEqual([]);
});

/** Resolves when `emitter` emits, with what it emits. */
function once<T>(
  emitter: { once(event: string, fn: (value: unknown) => void): unknown },
  event: string,
): Promise<T> {
  return new Promise((resolve) => {
    emitter.once(event, (value) => resolve(value as T));
  });
}

describe.each(['amqplib-0', 'amqplib-1', 'amqplib'])('%s', (name) => {
  const amqplib = require(name) as Amqplib;

  test('confirms, prefetch, acks, headers, large messages', async () => {
    const connection = await amqplib.connect(broker.url);
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('work', { durable: true, arguments: { 'x-max-priority': 5 } });
    await channel.prefetch(10);
    const large = Buffer.alloc(500_000, 'x');
    for (let i = 0; i < 100; i += 1) channel.sendToQueue('work', Buffer.from(`m${i}`), { headers: { i } });
    channel.sendToQueue('work', large);
    await channel.waitForConfirms();
    const got: AmqplibMessage[] = [];
    await new Promise<void>((resolve) => {
      void channel.consume('work', (message) => {
        if (message === null) return;
        got.push(message);
        channel.ack(message);
        if (got.length === 101) resolve();
      });
    });
    expect(got.slice(0, 100).map(({ properties }) => properties.headers?.['i'] as number)).toEqual(
      Array.from({ length: 100 }, (_, i) => i),
    );
    expect(got[100]?.content.equals(large)).toBe(true);
    await connection.close();
  });

  test('topics, exclusive queues, requests and replies', async () => {
    const connection = await amqplib.connect(broker.url);
    const channel = await connection.createChannel();
    await channel.assertExchange('news', 'topic', { durable: false });
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, 'news', '*.warn.#');
    for (const key of ['a.info', 'a.warn', 'b.warn.c.d']) channel.publish('news', key, Buffer.from(key));
    const seen: string[] = [];
    await new Promise<void>((resolve) => {
      void channel.consume(
        queue,
        (message) => {
          seen.push(message?.fields.routingKey ?? '');
          if (seen.length === 2) resolve();
        },
        { noAck: true },
      );
    });
    expect(seen).toEqual(['a.warn', 'b.warn.c.d']);
    await channel.assertQueue('rpc');
    await channel.consume('rpc', (message) => {
      if (message === null) return;
      channel.sendToQueue(message.properties.replyTo ?? '', Buffer.from(`re: ${message.content.toString()}`));
      channel.ack(message);
    });
    const answer = new Promise<string>((resolve) => {
      void channel.consume('amq.rabbitmq.reply-to', (message) => resolve(message?.content.toString() ?? ''), {
        noAck: true,
      });
    });
    channel.sendToQueue('rpc', Buffer.from('ping'), { replyTo: 'amq.rabbitmq.reply-to' });
    expect(await answer).toBe('re: ping');
    await connection.close();
  });

  test('a missing queue ends the channel with 404, and the connection goes on', async () => {
    const connection = await amqplib.connect(broker.url);
    const channel = await connection.createChannel();
    const ended = once<Error>(channel, 'error');
    await expect(channel.checkQueue('nowhere')).rejects.toThrow(
      "NOT_FOUND - no queue 'nowhere' in vhost '/'",
    );
    expect(await ended).toMatchObject({ code: 404, classId: 50, methodId: 10 });
    const another = await connection.createChannel();
    await another.assertQueue('somewhere');
    await connection.close();
  });

  test('a heartbeat of one second keeps an idle connection', async () => {
    const connection = await amqplib.connect(`${broker.url}?heartbeat=1`);
    let isBroken = false;
    connection.on('error', () => {
      isBroken = true;
    });
    for (let i = 0; i < 6; i += 1) {
      const beats = broker.connections.length;
      expect(beats).toBe(1);
      await new Promise((resolve) => {
        setTimeout(resolve, 500);
      });
    }
    expect(isBroken).toBe(false);
    await connection.close();
  });

  test('tells of blocked publishers, of nacks, of a forced close and of a cut cable', async () => {
    const connection = await amqplib.connect(broker.url);
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('q');
    channel.sendToQueue('q', Buffer.from('x'));
    await channel.waitForConfirms();
    const blocked = once<string>(connection, 'blocked');
    broker.block('no space');
    expect(JSON.stringify(await blocked)).toContain('no space');
    const unblocked = once(connection, 'unblocked');
    broker.unblock();
    await unblocked;
    broker.failNextPublish();
    channel.sendToQueue('q', Buffer.from('x'));
    await expect(channel.waitForConfirms()).rejects.toThrow();
    // An operator's close is no error to amqplib: it says why in `close`.
    const forced = once<Error>(connection, 'close');
    expect(broker.close()).toBe(1);
    expect((await forced).message).toContain('320');
    const second = await amqplib.connect(broker.url);
    const cut = once<Error>(second, 'error');
    expect(broker.disconnect()).toBe(1);
    await cut;
  });
});

test('amqplib reaches a Unix socket that only its owner can use', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'naru-broker-'));
  const path = join(folder, 'amqp.sock');
  const own = await Broker.start({ port: null, socketPath: path });
  try {
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const amqplib = require('amqplib') as Amqplib;
    const connection = await amqplib.connect('amqp://localhost', { path });
    await (await connection.createChannel()).assertQueue('q');
    await connection.close();
  } finally {
    await own.stop();
    rmSync(folder, { recursive: true });
  }
});

test('TLS, and IPv6', async () => {
  const pem = await generate([{ name: 'commonName', value: 'localhost' }], { keySize: 2048 });
  const own = await Broker.start({
    port: 0,
    host: '::1',
    tls: { port: 0, cert: pem.cert, key: pem.private },
  });
  try {
    const amqplib = require('amqplib') as Amqplib;
    const secure = await amqplib.connect(`amqps://[::1]:${own.tlsPort}`, {
      ca: [pem.cert],
      servername: 'localhost',
    });
    await (await secure.createChannel()).assertQueue('q');
    await secure.close();
    const plain = await amqplib.connect(own.url);
    expect(await (await plain.createChannel()).checkQueue('q')).toMatchObject({ messageCount: 0 });
    await plain.close();
  } finally {
    await own.stop();
  }
});

test('rabbitmq-client publishes, consumes and asks', async () => {
  const { Connection } = require('rabbitmq-client') as RabbitmqClient;
  const connection = new Connection(broker.url);
  const publisher = connection.createPublisher({ confirm: true, maxAttempts: 2 });
  const bodies: unknown[] = [];
  let close = (): Promise<void> => Promise.resolve();
  const done = new Promise<void>((resolve) => {
    const consumer = connection.createConsumer(
      { queue: 'jobs', queueOptions: { durable: true }, qos: { prefetchCount: 2 } },
      async (message) => {
        bodies.push(message.body);
        if (bodies.length === 3) resolve();
      },
    );
    close = () => consumer.close();
    consumer.on('ready', () => {
      void (async () => {
        for (const id of [1, 2, 3]) await publisher.send('jobs', { id });
      })();
    });
  });
  await done;
  expect(bodies).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
  const server = connection.createConsumer({ queue: 'rpc' }, async (message, reply) => {
    await reply(`re: ${String(message.body)}`);
  });
  await once(server, 'ready');
  const client = connection.createRPCClient({ confirm: true });
  expect((await client.send('rpc', 'ping')).body).toBe('re: ping');
  await Promise.all([client.close(), server.close(), publisher.close(), close()]);
  await connection.close();
});

test('@cloudamqp/amqp-client publishes with confirms and consumes', async () => {
  const packageName = '@cloudamqp/amqp-client';
  const { AMQPClient } = (await import(packageName)) as CloudAmqp;
  const client = new AMQPClient(broker.url);
  const connection = await client.connect();
  const channel = await connection.channel();
  await channel.confirmSelect();
  await channel.queueDeclare('q', { durable: false });
  for (const body of ['a', 'b', 'c']) {
    await channel.basicPublish('', 'q', body, { contentType: 'text/plain' });
  }
  const bodies: (string | null)[] = [];
  await new Promise<void>((resolve) => {
    void channel.basicConsume('q', { noAck: false }, async (message) => {
      bodies.push(message.bodyString());
      await message.ack();
      if (bodies.length === 3) resolve();
    });
  });
  expect(bodies).toEqual(['a', 'b', 'c']);
  await connection.close();
});

describe('embedding', () => {
  test('reset() brings it back to how it was started', async () => {
    const amqplib = require('amqplib') as Amqplib;
    const connection = await amqplib.connect(broker.url);
    const gone = once(connection, 'close');
    await (await connection.createChannel()).assertQueue('q');
    await broker.reset();
    await gone;
    const again = await amqplib.connect(broker.url);
    const channel = await again.createChannel();
    channel.on('error', () => undefined);
    await expect(channel.checkQueue('q')).rejects.toThrow('404');
    await again.close();
  });

  test('a clock that tests move', async () => {
    const amqplib = require('amqplib') as Amqplib;
    const connection = await amqplib.connect(`${broker.url}?heartbeat=0`);
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('q', { messageTtl: 3_600_000 });
    channel.sendToQueue('q', Buffer.from('x'));
    await channel.waitForConfirms();
    broker.advance(3_599_000);
    expect((await channel.checkQueue('q')).messageCount).toBe(1);
    broker.advance(1000);
    expect((await channel.checkQueue('q')).messageCount).toBe(0);
    await connection.close();
  });

  test('definitions in RabbitMQ’s form are there from the start', async () => {
    const own = await Broker.start({
      port: 0,
      definitions: {
        vhosts: [{ name: 'shop' }],
        users: [{ name: 'anna', password: 'geheim', tags: 'monitoring' }],
        permissions: [{ user: 'anna', vhost: 'shop', configure: '^$', write: '.*', read: '.*' }],
        queues: [{ name: 'orders', vhost: 'shop', arguments: { 'x-max-length': 10 } }],
        exchanges: [{ name: 'in', vhost: 'shop', type: 'topic' }],
        bindings: [
          {
            source: 'in',
            vhost: 'shop',
            destination: 'orders',
            destination_type: 'queue',
            routing_key: 'o.#',
          },
        ],
      },
    });
    try {
      const amqplib = require('amqplib') as Amqplib;
      const connection = await amqplib.connect(own.url.replace('guest:guest', 'anna:geheim') + '/shop');
      const channel = await connection.createConfirmChannel();
      channel.publish('in', 'o.1', Buffer.from('x'));
      await channel.waitForConfirms();
      expect((await channel.checkQueue('orders')).messageCount).toBe(1);
      channel.on('error', () => undefined);
      await expect(channel.assertQueue('other')).rejects.toThrow('403');
      await connection.close();
      await expect(amqplib.connect(own.url)).rejects.toThrow();
    } finally {
      await own.stop();
    }
  });

  test('a port that is taken is an error that says so', async () => {
    await expect(Broker.start({ port: broker.port })).rejects.toMatchObject({ code: 'NARU_EXISTS' });
  });

  test('stop() ends connections with a reply, and twice is once', async () => {
    const amqplib = require('amqplib') as Amqplib;
    const connection = await amqplib.connect(broker.url);
    const told = once<Error>(connection, 'close');
    await Promise.all([broker.stop(), broker.stop()]);
    expect((await told).message).toContain('CONNECTION_FORCED - broker is stopping');
  });

  test('a peer that says nothing and one that talks HTTP do not disturb it', async () => {
    const http = connectSocket(broker.port, '127.0.0.1');
    const answer = once<Buffer>(http, 'data');
    http.write('GET / HTTP/1.1\r\n\r\n');
    expect((await answer).toString('latin1')).toBe('AMQP\0\0\x09\x01');
    await once(http, 'close');
  });
});
