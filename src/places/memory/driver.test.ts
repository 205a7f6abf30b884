// The memory driver against the rules of driver.ts, with hooks that only write down.

import { afterEach, describe, expect, test } from 'vitest';
import type { Delivery, Outgoing, Receiver, Sender } from '../../mailbox/driver.ts';
import type { OpenOptions } from '../../mailbox/options.ts';
import { closeAll, microtasks, type Opened, openDriver, outgoing, textOf } from './open.fixture.ts';

afterEach(closeAll);

interface Pair extends Opened {
  readonly sender: Sender;
  readonly receiver: Receiver;
}

async function openPair(url = 'memory://pair', options: OpenOptions = {}): Promise<Pair> {
  const opened = await openDriver(url, options);
  const sender = await opened.driver.attachSender();
  return { ...opened, sender, receiver: await opened.driver.attachReceiver() };
}

function take(receiver: Receiver, max = 100): Delivery[] {
  const out: Delivery[] = [];
  receiver.take(max, out);
  return out;
}

describe('messages', () => {
  test('bytes and headers come out as they went in, whatever the sender does with its buffers afterwards', async () => {
    const { sender, receiver } = await openPair();
    const headers: Record<string, string> = { ünï: '\u0000 😀', __proto__x: '' };
    const sizes = [0, 1, 64, 65, 4096, 4097, 100_000];
    const batch: Outgoing[] = sizes.map((size, n) => ({
      body: new Uint8Array(size).fill(n + 1),
      sequence: n + 1,
      time: 5,
      fields: { headers, contentType: 'x/y' },
      confirm: undefined,
      done: undefined,
    }));
    expect(sender.offer(batch, 0)).toBe(sizes.length);
    for (const { body } of batch) body.fill(255);
    headers['late'] = 'x';
    const taken = take(receiver);
    expect(taken.map((delivery) => delivery.body.byteLength)).toEqual(sizes);
    taken.forEach((delivery, n) => {
      expect(delivery.body.every((byte) => byte === n + 1)).toBe(true);
      expect(delivery).toMatchObject({ sequence: n + 1, time: 5, deliveries: 1, receipt: false });
      expect(delivery.fields?.headers).toEqual({ ünï: '\u0000 😀', __proto__x: '' });
    });
  });

  test("a subscriber that writes into its body changes nobody else's", async () => {
    const { driver, sender, receiver } = await openPair('memory://t', { deliver: 'all' });
    const second = await driver.attachReceiver();
    sender.offer([outgoing('abc')], 0);
    take(receiver)[0]?.body.fill(0);
    expect(textOf(take(second)[0])).toBe('abc');
  });

  test('offer starts at `from`, takes what fits and says how many; writable comes when there is room', async () => {
    const { sender, receiver, told } = await openPair('memory://x?capacityMessages=2');
    const batch = ['a', 'b', 'c', 'd'].map((text) => outgoing(text));
    expect(sender.offer(batch, 1)).toBe(2);
    expect(sender.offer(batch, 3)).toBe(0);
    const taken = take(receiver);
    expect(taken.map(textOf)).toEqual(['b', 'c']);
    await microtasks();
    expect(told.writable).toBe(0);
    receiver.ackAll(taken);
    expect(told.writable).toBe(0);
    await microtasks();
    expect(told.writable).toBe(1);
    expect(sender.offer(batch, 3)).toBe(1);
  });

  test('readable comes once for a burst, never from inside offer', async () => {
    const { sender, receiver, told } = await openPair();
    receiver.want(1);
    for (let n = 0; n < 100; n += 1) sender.offer([outgoing('x')], 0);
    expect(told.readable).toBe(0);
    await microtasks();
    expect(told.readable).toBe(1);
  });

  test('a wait that was given up consumes nothing', async () => {
    const { driver, sender, receiver, told } = await openPair();
    const other = await openDriver('memory://pair');
    const second = await other.driver.attachReceiver();
    receiver.want(1);
    second.want(1);
    sender.offer([outgoing('x')], 0);
    await microtasks();
    expect([told.readable, other.told.readable]).toEqual([1, 0]);
    receiver.want(0);
    await microtasks();
    expect(other.told.readable).toBe(1);
    expect(take(second)).toHaveLength(1);
    expect(driver.peers).toEqual({ producers: 1, consumers: 2 });
  });

  test('requeue and release bring a message back; a settle that comes too late says so', async () => {
    const { sender, receiver } = await openPair('memory://lease?leaseMs=20');
    sender.offer([outgoing('a')], 0);
    const [first] = take(receiver);
    if (first === undefined) throw new Error('nothing taken');
    receiver.settle(first, 'requeue', 0);
    const [second] = take(receiver);
    expect(second).toMatchObject({ deliveries: 2 });
    receiver.want(1);
    while (take(receiver).length === 0) await microtasks();
    let late: Error | undefined;
    if (second !== undefined) receiver.settle(second, 'ack', 0, (error) => (late = error));
    expect(late).toMatchObject({ code: 'NARU_SETTLED' });
  });
});

