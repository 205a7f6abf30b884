// Clients of a real broker process that hang, vanish, are cut off, hold a million messages or publish more than fits: nobody else is
// held up, and nothing is lost.

import { createRequire } from 'node:module';
import { describe, expect, test, vi } from 'vitest';
import { AmqpLoad } from '../../cli/amqp-load.ts';
import { until as untilWithin } from '../../cli/command.fixture.ts';
import { FaultProxy } from '../../link/fault-proxy.fixture.ts';
import type { Amqplib, AmqplibMessage } from '../client-types.fixture.ts';
import { BrokerProcess, Canary, WAIT_MS } from './broker-process.fixture.ts';

const amqplib = createRequire(import.meta.url)('amqplib') as Amqplib;

vi.setConfig({ testTimeout: 180_000 });

const until = (ask: () => boolean | Promise<boolean>): Promise<boolean> => untilWithin(ask, 2 * WAIT_MS);

async function queued(broker: BrokerProcess, queue: string): Promise<number> {
  return (await broker.ask()).queued.find((one) => one.queue === queue)?.messages ?? 0;
}

test('a consumer that hangs stops neither the others of its queue nor those of other queues', async () => {
  await using broker = await BrokerProcess.start();
  await using canary = await Canary.start(broker.url);
  const hanging = await AmqpLoad.connect(broker.port);
  let taken = 0;
  hanging.onBody = () => {
    taken += 1;
  };
  await hanging.declare('shared');
  await hanging.consume('shared');
  hanging.hang();
  const before = (await broker.ask()).rssBytes;
  const publisher = await AmqpLoad.connect(broker.port);
  const body = Buffer.alloc(16_000, 'x');
  await publisher.publish('shared', 4000, () => body);
  // What the hanging one has is its socket's buffer and the broker's for it; the rest waits.
  await until(async () => (await queued(broker, 'shared')) > 3000);
  await canary.sings();
  const other = await AmqpLoad.connect(broker.port);
  let got = 0;
  other.onBody = () => {
    got += 1;
  };
  await other.consume('shared');
  await until(async () => (await queued(broker, 'shared')) === 0);
  await until(() => got > 3000);
  expect((await broker.ask()).rssBytes - before).toBeLessThan(200 << 20);
  await canary.sings();
  expect(taken).toBeLessThan(1000);
  for (const client of [hanging, publisher, other]) client.close();
});

test('a client that vanished without a word is noticed by its heart, and what it held goes to others in order', async () => {
  await using broker = await BrokerProcess.start();
  await using canary = await Canary.start(broker.url);
  const proxy = await FaultProxy.to(broker.port);
  try {
    const lost = await amqplib.connect(`amqp://guest:guest@127.0.0.1:${proxy.port}?heartbeat=1`);
    lost.on('error', () => undefined);
    const channel = await lost.createConfirmChannel();
    channel.on('error', () => undefined);
    await channel.assertQueue('held');
    for (const body of ['a', 'b', 'c']) channel.sendToQueue('held', Buffer.from(body));
    await channel.waitForConfirms();
    const held: string[] = [];
    await channel.consume('held', (message) => held.push(message?.content.toString() ?? ''));
    await until(() => held.length === 3);
    proxy.isStalled = true;
    const heir = await amqplib.connect(broker.url);
    const inherited: AmqplibMessage[] = [];
    const heirs = await heir.createChannel();
    await heirs.consume('held', (message) => {
      if (message !== null) inherited.push(message);
    });
    await until(() => inherited.length === 3);
    expect(inherited.map(({ content }) => content.toString())).toEqual(['a', 'b', 'c']);
    expect(inherited.map(({ fields }) => (fields as { redelivered?: boolean }).redelivered)).toEqual([
      true,
      true,
      true,
    ]);
    await canary.sings();
    await heir.close();
  } finally {
    await proxy.close();
  }
});

test('a stream that comes a byte at a time is understood', async () => {
  await using broker = await BrokerProcess.start();
  const proxy = await FaultProxy.to(broker.port);
  proxy.pieceBytes = 1;
  try {
    await using canary = await Canary.start(`amqp://guest:guest@127.0.0.1:${proxy.port}`);
    await canary.sings();
  } finally {
    await proxy.close();
  }
});

