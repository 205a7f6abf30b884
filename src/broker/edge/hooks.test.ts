// What a broker offers tests beside the protocol: blocking, cutting, refusing, moving the clock, starting anew.

import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Broker } from 'naru/broker';
import { until } from '../../cli/command.fixture.ts';
import type { Amqplib, AmqplibChannel, AmqplibConnection } from '../client-types.fixture.ts';

vi.setConfig({ testTimeout: 60_000 });

const amqplib = createRequire(import.meta.url)('amqplib') as Amqplib;
let broker: Broker;
let client: AmqplibConnection;
let channel: AmqplibChannel;
const events: string[] = [];

beforeEach(async () => {
  broker = await Broker.start({
    port: 0,
    definitions: { queues: [{ name: 'given', vhost: '/' }] },
  });
  [client, channel] = await open();
});

afterEach(async () => {
  await broker.stop();
  events.length = 0;
});

/** A client whose misfortunes are noted. Its heart does not beat: the clock is moved by hours. */
async function open(name = ''): Promise<[AmqplibConnection, AmqplibChannel]> {
  const connection = await amqplib.connect(`${broker.url}?heartbeat=0`);
  for (const event of ['error', 'close', 'blocked', 'unblocked']) {
    connection.on(event, () => events.push(`${name}${event}`));
  }
  const made = await connection.createConfirmChannel();
  made.on('error', () => undefined);
  return [connection, made];
}

async function send(queue: string, body: string, options: object = {}): Promise<void> {
  channel.sendToQueue(queue, Buffer.from(body), options);
  await channel.waitForConfirms();
}

async function depth(queue: string): Promise<number> {
  return (await channel.checkQueue(queue)).messageCount;
}

describe('block()', () => {
  test('stops publishers, those that come later too, and lets consumers and declarations go on', async () => {
    await send('given', 'before');
    broker.block('a reason');
    channel.sendToQueue('given', Buffer.from('held'));
    await until(() => events.includes('blocked'));
    const [, other] = await open('other ');
    const got: string[] = [];
    await other.consume('given', (message) => got.push(message?.content.toString() ?? ''), { noAck: true });
    await until(() => got.length === 1);
    other.sendToQueue('given', Buffer.from('late'));
    await until(() => events.includes('other blocked'));
    // Its first message shows that it is a publisher, and is taken; those behind it wait.
    other.sendToQueue('given', Buffer.from('later'));
    const [, looking] = await open('looking ');
    await looking.checkQueue('given');
    expect(got).toEqual(['before', 'late']);
    broker.unblock();
    await until(() => got.length === 4);
    expect(got.slice(2).sort()).toEqual(['held', 'later']);
    expect(events.filter((event) => event.includes('unblocked')).sort()).toEqual([
      'other unblocked',
      'unblocked',
    ]);
  });
});

describe('disconnect() and close()', () => {
  test('one by its name: the others stay', async () => {
    await send('given', 'x');
    await open('other ');
    const [first, second] = broker.connections;
    expect(first?.name).not.toBe(second?.name);
    expect(broker.disconnect(first?.name)).toBe(1);
    await until(() => events.includes('close'));
    expect(events.filter((event) => event.startsWith('other'))).toEqual([]);
    expect(broker.disconnect('nobody:1')).toBe(0);
    expect(broker.connections.map(({ name }) => name)).toEqual([second?.name]);
    expect(broker.close(second?.name, 'maintenance')).toBe(1);
    await until(() => events.includes('other close'));
    await until(() => broker.connections.length === 0);
  });

  test('a cut gives back what was held, marked', async () => {
    await send('given', 'x');
    let held = 0;
    await channel.consume('given', () => {
      held += 1;
    });
    await until(() => held === 1);
    broker.disconnect();
    [client, channel] = await open();
    const again = await new Promise<boolean | undefined>((resolve) => {
      void channel.consume('given', (message) =>
        resolve((message?.fields as { redelivered?: boolean } | undefined)?.redelivered),
      );
    });
    expect(again).toBe(true);
  });
});

describe('failNextPublish()', () => {
  test('refuses as many as it says, whose messages are there all the same', async () => {
    broker.failNextPublish(2);
    for (const body of ['1', '2']) await expect(send('given', body)).rejects.toThrow();
    await send('given', '3');
    expect(await depth('given')).toBe(3);
  });
});

describe('advance()', () => {
  test('messages that a delayed exchange keeps come at their time', async () => {
    await channel.assertExchange('later', 'x-delayed-message', { arguments: { 'x-delayed-type': 'fanout' } });
    await channel.bindQueue('given', 'later', '');
    for (const [body, delay] of [
      ['slow', 7_200_000],
      ['fast', 3_600_000],
    ] as const) {
      channel.publish('later', '', Buffer.from(body), { headers: { 'x-delay': delay } });
    }
    await channel.waitForConfirms();
    expect(await depth('given')).toBe(0);
    broker.advance(3_599_000);
    expect(await depth('given')).toBe(0);
    broker.advance(1000);
    expect(await depth('given')).toBe(1);
    broker.advance(3_600_000);
    expect(await depth('given')).toBe(2);
  });

  test('a message’s own time to live, dead letters after it, and unused queues', async () => {
    await channel.assertQueue('short', {
      arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'given' },
    });
    await channel.assertQueue('unused', { arguments: { 'x-expires': 60_000 } });
    await send('short', 'x', { expiration: '30000' });
    broker.advance(29_000);
    expect([await depth('short'), await depth('given')]).toEqual([1, 0]);
    broker.advance(1000);
    expect([await depth('short'), await depth('given')]).toEqual([0, 1]);
    broker.advance(60_000);
    await expect(channel.checkQueue('unused')).rejects.toThrow('404');
  });

  test('hearts that do not beat are noticed at once', async () => {
    const beating = await amqplib.connect(`${broker.url}?heartbeat=30`);
    let isOver = false;
    beating.on('error', () => undefined);
    beating.on('close', () => {
      isOver = true;
    });
    broker.advance(120_000);
    await until(() => isOver);
    expect(broker.connections).toHaveLength(1);
  });
});

describe('reset()', () => {
  test('is the start again: definitions are there, all else is gone, blocking and failing too', async () => {
    await channel.assertQueue('mine');
    await send('given', 'x');
    broker.block();
    broker.failNextPublish(5);
    await broker.reset();
    expect(broker.connections).toEqual([]);
    expect(broker.queuedMessages).toEqual([]);
    [client, channel] = await open();
    expect(await depth('given')).toBe(0);
    await send('given', 'y');
    expect(await depth('given')).toBe(1);
    await expect(channel.checkQueue('mine')).rejects.toThrow('404');
    await client.close();
  });

  test('many times over leaves nothing behind', async () => {
    for (let round = 0; round < 20; round += 1) {
      await channel.assertQueue(`q${round}`);
      await send(`q${round}`, 'x');
      await broker.reset();
      [client, channel] = await open();
    }
    expect(broker.queuedMessages).toEqual([]);
    await client.close();
  });
});
