// What needs no RabbitMQ: against Naru's broker as a process, and the parts that are pure. What holds for every place is in the
// conformance suite, what only RabbitMQ shows in amqp.engine.test.ts.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importPackage } from '../../client/optional-package.ts';
import { survivesBadNetwork } from '../../engines/bad-network.fixture.ts';
import { open } from '../../index.ts';
import { FaultProxy } from '../../link/fault-proxy.fixture.ts';
import { watchStalledAcks } from '../../link/stalled-acks.fixture.ts';
import { BrokerProcess } from './broker.fixture.ts';
import { readServer } from './client.ts';
import { roundedDelay } from './delays.ts';
import { survivesKills } from '../../engines/kills.fixture.ts';
import { toEnvelope, toProperties } from './properties.ts';
import type { AmqpPackage } from './protocol.ts';
import { currentValue } from './topology.ts';

describe("with Naru's broker", () => {
  const broker = new BrokerProcess();
  beforeAll(() => broker.start(), 30_000);
  afterAll(() => broker[Symbol.asyncDispose]());

  test('it is killed 20 times: nothing confirmed is lost, and a receipt is durable', {
    timeout: 240_000,
  }, async () => {
    await survivesKills(`${broker.url}/?queue=killed`, 20, 'same id', () => broker.restart());
    await using mailbox = await open(`${broker.url}/?queue=receipts`);
    expect((await mailbox.send('x')).reached).toBe('durable');
    await mailbox.unlink();
  });

  test(
    'a network that is slow, or cuts what is written in two: every send ends, and nothing confirmed is lost',
    {
      timeout: 60_000,
    },
    () => survivesBadNetwork(`${broker.url}/?queue=bad-network`, 'same id'),
  );

  test('acks, unlink and close that are awaited keep their process alive until they are done', async () => {
    const program = `
      import { open } from 'naru';
      const mailbox = await open('${broker.url}/?queue=alive', { settle: 'manual' });
      await mailbox.sendMany([1, 2]);
      for (const expected of [1, 2]) {
        const message = await mailbox.receive({ timeoutMs: 20_000 });
        if (message.data !== expected) throw new Error(String(message.data));
        await message.ack();
      }
      await mailbox.unlink();
      await mailbox.close();
      console.log('done');`;
    const args = ['--input-type=module', '--eval', program];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(stdout).toBe('done\n');
  });

  test('consume() waits for no ack before the next message, for all of them at the end, and says which are lost', {
    timeout: 60_000,
  }, async () => {
    const proxy = await FaultProxy.to(broker.port);
    const address = (port: number): string => `amqp://guest:guest@127.0.0.1:${port}/?queue=stalled`;
    await using direct = await open(address(broker.port));
    await using through = await open(address(proxy.port));
    await watchStalledAcks(direct, through, proxy);
    await direct.unlink();
    await proxy.close();
  });

  test('survives says what is there after a restart: "restart" queue and messages, "process" neither', {
    timeout: 60_000,
  }, async () => {
    const { default: client } = (await importPackage('amqplib', 'amqplib', 'amqp')) as AmqpPackage;
    const persistence = async (queue: string): Promise<number | undefined> => {
      const model = await client.connect({ protocol: 'amqp', hostname: '127.0.0.1', port: broker.port }, {});
      const channel = await model.createChannel();
      const message = await channel.get(queue, { noAck: false });
      await model.close();
      return message === false ? undefined : message.properties.deliveryMode;
    };
    const url = (queue: string): string => `${broker.url}/?queue=${queue}`;
    for (const survives of ['restart', 'process'] as const) {
      await using mailbox = await open(url(survives), { survives });
      await mailbox.send('kept?');
    }
    expect(await persistence('restart')).toBe(2);
    expect(await persistence('process')).not.toBe(2);
    await broker.restart();
    await using kept = await open(url('restart'), { create: 'never' });
    expect((await kept.receive({ timeoutMs: 20_000 })).data).toBe('kept?');
    await kept.unlink();
    // Its settings are there, and its queue is made again: empty.
    await using lost = await open(url('process'), { create: 'never' });
    expect((await lost.stats()).place.depth).toBe(0);
    await lost.send('new');
    expect((await lost.receive({ timeoutMs: 20_000 })).data).toBe('new');
    await lost.unlink();
  });

  test('a slow consumer leaves at the server what it has not asked for', { timeout: 60_000 }, async () => {
    await using mailbox = await open(`${broker.url}/?queue=slow`, { prefetch: 20 });
    await mailbox.sendMany(Array.from({ length: 2_000 }, (_, n) => n));
    for await (const { data } of mailbox) {
      expect(data).toBe(0);
      expect((await mailbox.stats()).place.depth).toBeGreaterThanOrEqual(1_960);
      break;
    }
    await mailbox.unlink();
  });

  test('what AMQP cannot do is refused at open, with what can', async () => {
    const url = `${broker.url}/?queue=refused`;
    const refused = [
      { retain: 5 },
      { capacityBytes: 1_000 },
      { owner: 'process' },
      { leaseMs: 100 },
    ] as const;
    for (const options of refused)
      await expect(open(url, options)).rejects.toMatchObject({ code: 'NARU_UNSUPPORTED' });
    await expect(open(url, { deliver: 'all', capacityMessages: 5 })).rejects.toThrow('topic');
    await expect(open(url, { needs: ['peek'] })).rejects.toThrow('memory://');
    await expect(open(`${broker.url}/?queue=x&type=stream`)).rejects.toMatchObject({
      code: 'NARU_INVALID_ARGUMENT',
    });
  });

  test('a topic keeps what comes while the connection of a consumer is away', {
    timeout: 60_000,
  }, async () => {
    await using news = await open(`${broker.url}/?queue=news`, { deliver: 'all' });
    await using reader = await open(`${broker.url}/?queue=news`, { role: 'consumer' });
    const back = new Promise((resolve) => reader.on('reconnect', resolve));
    await broker.restart();
    await news.send('after the crash');
    expect((await reader.receive({ timeoutMs: 30_000 })).data).toBe('after the crash');
    await back;
    await news.unlink();
  });
});