describe('receipts', () => {
  test('the sender is told when the message was handed to the user, after the call', async () => {
    const { sender, receiver } = await openPair();
    const done: (Error | undefined)[] = [];
    sender.offer([outgoing('a', undefined, (error) => done.push(error))], 0);
    const [delivery] = take(receiver);
    expect(delivery?.receipt).toBe(true);
    if (delivery !== undefined) receiver.received(delivery);
    expect(done).toEqual([]);
    await microtasks();
    expect(done).toEqual([undefined]);
    if (delivery !== undefined) receiver.received(delivery);
    await microtasks();
    expect(done).toHaveLength(1);
  });

  test('a message that is lost says why', async () => {
    const codes: Record<string, string | undefined> = {};
    const expect1 = (name: string) => (error?: Error) => {
      codes[name] = (error as { code?: string } | undefined)?.code;
    };
    const topic = await openDriver('memory://topic?deliver=all');
    (await topic.driver.attachSender()).offer([outgoing('a', undefined, expect1('nobody'))], 0);
    const { sender, driver } = await openPair('memory://lost?capacityMessages=1&full=drop-oldest&dedup=5');
    sender.offer([outgoing('a', { id: '1' }, expect1('full'))], 0);
    sender.offer([outgoing('b', { id: '2' }, expect1('purged'))], 0);
    sender.offer([outgoing('b', { id: '2' }, expect1('duplicate'))], 0);
    await driver.purge?.();
    sender.offer([outgoing('c', { ttlMs: 0 }, expect1('expired'))], 0);
    sender.offer([outgoing('d', undefined, expect1('closed'))], 0);
    await sender.close();
    await microtasks();
    expect(codes).toEqual({
      nobody: 'NARU_NO_CONSUMER',
      full: 'NARU_FULL',
      purged: 'NARU_CLOSED',
      duplicate: 'NARU_OUTCOME_UNKNOWN',
      expired: 'NARU_TIMEOUT',
      closed: 'NARU_OUTCOME_UNKNOWN',
    });
    expect((await driver.stats()).dropped).toEqual({ full: 1, duplicate: 1, expired: 1 });
  });

  test('unlinking ends the wait for receipts, also of messages in flight', async () => {
    const { sender, receiver, driver } = await openPair();
    const done: (Error | undefined)[] = [];
    sender.offer([outgoing('a', undefined, (error) => done.push(error))], 0);
    take(receiver);
    await driver.unlink();
    await microtasks();
    expect(done).toMatchObject([{ code: 'NARU_CLOSED' }]);
  });
});

