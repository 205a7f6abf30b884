// Mailboxes on an Artemis that is full, or refuses; and what another program sees. What breaks, on both servers, is in
// faults.engine.test.ts; what holds for every place in the conformance suite.

import { expect, test } from 'vitest';
import { importPackage } from '../../client/optional-package.ts';
import { artemis } from '../../engines/artemis.fixture.ts';
import { onlyWith } from '../../engines/only-with.fixture.ts';
import { open } from '../../index.ts';
import type { RheaMessage, RheaPackage } from './protocol.ts';

let names = 0;
const name = (): string => {
  names += 1;
  return `activemq-${process.pid}-${names}`;
};

onlyWith(artemis, 'mailboxes on activemq://, with Artemis', (url) => {
  test('a server that is not there, a wrong password and another AMQP are said at open, without the password', {
    timeout: 60_000,
  }, async () => {
    // Nobody may listen on port 1 but root, and nobody does.
    const absent = open('activemq://naru:s3cret-w0rd@127.0.0.1:1?queue=x');
    await expect(absent).rejects.toMatchObject({ code: 'NARU_DISCONNECTED' });
    const wrong = new URL(url);
    wrong.password = 's3cret-w0rd';
    const refused = await open(`${wrong.href}?queue=x`).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'NARU_DENIED' });
    expect(JSON.stringify(refused) + String(refused)).not.toContain('s3cret-w0rd');
  });

  test('an address that is full gives no credit: sends wait, and go on when somebody has taken', {
    timeout: 120_000,
  }, async () => {
    const narrow = `${url}?queue=narrow.${name()}`;
    await using producer = await open(narrow, { role: 'producer' });
    const body = 'x'.repeat(4_000);
    const outcomes: string[] = [];
    const sending = Array.from({ length: 1_200 }, () =>
      producer.send(body, { timeoutMs: 60_000 }).then(
        () => outcomes.push('confirmed'),
        (error: { code?: string }) => outcomes.push(String(error.code)),
      ),
    );
    await using consumer = await open(narrow, { role: 'consumer' });
    let got = 0;
    const consuming = consumer.consume(
      () => {
        got += 1;
      },
      { concurrency: 50 },
    );
    await Promise.all(sending);
    const confirmed = outcomes.filter((what) => what === 'confirmed').length;
    expect(outcomes.filter((what) => what !== 'confirmed' && what !== 'NARU_TIMEOUT')).toEqual([]);
    await expect.poll(() => got, { timeout: 60_000 }).toBeGreaterThanOrEqual(confirmed);
    await consuming.stop();
    await consumer.unlink();
  });

  test('a slow consumer leaves at the server what it has not asked for', { timeout: 120_000 }, async () => {
    await using mailbox = await open(`${url}?queue=${name()}`, { prefetch: 20 });
    await mailbox.sendMany(Array.from({ length: 2_000 }, (_, n) => n));
    for await (const { data } of mailbox) {
      expect(data).toBe(0);
      expect((await mailbox.stats()).place.depth).toBeGreaterThanOrEqual(1_960);
      break;
    }
    expect(await mailbox.purge()).toBeGreaterThanOrEqual(1_960);
    await mailbox.unlink();
  });

  test('every consumer of a topic gets every message in order', { timeout: 60_000 }, async () => {
    const topic = `${url}?topic=${name()}`;
    await using news = await open(topic, { role: 'producer' });
    await using first = await open(topic, { role: 'consumer' });
    await using second = await open(topic, { role: 'consumer' });
    const numbers = Array.from({ length: 100 }, (_, n) => n);
    await news.sendMany(numbers);
    for (const consumer of [first, second]) {
      const got: unknown[] = [];
      while (got.length < numbers.length) got.push((await consumer.receive({ timeoutMs: 20_000 })).data);
      expect(got).toEqual(numbers);
    }
    await news.unlink();
  });

  test('a group of a topic is a durable subscription: it keeps what comes while nobody is there, and is shared', {
    timeout: 120_000,
  }, async () => {
    const topic = `${url}?topic=${name()}`;
    await using news = await open(topic);
    const first = await open(topic, { group: 'archive', role: 'consumer' });
    await first.close();
    await news.sendMany([1, 2, 3, 4]);
    await using again = await open(topic, { group: 'archive', role: 'consumer' });
    await using beside = await open(topic, { group: 'archive', role: 'consumer' });
    const got = [
      (await again.receive({ timeoutMs: 20_000 })).data,
      (await beside.receive({ timeoutMs: 20_000 })).data,
      (await again.receive({ timeoutMs: 20_000 })).data,
      (await beside.receive({ timeoutMs: 20_000 })).data,
    ];
    expect(new Set(got)).toEqual(new Set([1, 2, 3, 4]));
    await news.unlink();
  });

  test('what another program sends is read as it is, and what it gets is its own', {
    timeout: 60_000,
  }, async () => {
    const { default: rhea } = (await importPackage('rhea', 'rhea', 'activemq')) as RheaPackage;
    const { hostname: host, port, username, password } = new URL(url);
    const queue = name();
    await using mailbox = await open(`${url}?queue=${queue}`, { needs: ['headers', 'priority'] });
    const stranger = rhea
      .create_container({ id: queue })
      .connect({ host, port: Number(port), username, password, reconnect: false });
    const sender = stranger.open_sender({ target: { address: queue, capabilities: ['queue'] } });
    await new Promise((resolve) => sender.once('sendable', resolve));
    const note = {
      subject: 'greeting',
      message_id: 7,
      application_properties: { n: 7, who: 'me' },
      body: '"from a stranger"',
    };
    sender.send(rhea.message.encode(note), undefined, 0);
    const { data, type, headers, id } = await mailbox.receive({ timeoutMs: 20_000 });
    expect({ data, type, headers, id }).toEqual({
      data: 'from a stranger',
      type: 'greeting',
      headers: { n: '7', who: 'me' },
      id: '7',
    });
    await mailbox.send({ back: 1 }, { correlationId: 'c', priority: 2, headers: { a: 'b' } });
    const receiver = stranger.open_receiver({
      source: { address: queue, capabilities: ['queue'] },
      credit_window: 0,
      autoaccept: false,
    });
    receiver.add_credit(1);
    const { message } = await new Promise<{ readonly message?: RheaMessage }>((resolve) =>
      receiver.once('message', resolve),
    );
    const body = message?.body as { content: Buffer };
    expect([String(body.content), message?.correlation_id, message?.priority]).toEqual([
      '{"back":1}',
      'c',
      2,
    ]);
    expect(message?.application_properties).toMatchObject({ a: 'b' });
    stranger.close();
    await mailbox.unlink();
  });

  test('what exists otherwise is refused with both values, and who is not the first finds the same mailbox', {
    timeout: 60_000,
  }, async () => {
    const queue = name();
    const handles = await Promise.all(
      Array.from({ length: 5 }, () => open(`${url}?queue=${queue}`, { timeoutMs: 50_000 })),
    );
    expect(handles.filter(({ created }) => created)).toHaveLength(1);
    await expect(open(`${url}?topic=${queue}`)).rejects.toMatchObject({ code: 'NARU_EXISTS' });
    await expect(open(`${url}?queue=${queue}`, { survives: 'process' })).rejects.toThrow(
      'survives asked process, is restart',
    );
    await handles[0]?.unlink();
    await Promise.all(handles.map((handle) => handle.close()));
  });
});
