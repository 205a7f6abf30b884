// Topics of a real node through each package: groups, keys, offsets, replay, strangers, and clusters that refuse. What becomes of handles
// when a node dies is in faults.engine.test.ts; what holds for every place is in the conformance suite.

import { randomUUID } from 'node:crypto';
import { type Admin, Kafka, logLevel } from 'kafkajs';
import { expect, test, vi } from 'vitest';
import { startEngine } from '../../engines/engine.fixture.ts';
import { guardedUrl, kafka } from '../../engines/kafka.fixture.ts';
import { onlyWith } from '../../engines/only-with.fixture.ts';
import type { NaruError } from '../../errors/index.ts';
import { open } from '../../index.ts';
import { loadFirst } from './loaded.fixture.ts';
import { CLIENTS, type ClientName } from './options.ts';

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
/** URLs that are put together promise nothing to the compiler. */
const NEEDS = ['ack', 'headers', 'orderingKey'] as const;
const WAIT = { timeoutMs: 10_000 };

async function withAdmin<T>(url: string, act: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = new Kafka({ brokers: [new URL(url).host], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    return await act(admin);
  } finally {
    await admin.disconnect();
  }
}

/** A topic of its own. */
async function newTopic(
  url: string,
  numPartitions = 1,
  configEntries: { name: string; value: string }[] = [],
): Promise<string> {
  const topic = `t-${randomUUID()}`;
  await withAdmin(url, async (admin) => {
    await admin.createTopics({ topics: [{ topic, numPartitions, configEntries }], waitForLeaders: false });
    // A node that has much to do knows it a moment later, and asked too early its package gives up.
    await vi.waitFor(() => admin.fetchTopicMetadata({ topics: [topic] }), { timeout: 20_000 });
  });
  return topic;
}

async function refused(call: Promise<unknown>): Promise<NaruError> {
  return (await call.then(
    () => undefined,
    (error: unknown) => error,
  )) as NaruError;
}

loadFirst();

onlyWith(kafka, 'mailboxes on kafka://', (url) => {
  for (const client of CLIENTS) each(client, url);

  test('a group has members of both packages: each partition is at one of them, and what one leaves the other gets', async () => {
    const topic = await newTopic(url, 4);
    const address = `${url}?topic=${topic}&group=mixed&from=start`;
    const got = { platformatic: new Set<number>(), kafkajs: new Set<number>() };
    const handles = await Promise.all(CLIENTS.map((client) => open(`${address}&client=${client}`)));
    const consuming = handles.map((handle, at) =>
      handle.consume(({ data }) => {
        got[CLIENTS[at] as ClientName].add(data as number);
      }),
    );
    await using producer = await open(`${url}?topic=${topic}`, { role: 'producer', needs: NEEDS });
    const all = (): number => new Set([...got.platformatic, ...got.kafkajs]).size;
    let sent = 0;
    const send = async (): Promise<void> => {
      for (let n = 0; n < 20; n += 1) {
        sent += 1;
        await producer.send(sent, { key: `key ${sent}` });
      }
    };
    await expect
      .poll(
        async () => {
          await send();
          return Math.min(got.platformatic.size, got.kafkajs.size);
        },
        { timeout: 30_000 },
      )
      .toBeGreaterThan(0);
    await expect.poll(all, { timeout: 10_000 }).toBe(sent);
    await consuming[0]?.stop();
    await handles[0]?.close();
    const before = got.kafkajs.size;
    await send();
    await expect.poll(() => got.kafkajs.size, { timeout: 20_000 }).toBeGreaterThanOrEqual(before + 20);
    await handles[1]?.close();
  }, 180_000);
});

function each(client: ClientName, url: string): void {
  test(`${client}: a topic is never made unless that is asked for`, async () => {
    const address = `${url}?topic=absent-${randomUUID()}&client=${client}`;
    const error = await refused(open(address));
    expect(error.code).toBe('NARU_NOT_FOUND');
    expect(error.message).toMatch(/if-missing/);
    await using made = await open(`${address}&partitions=3`, { create: 'if-missing' });
    expect(made.created).toBe(true);
    expect((await made.stats()).place.extra['partitions']).toBe(3);
    await made.unlink();
  });

  test(`${client}: user and password are asked for, and are in no message`, async () => {
    await using engine = await startEngine(kafka);
    const guarded = guardedUrl(engine.site);
    await using good = await open(`${guarded}?topic=t&client=${client}`, { create: 'if-missing' });
    await good.send('in');
    expect((await good.receive(WAIT)).data).toBe('in');
    const { message, code } = await refused(
      open(`${guarded.replace(/:[^:@]+@/, ':c4n4ry@')}?topic=t&client=${client}`),
    );
    expect(code).toBe('NARU_DENIED');
    expect(message).not.toContain('c4n4ry');
  }, 180_000);

  test(`${client}: without a broker open() says so in time`, async () => {
    const started = performance.now();
    const { code, message } = await refused(open(`kafka://naru:c4n4ry@127.0.0.1:1?topic=t&client=${client}`));
    expect(code).toBe('NARU_DISCONNECTED');
    expect(message).not.toContain('c4n4ry');
    expect(performance.now() - started).toBeLessThan(10_000);
    // One of several is enough.
    const topic = await newTopic(url);
    const brokers = `127.0.0.1:1,${new URL(url).host}`;
    await using handle = await open(`kafka://?brokers=${brokers}&topic=${topic}&client=${client}`);
    await handle.send(1);
  }, 120_000);

  test(`${client}: every consumer of a topic gets all from when it came; of each group one gets a message`, async () => {
    const topic = await newTopic(url);
    const address = `${url}?topic=${topic}&client=${client}`;
    await using producer = await open(address, { role: 'producer' });
    await producer.send(0);
    const open1 = (more: string): ReturnType<typeof open> => open(`${address}${more}`, { role: 'consumer' });
    const readers = await Promise.all([
      open1('&deliver=all'),
      open1('&deliver=all'),
      open1('&group=b'),
      open1('&group=a'),
      open1('&group=a'),
    ]);
    const got = readers.map(() => [] as number[]);
    await Promise.all(readers.map((reader) => reader.connect('consumer')));
    for (const [at, reader] of readers.entries())
      reader.consume(({ data }) => {
        got[at]?.push(data as number);
      });
    await producer.sendMany(range(100));
    await expect
      .poll(() => got.slice(0, 3).map(({ length }) => length), { timeout: 20_000 })
      .toEqual([100, 100, 100]);
    for (const one of got.slice(0, 3)) expect(one).toEqual(range(100));
    const shared = (): number[] => [...(got[3] ?? []), ...(got[4] ?? [])].sort((a, b) => a - b);
    await expect.poll(shared, { timeout: 20_000 }).toEqual(range(100));
    await Promise.all(readers.map((reader) => reader.close()));
  }, 180_000);

  test(`${client}: acks out of order move the group over what is done without a gap, and no further`, async () => {
    const topic = await newTopic(url);
    const address = `${url}?topic=${topic}&group=g&from=start&client=${client}`;
    const committed = (): Promise<number> =>
      withAdmin(url, async (admin) => {
        const [found] = await admin.fetchOffsets({ groupId: 'g', topics: [topic] });
        return Number(found?.partitions[0]?.offset);
      });
    await using handle = await open(address, { settle: 'manual' });
    await handle.sendMany(range(4));
    const [one, two, three] = [
      await handle.receive(WAIT),
      await handle.receive(WAIT),
      await handle.receive(WAIT),
    ];
    await three.ack();
    await two.ack();
    expect(await committed()).toBe(0);
    expect((await handle.stats()).place.extra['lag']).toBe(4);
    await one.ack();
    await expect.poll(committed).toBe(3);
    const four = await handle.receive(WAIT);
    await four.nack();
    const again = await handle.receive(WAIT);
    expect([again.data, again.deliveries]).toEqual([4, 2]);
    await handle.close();
    expect(await committed()).toBe(3);
    // What was acked behind an unsettled message is not known to others; what was before it is.
    await using next = await open(address);
    expect((await next.receive(WAIT)).data).toBe(4);
  }, 180_000);

  test(`${client}: a key's messages keep their partition and are handed out one at a time`, async () => {
    const topic = await newTopic(url, 3);
    await using handle = await open(`${url}?topic=${topic}&group=g&from=start&client=${client}`, {
      settle: 'manual',
      needs: NEEDS,
    });
    for (const n of [1, 2]) for (const key of ['a', 'b']) await handle.send(`${key}${n}`, { key });
    const held = [await handle.receive(WAIT), await handle.receive(WAIT)];
    expect(held.map(({ data }) => String(data)).sort((a, b) => a.localeCompare(b))).toEqual(['a1', 'b1']);
    expect((await refused(handle.receive({ timeoutMs: 300 }))).code).toBe('NARU_TIMEOUT');
    for (const message of held) {
      await message.ack();
      const next = await handle.receive(WAIT);
      expect(next.data).toBe(`${message.key}2`);
      await next.ack();
    }
  }, 120_000);

  test(`${client}: a topic is read again from its start, from an offset, from a time`, async () => {
    const topic = await newTopic(url);
    const address = `${url}?topic=${topic}&client=${client}`;
    await using producer = await open(address, { role: 'producer' });
    await producer.sendMany([1, 2, 3]);
    const since = Date.now() + 1;
    await expect.poll(() => Date.now()).toBeGreaterThan(since);
    await producer.sendMany([4, 5]);
    const first = async (more: string): Promise<unknown> => {
      await using reader = await open(`${address}${more}`);
      return (await reader.receive(WAIT)).data;
    };
    expect(await first('&deliver=all&from=start')).toBe(1);
    expect(await first('&deliver=all&offset=1')).toBe(2);
    expect(await first(`&deliver=all&since=${since}`)).toBe(4);
    expect(await first(`&deliver=all&since=${new Date(since).toISOString()}`)).toBe(4);
    expect(await first('&group=g&from=start')).toBe(1);
    expect(await first('&group=g&from=start')).toBe(2);
    expect(await first('&group=g&offset=4')).toBe(5);
    expect(await first('&group=g&offset=0')).toBe(1);
    expect(await first('&group=g')).toBe(2);
    expect((await refused(open(`${address}&offset=1&from=start`))).code).toBe('NARU_INVALID_ARGUMENT');
  }, 180_000);

  test(`${client}: programs that know nothing of Naru read what it sends, and it reads what they send`, async () => {
    const topic = await newTopic(url);
    const plain = new Kafka({ brokers: [new URL(url).host], logLevel: logLevel.NOTHING });
    const producer = plain.producer();
    await producer.connect();
    await producer.send({
      topic,
      messages: [{ key: 'k', value: '{"from":"outside"}', headers: { h: 'v' } }],
    });
    await producer.disconnect();
    await using handle = await open(`${url}?topic=${topic}&client=${client}`, { needs: NEEDS });
    const message = await handle.receive(WAIT);
    expect([message.data, message.key, message.headers, message.id]).toEqual([
      { from: 'outside' },
      'k',
      { h: 'v' },
      '0:0',
    ]);
    await handle.send({ from: 'naru' }, { key: 'ж', headers: { h: 'w' } });
    const consumer = plain.consumer({ groupId: randomUUID(), maxWaitTimeInMs: 100 });
    const seen: unknown[] = [];
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      eachMessage: ({ message: { key, value, headers } }) => {
        seen.push([String(key), String(value), String(headers?.['h'])]);
        return Promise.resolve();
      },
    });
    await expect
      .poll(() => seen, { timeout: 20_000 })
      .toEqual([
        ['k', '{"from":"outside"}', 'v'],
        ['ж', '{"from":"naru"}', 'w'],
      ]);
    await consumer.disconnect();
  }, 180_000);

  test(`${client}: the topic's own limit holds, and a message whose headers exceed it is refused by the broker`, async () => {
    const topic = await newTopic(url, 1, [{ name: 'max.message.bytes', value: '20000' }]);
    await using handle = await open(`${url}?topic=${topic}&client=${client}`, {
      codec: 'bytes',
      needs: NEEDS,
    });
    const error = await refused(handle.send(new Uint8Array(10_001)));
    expect([error.code, /10000|10,000/.test(error.message)]).toEqual(['NARU_TOO_LARGE', true]);
    await handle.send(new Uint8Array(10_000));
    const headers = Object.fromEntries(range(6).map((n) => [`h${n}`, 'x'.repeat(2_000)]));
    expect((await refused(handle.send(new Uint8Array(10_000), { headers }))).code).toBe('NARU_TOO_LARGE');
    await handle.send(new Uint8Array(1));
    expect((await handle.receive(WAIT)).data).toHaveLength(10_000);
    expect((await handle.receive(WAIT)).data).toHaveLength(1);
    expect((await refused(open(`${url}?topic=${topic}&client=${client}&size=20000`))).code).toBe(
      'NARU_EXISTS',
    );
  }, 120_000);

  test(`${client}: a consumer that is slow reads ahead within bounds`, async () => {
    const topic = await newTopic(url);
    await using producer = await open(`${url}?topic=${topic}&client=${client}`, {
      codec: 'bytes',
      role: 'producer',
    });
    const body = new Uint8Array(100_000);
    for (let n = 0; n < 10; n += 1) await producer.sendMany(Array.from({ length: 60 }, () => body));
    await using consumer = await open(`${url}?topic=${topic}&client=${client}`, {
      codec: 'bytes',
      settle: 'manual',
    });
    const before = process.memoryUsage();
    const held = [await consumer.receive(WAIT)];
    // It has time to read everything, were it not for the bounds.
    const until = performance.now() + 2_000;
    let most = 0;
    await expect
      .poll(
        () => {
          const { arrayBuffers, external } = process.memoryUsage();
          most = Math.max(most, arrayBuffers - before.arrayBuffers, external - before.external);
          return performance.now() > until;
        },
        { timeout: 10_000 },
      )
      .toBe(true);
    expect(most).toBeLessThan(40_000_000);
    while (held.length < 600) {
      const message = await consumer.receive(WAIT);
      await message.ack();
      held.push(message);
    }
    expect((await consumer.stats()).place.unsettled).toBe(1);
  }, 180_000);
}