describe('life', () => {
  test('users: the mailbox goes with its last handle, and says what nobody will receive', async () => {
    const first = await openPair('memory://u');
    const second = await openDriver('memory://u');
    expect([first.driver.facts.created, second.driver.facts.created]).toEqual([true, false]);
    first.sender.offer([outgoing('a'), outgoing('b'), outgoing('c')], 0);
    first.receiver.ackAll(take(first.receiver, 1));
    take(first.receiver, 1);
    expect(await second.driver.close()).toEqual({ undelivered: 0 });
    expect(await first.driver.close()).toEqual({ undelivered: 2 });
    expect(await first.driver.close()).toEqual({ undelivered: 2 });
    await expect(openDriver('memory://u?create=never')).rejects.toMatchObject({ code: 'NARU_NOT_FOUND' });
  });

  test('users: what a closed handle sent is there for the others', async () => {
    const first = await openPair('memory://u');
    const second = await openDriver('memory://u');
    first.sender.offer([outgoing('a')], 0);
    expect(await first.driver.close()).toEqual({ undelivered: 0 });
    expect(take(await second.driver.attachReceiver()).map(textOf)).toEqual(['a']);
  });

  test('process: the mailbox goes with its creator; others hear PEER_GONE', async () => {
    const creator = await openPair('memory://p?owner=process');
    const other = await openDriver('memory://p');
    await creator.driver.close();
    expect(other.told.failed).toMatchObject([{ code: 'NARU_PEER_GONE' }]);
    await expect(other.driver.attachSender()).rejects.toMatchObject({ code: 'NARU_PEER_GONE' });
  });

  test('system: the mailbox stays until it is unlinked', async () => {
    const first = await openPair('memory://s?owner=system');
    first.sender.offer([outgoing('a')], 0);
    await first.driver.close();
    const second = await openDriver('memory://s?create=never');
    expect(take(await second.driver.attachReceiver()).map(textOf)).toEqual(['a']);
    await second.driver.unlink();
    await expect(openDriver('memory://s?create=never')).rejects.toMatchObject({ code: 'NARU_NOT_FOUND' });
  });

  test('unlink: others hear CLOSED, sends throw, the name is free at once', async () => {
    const first = await openPair('memory://g');
    const second = await openDriver('memory://g');
    await second.driver.unlink();
    expect(first.told.failed).toMatchObject([{ code: 'NARU_CLOSED' }]);
    expect(second.told.failed).toEqual([]);
    expect(() => first.sender.offer([outgoing('x')], 0)).toThrow(/unlinked/);
    expect(take(first.receiver)).toEqual([]);
    const third = await openDriver('memory://g?create=new');
    await first.driver.close();
    expect((await third.driver.stats()).depth).toBe(0);
    expect(third.told.failed).toEqual([]);
  });

  test('end: who waits for room is told, sends throw, consumers finish', async () => {
    const { sender, receiver, told } = await openPair('memory://e?capacityMessages=1');
    expect(sender.offer([outgoing('a'), outgoing('b')], 0)).toBe(1);
    await sender.end?.();
    await microtasks();
    expect(told.writable).toBe(1);
    expect(() => sender.offer([outgoing('b')], 0)).toThrow(/has ended/);
    expect(receiver.ended).toBe(false);
    receiver.ackAll(take(receiver));
    expect(receiver.ended).toBe(true);
  });

  test('closing a receiver gives back what it had', async () => {
    const { sender, receiver, driver } = await openPair();
    sender.offer([outgoing('a')], 0);
    take(receiver);
    await receiver.close();
    await receiver.close();
    expect(take(await driver.attachReceiver())).toMatchObject([{ deliveries: 2 }]);
    expect(driver.peers).toEqual({ producers: 1, consumers: 1 });
  });
});