describe('servers', () => {
  const capabilities = { publisher_confirms: true, 'basic.nack': true, consumer_cancel_notify: true };

  test('one that is too old, or lacks confirms, is refused', () => {
    expect(() => readServer({ product: 'RabbitMQ', version: '3.7.28', capabilities }, 'amqp://x')).toThrow(
      'the server is RabbitMQ 3.7.28, amqp:// needs 3.8 or newer',
    );
    expect(() => readServer({ product: 'Other', version: '1' }, 'amqp://x')).toThrow('publisher_confirms');
    expect(readServer({ product: 'RabbitMQ', version: '4.3.0', capabilities }, 'amqp://x')).toEqual({
      confirmsDurable: false,
      survives: true,
    });
  });

  test('the value that is there is read out of the refusal, whatever its type', () => {
    const text = (current: string): string =>
      `PRECONDITION_FAILED - inequivalent arg 'x' for queue 'q' in vhost '/': received 'a' but current is ${current}`;
    expect(currentValue(text("'b c'"))).toBe('b c');
    expect(currentValue(text("the value '10' of type 'long'"))).toBe('10');
    expect(currentValue(text('none'))).toBeUndefined();
  });
});

test('a delay is never shorter than asked, by 3.2 % longer at most, and of a thousand lengths', () => {
  const lengths = new Set<number>();
  for (let ms = 1; ms < 2 ** 31; ms = Math.ceil(ms * 1.001)) {
    const rounded = roundedDelay(ms);
    expect(rounded).toBeGreaterThanOrEqual(ms);
    expect(rounded).toBeLessThanOrEqual(ms * 1.032);
    lengths.add(rounded);
  }
  expect(lengths.size).toBeLessThan(1_000);
});

test('headers that AMQP would take for its own, or not take, arrive all the same', () => {
  const odd = { 'x-death': 'mine', CC: 'nobody', ['n'.repeat(300)]: 'long', plain: 'too' };
  const long = 'i'.repeat(300);
  const message = {
    body: new Uint8Array(0),
    sequence: 7,
    time: 1_700_000_000_123,
    fields: { headers: odd, id: long, type: 'short' },
    confirm: undefined,
    done: undefined,
  };
  const properties = toProperties(message, { persistent: true, identity: '1.2.3/4' });
  const fields = { deliveryTag: 1, redelivered: false, exchange: '', routingKey: 'q' };
  expect(toEnvelope({ content: Buffer.alloc(0), fields, properties })).toMatchObject({
    sender: '1.2.3/4',
    sequence: 7,
    time: 1_700_000_000_123,
    fields: { headers: odd, id: long, type: 'short' },
  });
});