test('publishers that are cut off anywhere leave whole messages only', async () => {
  await using broker = await BrokerProcess.start();
  await using canary = await Canary.start(broker.url);
  const proxy = await FaultProxy.to(broker.port);
  const body = (sequence: number): Buffer => Buffer.alloc(300, String.fromCharCode(97 + (sequence % 26)));
  try {
    for (let round = 0; round < 20; round += 1) {
      const publisher = await AmqpLoad.connect(proxy.port);
      await publisher.declare('cut');
      publisher.publish('cut', 3000, body).catch(() => undefined);
      const wanted = (await queued(broker, 'cut')) + round * 20;
      await until(async () => (await queued(broker, 'cut')) > wanted);
      proxy.reset();
      await publisher.closed;
    }
    await canary.sings();
    const count = await queued(broker, 'cut');
    expect(count).toBeGreaterThan(20);
    const reader = await AmqpLoad.connect(broker.port);
    const bodies: string[] = [];
    reader.onBody = (bytes) => bodies.push(Buffer.from(bytes).toString());
    await reader.consume('cut');
    await until(() => bodies.length === count);
    expect(bodies.filter((text) => text !== (text[0] ?? '').repeat(300))).toEqual([]);
    reader.close();
  } finally {
    await proxy.close();
  }
});

describe('memory', () => {
  const WATERMARK = 8 << 20;

  test('publishers above the watermark are blocked and told so, not killed; all arrives when it is taken', async () => {
    const limits = { memoryBytesMax: WATERMARK };
    await using broker = await BrokerProcess.start({ limits }, { flags: ['--max-old-space-size=64'] });
    const connection = await amqplib.connect(broker.url);
    const states: string[] = [];
    connection.on('blocked', () => states.push('blocked'));
    connection.on('unblocked', () => states.push('unblocked'));
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('much');
    // Four times the watermark.
    const count = 8192;
    for (let i = 0; i < count; i += 1) channel.sendToQueue('much', Buffer.alloc(4096, i & 0xff));
    await until(() => states.length > 0);
    const waiting = await queued(broker, 'much');
    expect(waiting).toBeLessThan(count / 2);
    // It stays so: a consumer can come, and with it everything flows again.
    const consumer = await amqplib.connect(broker.url);
    const taking = await consumer.createChannel();
    let got = 0;
    await taking.consume('much', (message) => {
      if (message === null) return;
      expect(message.content[0]).toBe(got & 0xff);
      got += 1;
      taking.ack(message);
    });
    await channel.waitForConfirms();
    await until(() => got === count);
    expect([states[0], states.at(-1)]).toEqual(['blocked', 'unblocked']);
    await consumer.close();
    await connection.close();
  });

  test('a consumer that holds a million messages holds up nobody, and they come back when it goes', async () => {
    const count = 1_000_000;
    await using broker = await BrokerProcess.start();
    await using canary = await Canary.start(broker.url);
    const before = (await broker.ask()).rssBytes;
    const holder = await AmqpLoad.connect(broker.port);
    await holder.declare('million');
    let held = 0;
    holder.onBody = () => {
      held += 1;
    };
    await holder.consume('million', false);
    const publisher = await AmqpLoad.connect(broker.port);
    const body = Buffer.alloc(16);
    await publisher.publish('million', count, () => body);
    await until(() => held === count);
    expect(await queued(broker, 'million')).toBe(count);
    await canary.sings();
    // Body, key, properties and what the tables say of them: far from an object for each.
    expect((await broker.ask()).rssBytes - before).toBeLessThan(count * 300);
    holder.close();
    await broker.connectionsAre(2);
    expect(await queued(broker, 'million')).toBe(count);
    await canary.sings();
    let again = 0;
    const heir = await AmqpLoad.connect(broker.port);
    heir.onBody = () => {
      again += 1;
    };
    await heir.consume('million');
    await until(() => again === count);
    for (const client of [publisher, heir]) client.close();
  });
});
