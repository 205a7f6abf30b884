// Mailboxes on a RabbitMQ server that is killed, cut off, is not there, or refuses. What holds for every place is in the conformance suite.

import { expect, test } from 'vitest';
import { importPackage } from '../../client/optional-package.ts';
import { survivesBadNetwork } from '../../engines/bad-network.fixture.ts';
import { startEngine } from '../../engines/engine.fixture.ts';
import { survivesKills } from '../../engines/kills.fixture.ts';
import { onlyWith } from '../../engines/only-with.fixture.ts';
import { rabbitmq } from '../../engines/rabbitmq.fixture.ts';
import { survivesResets, survivesStall } from '../../engines/resending.fixture.ts';
import { refusesTooLarge } from '../../engines/too-large.fixture.ts';
import { open } from '../../index.ts';
import type { AmqpPackage } from './protocol.ts';

const KILLS = 20;
let names = 0;
const name = (): string => {
  names += 1;
  return `amqp-${process.pid}-${names}`;
};

onlyWith(rabbitmq, 'mailboxes on amqp://, with RabbitMQ', (url) => {
  test(`the server is killed ${KILLS} times: sends end as confirmed, failed or unknown, and nothing confirmed is lost`, {
    timeout: 900_000,
  }, async () => {
    await using engine = await startEngine(rabbitmq);
    await survivesKills(`${engine.url}/?queue=killed`, KILLS, 'same id', () => engine.restart());
  });

  test('a network that stalls is noticed by the heartbeat; what was not confirmed goes out again with its id', {
    timeout: 120_000,
  }, async () => {
    await survivesStall(`${url}/?queue=${name()}`, 'heartbeat=1');
  });

  test('a connection that is reset in the midst of frames costs nothing that was confirmed, and a consumer goes on', {
    timeout: 120_000,
  }, async () => {
    await survivesResets(`${url}/?queue=${name()}`);
  });

  test(
    'a network that is slow, or cuts what is written in two: every send ends, and nothing confirmed is lost',
    {
      timeout: 120_000,
    },
    () => survivesBadNetwork(`${url}/?queue=${name()}`, 'same id'),
  );

  test("a message over the server's own limit is refused by name, and costs nothing that was sent beside it", {
    timeout: 180_000,
  }, async () => {
    await using engine = await startEngine(rabbitmq, ['-rabbit', 'max_message_size', '100000']);
    await refusesTooLarge(`${engine.url}/?queue=large`, 200_000);
  });

  test('a server that is not there and a wrong password are said at open, without the password', async () => {
    // Nobody may listen on port 1 but root, and nobody does.
    const absent = open('amqp://naru:s3cret-w0rd@127.0.0.1:1/?queue=x');
    await expect(absent).rejects.toMatchObject({ code: 'NARU_DISCONNECTED' });
    const wrong = new URL(url);
    wrong.password = 's3cret-w0rd';
    const refused = await open(`${wrong.href}/?queue=x`).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'NARU_DENIED' });
    expect(JSON.stringify(refused) + String(refused)).not.toContain('s3cret-w0rd');
    await expect(open(`${url}/nowhere?queue=x`)).rejects.toMatchObject({ code: 'NARU_NOT_FOUND' });
  });

  test('what is stated and differs from what exists is refused, with both values; twenty openers at once make one mailbox', {
    timeout: 60_000,
  }, async () => {
    const address = `${url}/?queue=${name()}`;
    const stated = {
      capacityMessages: 100,
      priorities: 5,
      survives: 'restart',
      maxMessageBytes: 1_000,
    } as const;
    const handles = await Promise.all(
      Array.from({ length: 20 }, () => open(address, { ...stated, timeoutMs: 50_000 })),
    );
    expect(handles.filter(({ created }) => created)).toHaveLength(1);
    for (const other of [
      { capacityMessages: 50 },
      { priorities: 3 },
      { survives: 'process' },
      { relation: '1:1' },
    ] as const)
      await expect(open(address, other)).rejects.toMatchObject({ code: 'NARU_EXISTS' });
    await expect(open(address, { capacityMessages: 50 })).rejects.toThrow(
      'capacityMessages asked 50, is 100',
    );
    const [first] = handles;
    await expect(first?.send('x'.repeat(1_001))).rejects.toMatchObject({ code: 'NARU_TOO_LARGE' });
    await first?.unlink();
    await Promise.all(handles.map((handle) => handle.close()));
  });

  test('a quorum queue gives receipts that are durable, and has no priorities; a classic queue gives none', {
    timeout: 60_000,
  }, async () => {
    const quorum = `${url}/?queue=${name()}&type=quorum`;
    await using mailbox = await open(quorum);
    expect((await mailbox.send('kept')).reached).toBe('durable');
    expect((await mailbox.receive({ timeoutMs: 20_000 })).data).toBe('kept');
    await expect(open(`${quorum}&priorities=3`)).rejects.toMatchObject({ code: 'NARU_UNSUPPORTED' });
    await mailbox.unlink();
    const classic = `${url}/?queue=${name()}`;
    await expect(open(classic, { confirm: 'durable' })).rejects.toThrow('type=quorum');
    await using plain = await open(classic);
    expect((await plain.send('x')).reached).toBe('placed');
    await plain.unlink();
  });

  test('a queue that another program made is taken as it is, and its messages are read and written as they are', {
    timeout: 60_000,
  }, async () => {
    const { default: client } = (await importPackage('amqplib', 'amqplib', 'amqp')) as AmqpPackage;
    const { port } = new URL(url);
    const model = await client.connect({ protocol: 'amqp', hostname: '127.0.0.1', port: Number(port) }, {});
    const channel = await model.createConfirmChannel();
    const queue = name();
    await channel.assertQueue(queue, {
      durable: false,
      arguments: { 'x-message-ttl': 600_000, 'x-max-priority': 9 },
    });
    channel.publish('', queue, Buffer.from('"from a stranger"'), {
      type: 'greeting',
      headers: { n: 7, who: 'me' },
    });
    await using mailbox = await open(`${url}/?queue=${queue}`, { needs: ['headers', 'priority'] });
    const { data, type, headers } = await mailbox.receive({ timeoutMs: 20_000 });
    expect({ data, type, headers }).toEqual({
      data: 'from a stranger',
      type: 'greeting',
      headers: { n: '7', who: 'me' },
    });
    await mailbox.send({ back: 1 }, { correlationId: 'c', priority: 4, headers: { a: 'b' } });
    const got = await channel.get(queue, { noAck: true });
    expect(
      got !== false && [got.content.toString(), got.properties.correlationId, got.properties.headers],
    ).toEqual(['{"back":1}', 'c', { a: 'b' }]);
    await expect(open(`${url}/?queue=${queue}&survives=restart`)).rejects.toMatchObject({
      code: 'NARU_EXISTS',
    });
    await channel.deleteQueue(queue);
    await model.close();
  });
});