describe('creation', () => {
  test('what is stated and differs is EXISTS, with both values; what is not stated is adopted', async () => {
    const first = await openDriver('memory://c?capacityBytes=1MiB&deliver=all&retain=3');
    const second = await openDriver('memory://c');
    expect(second.driver.facts).toMatchObject({ deliver: 'all', maxMessageBytes: 1_048_576, created: false });
    expect((await first.driver.stats()).capacityBytes).toBe(1_048_576);
    await expect(openDriver('memory://c?capacityBytes=4MiB')).rejects.toThrow(
      /capacityBytes asked 4194304, is 1048576/,
    );
    await expect(openDriver('memory://c?relation=1:1&retain=4')).rejects.toMatchObject({
      code: 'NARU_EXISTS',
      message: expect.stringMatching(/relation asked 1:1, is N:N; retain asked 4, is 3/),
    });
    await expect(openDriver('memory://c?create=new')).rejects.toMatchObject({ code: 'NARU_EXISTS' });
  });

  test('names are checked', async () => {
    for (const url of [
      'memory://',
      'memory://a/b',
      'memory://a:5',
      'memory://u@a',
      'memory://~other',
      'memory://ä',
    ]) {
      await expect(openDriver(url)).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
    }
    await expect(openDriver(`memory://${'x'.repeat(129)}`)).rejects.toMatchObject({
      code: 'NARU_INVALID_ARGUMENT',
    });
    await expect(openDriver('memory://~inbox.1.2.3')).resolves.toBeDefined();
  });

  test('sizes that contradict each other, and what has no meaning here, are refused', async () => {
    await expect(openDriver('memory://m?capacityBytes=10&maxMessageBytes=11')).rejects.toThrow(
      /maxMessageBytes 11/,
    );
    await expect(openDriver('memory://m?slotBytes=20&maxMessageBytes=11')).rejects.toThrow(/slotBytes 20/);
    await expect(openDriver('memory://m?frame=lines')).rejects.toMatchObject({ code: 'NARU_UNSUPPORTED' });
    await expect(openDriver('memory://m', { group: 'g' })).rejects.toThrow(/group needs deliver: 'all'/);
  });

  test('the relation limits who may attach, and says so', async () => {
    const limits = { '1:1': [1, 1], 'N:1': [3, 1], '1:N': [1, 3], 'N:N': [3, 3] } as const;
    for (const [relation, [producers, consumers]] of Object.entries(limits)) {
      const { driver } = await openDriver(`memory://r?relation=${relation}`);
      for (let n = 0; n < producers; n += 1) await driver.attachSender();
      for (let n = 0; n < consumers; n += 1) await driver.attachReceiver();
      if (producers === 1) {
        await expect(driver.attachSender()).rejects.toMatchObject({
          code: 'NARU_LIMIT',
          message: expect.stringContaining(`relation ${relation} allows 1 producer`),
        });
      }
      if (consumers === 1) {
        await expect(driver.attachReceiver()).rejects.toMatchObject({ code: 'NARU_LIMIT' });
      }
      await driver.close();
    }
  });

  test("as another place it has that place's features and limits", async () => {
    const { driver } = await openDriver('memory://twin?as=shm');
    const { features, limits } = driver.facts.capabilities;
    expect(features).toMatchObject({ lease: 'none', delay: 'none', ack: 'native', durable: 'none' });
    expect(limits).toMatchObject({ priorityMax: 9, maxProducers: 16, maxConsumers: 32 });
    expect(driver.facts.maxMessageBytes).toBe(limits.maxMessageBytes);
    for (let count = 0; count < limits.maxConsumers; count += 1) await driver.attachReceiver();
    await expect(driver.attachReceiver()).rejects.toThrow(/as=shm allows 32 consumer/);
    await expect(openDriver('memory://twin?as=tcp')).rejects.toThrow(/as asked tcp, is shm/);
  });
});

test('answers find the handle that asked, and only while it is open', async () => {
  const [asking, serving] = await Promise.all([openDriver('memory://q'), openDriver('memory://q')]);
  const port = await asking.driver.openReplies?.();
  const back = await serving.driver.openReplies?.();
  await back?.send(port?.address ?? '', outgoing('answer', { correlationId: '7' }));
  await microtasks();
  expect(asking.told.replies.map(textOf)).toEqual(['answer']);
  expect(asking.told.replies[0]?.fields?.correlationId).toBe('7');
  await asking.driver.close();
  await expect(back?.send(port?.address ?? '', outgoing('late'))).rejects.toMatchObject({
    code: 'NARU_PEER_GONE',
  });
});

test('peers are told of each other', async () => {
  const [first, second] = await Promise.all([openDriver('memory://n'), openDriver('memory://n')]);
  await first.driver.attachSender();
  await second.driver.attachReceiver();
  await microtasks();
  expect(Math.min(first.told.peers, second.told.peers)).toBeGreaterThan(0);
  expect(first.driver.peers).toEqual({ producers: 1, consumers: 1 });
  await second.driver.close();
  await microtasks();
  expect(first.driver.peers).toEqual({ producers: 1, consumers: 0 });
});
