// What a mailbox in shared memory does: creation and adoption, lives and seats, settling, receipts, expiry, waiting.

import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Delivery, Outgoing } from '../../mailbox/driver.ts';
import { open } from '../../open.ts';
import { recordBytes } from '../../ring/record.ts';
import { HEADER, LANE } from '../../ring/layout.ts';
import { laneWord } from '../../ring/memory.ts';
import { listMailboxes, removeMailbox } from './leftovers.ts';
import { numbered } from './peer.fixture.ts';
import { Scene, until, upTo } from './scene.fixture.ts';

let scene: Scene;
beforeEach(() => {
  scene = new Scene();
});
afterEach(() => scene.end());

const text = (body: string, more: Partial<Outgoing> = {}): Outgoing => ({
  body: Buffer.from(body),
  sequence: 1,
  time: Date.now(),
  fields: undefined,
  confirm: undefined,
  done: undefined,
  ...more,
});

describe('creating and adopting', () => {
  test('new makes, if-missing adopts, new again and never without one are refused', async () => {
    await expect(scene.peer({ name: 'm', create: 'never' })).rejects.toMatchObject({
      code: 'NARU_NOT_FOUND',
    });
    const first = await scene.peer({ name: 'm', create: 'new' });
    expect(first.driver.facts).toMatchObject({ created: true, address: 'shm://m', offered: 'placed' });
    expect((await scene.peer({ name: 'm' })).driver.facts.created).toBe(false);
    expect((await scene.peer({ name: 'm', create: 'never' })).driver.facts.created).toBe(false);
    await expect(scene.peer({ name: 'm', create: 'new' })).rejects.toMatchObject({ code: 'NARU_EXISTS' });
    expect(scene.mailboxes).toEqual(['m']);
  });

  test('an option that differs from what exists is told with both values', async () => {
    await using first = await open('shm://m?capacity=1MiB');
    expect(first.created).toBe(true);
    await expect(open('shm://m?capacity=4MiB')).rejects.toMatchObject({
      code: 'NARU_EXISTS',
      message: expect.stringContaining('asked 4 MiB, is 1 MiB'),
    });
    await expect(open('shm://m?slot=64')).rejects.toMatchObject({
      message: expect.stringContaining('asked 64, is variable'),
    });
    await expect(open('shm://m', { owner: 'system' })).rejects.toMatchObject({
      message: expect.stringContaining('owner: asked system, is users'),
    });
    await using same = await open('shm://m', { capacityBytes: 1024 * 1024, relation: 'N:N', owner: 'users' });
    expect(same.created).toBe(false);
  });

  test('what shm cannot do is refused before anything is made', async () => {
    for (const url of ['shm://m?full=drop-oldest', 'shm://m?depth=10', 'shm://m?retain=3'])
      await expect(open(url)).rejects.toMatchObject({ code: 'NARU_UNSUPPORTED' });
    await expect(open('shm://m', { frame: 'lines' })).rejects.toMatchObject({ code: 'NARU_UNSUPPORTED' });
    await expect(open('shm://m', { tls: {} })).rejects.toMatchObject({ code: 'NARU_UNSUPPORTED' });
    await expect(open('shm://m', { deliver: 'all', priorities: 2 })).rejects.toMatchObject({
      code: 'NARU_UNSUPPORTED',
    });
    for (const url of [
      'shm://../x',
      'shm://',
      'shm://a/b',
      'shm://.',
      'shm://..',
      `shm://${'x'.repeat(129)}`,
    ])
      await expect(open(url), url).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
    await expect(open('shm://m', { capacityBytes: 8192, maxMessageBytes: 8192 })).rejects.toMatchObject({
      code: 'NARU_INVALID_ARGUMENT',
    });
    await expect(open('shm://m?capacity=1GiB')).rejects.toMatchObject({ code: 'NARU_LIMIT' });
    expect(scene.mailboxes).toEqual([]);
  });

  test('64 handles fit, one more is a limit', async () => {
    for (const _ of upTo(64)) await scene.peer({ name: 'm' });
    await expect(scene.peer({ name: 'm' })).rejects.toMatchObject({ code: 'NARU_LIMIT' });
  });

  test('many that open at once agree on one mailbox', async () => {
    const peers = await Promise.all(upTo(20).map(() => scene.peer({ name: 'm' })));
    expect(peers.filter(({ driver }) => driver.facts.created)).toHaveLength(1);
    const children = upTo(4).map((id) => scene.start({ name: 'm', role: 'producer', id, count: 50 }));
    await peers[0]?.consume();
    for (const child of children) expect(await child.exit).toBe(0);
    await until(() => peers[0]?.got.length === 200, 'everything comes');
  });
});

describe('lives', () => {
  test('users: goes with the last one, who hears what of its own was not delivered', async () => {
    const [a, b] = [await scene.peer({ name: 'm' }), await scene.peer({ name: 'm' })];
    await a.send(1, 0, 3);
    await b.send(2, 0, 5);
    expect(await a.driver.close()).toEqual({ undelivered: 0 });
    expect(scene.mailboxes).toEqual(['m']);
    expect(await b.driver.close()).toEqual({ undelivered: 5 });
    expect(await b.driver.close()).toEqual({ undelivered: 5 });
    expect(scene.mailboxes).toEqual([]);
  });

  test('system: stays with its messages until it is unlinked', async () => {
    const a = await scene.peer({ name: 'm', owner: 'system' });
    await a.send(1, 0, 3);
    expect(await a.driver.close()).toEqual({ undelivered: 0 });
    const b = await scene.peer({ name: 'm' });
    expect(b.driver.facts.created).toBe(false);
    await b.consume();
    await until(() => b.got.length === 3, 'they come');
    const c = await scene.peer({ name: 'm' });
    await b.driver.unlink();
    await until(() => c.failure !== undefined, 'others hear of it');
    expect(c.failure).toMatchObject({ code: 'NARU_CLOSED' });
    expect(scene.mailboxes).toEqual([]);
    const again = await scene.peer({ name: 'm' });
    expect(again.driver.facts.created).toBe(true);
    await c.driver.close();
    await b.driver.close();
    expect(scene.mailboxes).toEqual(['m']);
  });

  test('process: goes with its creator, and everybody else gets NARU_CLOSED', async () => {
    const owner = await scene.peer({ name: 'm', owner: 'process' });
    const other = await scene.peer({ name: 'm' });
    await other.driver.attachSender();
    await owner.driver.close();
    await until(() => other.failure !== undefined, 'the other hears of it');
    expect(other.failure).toMatchObject({ code: 'NARU_CLOSED' });
    await expect(other.driver.attachReceiver()).rejects.toMatchObject({ code: 'NARU_CLOSED' });
    expect(scene.mailboxes).toEqual([]);
  });

  test('an inbox that is not there means that its owner is gone', async () => {
    await expect(open('shm://~inbox.1.2.0')).rejects.toMatchObject({ code: 'NARU_PEER_GONE' });
    await using inbox = await open('shm://~inbox.1.2.0', { create: 'new', owner: 'process' });
    await using sender = await open('shm://~inbox.1.2.0');
    await sender.send('hello');
    expect((await inbox.receive()).data).toBe('hello');
  });

  test('one made by hand in the folder, or removed by hand, is noticed', async () => {
    const a = await scene.peer({ name: 'm' });
    const { rmSync } = await import('node:fs');
    rmSync(join(scene.folder, 'm'), { recursive: true });
    await until(() => a.failure !== undefined, 'the handle hears of it', 2_000);
    expect(a.failure).toMatchObject({ code: 'NARU_CLOSED' });
  });
});

describe('seats', () => {
  test('16 producers and 1 consumer; a seat that was given back can be taken again', async () => {
    const peer = await scene.peer({ name: 'm' });
    const senders = [];
    for (const _ of upTo(16)) senders.push(await peer.driver.attachSender());
    await expect(peer.driver.attachSender()).rejects.toMatchObject({ code: 'NARU_LIMIT' });
    const receiver = await peer.driver.attachReceiver();
    expect(peer.driver.peers).toEqual({ producers: 16, consumers: 1 });
    const other = await scene.peer({ name: 'm' });
    await expect(other.driver.attachReceiver()).rejects.toMatchObject({ code: 'NARU_LIMIT' });
    await senders[3]?.close();
    await receiver.close();
    await receiver.close();
    await other.driver.attachSender();
    await other.driver.attachReceiver();
    expect(peer.driver.peers).toEqual({ producers: 16, consumers: 1 });
  });

  test('relation 1:1 allows one producer', async () => {
    await using a = await open('shm://m', { relation: '1:1', role: 'producer' });
    await expect(open('shm://m', { role: 'producer' })).rejects.toMatchObject({ code: 'NARU_LIMIT' });
    await a.disconnect('producer');
    await using b = await open('shm://m', { role: 'producer' });
    await b.send(1);
  });

  test('1,000 producers one after the other, without a consumer, keep their order', async () => {
    const keeper = await scene.peer({ name: 'm', laneBytes: 1024 * 1024 });
    for (const id of upTo(1000)) {
      const peer = await scene.peer({ name: 'm' });
      await peer.send(id, 0, 1);
      await peer.driver.close();
    }
    await keeper.consume();
    await until(() => keeper.got.length === 1000, 'everything comes');
    expect(keeper.got.map(({ id }) => id)).toEqual(upTo(1000));
    expect(new Set(keeper.got.map(({ sender }) => sender)).size).toBe(1000);
  });

  test('producers that leave full lanes behind do not stop the next ones', async () => {
    const keeper = await scene.peer({ name: 'm', laneBytes: 4096 });
    let written = 0;
    for (const id of upTo(40)) {
      const peer = await scene.peer({ name: 'm' });
      const sender = await peer.driver.attachSender();
      written += sender.offer(
        upTo(20).map((sequence) => numbered(id, sequence)),
        0,
      );
      await peer.driver.close();
    }
    await keeper.consume();
    await until(() => keeper.got.length === written, 'everything comes');
  });
});

describe('settling', () => {
  async function three(): Promise<{
    take: () => Delivery[];
    peer: Awaited<ReturnType<Scene['peer']>>;
    receiver: Awaited<ReturnType<Awaited<ReturnType<Scene['peer']>>['driver']['attachReceiver']>>;
  }> {
    const peer = await scene.peer({ name: 'm' });
    const sender = await peer.driver.attachSender();
    expect(sender.offer([text('a'), text('b'), text('c')], 0)).toBe(3);
    const receiver = await peer.driver.attachReceiver();
    const take = (): Delivery[] => {
      const out: Delivery[] = [];
      receiver.take(10, out);
      return out;
    };
    return { take, peer, receiver };
  }
  const bodies = (list: readonly Delivery[]): string =>
    list.map(({ body, deliveries }) => `${Buffer.from(body).toString()}${deliveries}`).join(' ');

  test('requeue brings a message back in its place with one delivery more, release as it was', async () => {
    const { take, receiver } = await three();
    const [a, b, c] = take() as [Delivery, Delivery, Delivery];
    receiver.settle(c, 'requeue', 0);
    receiver.settle(a, 'requeue', 0);
    receiver.settle(b, 'release', 0);
    const again = take();
    expect(bodies(again)).toBe('a2 b1 c2');
    receiver.settle(again[1] as Delivery, 'requeue', 0);
    const third = take();
    expect(bodies(third)).toBe('b2');
    receiver.ackAll([again[0], third[0], again[2]] as Delivery[]);
    expect(receiver.ended).toBe(false);
    expect(take()).toEqual([]);
  });

  test('what a consumer leaves unsettled when it closes is there for the next', async () => {
    const { take, peer, receiver } = await three();
    const [a, b] = take() as [Delivery, Delivery];
    receiver.settle(b, 'ack', 0);
    receiver.settle(a, 'release', 0);
    await receiver.close();
    expect(await peer.driver.stats()).toMatchObject({ depth: 1, unsettled: 1, consumers: 0 });
    const next = await peer.driver.attachReceiver();
    const out: Delivery[] = [];
    next.take(10, out);
    expect(bodies(out)).toBe('a1 c2');
  });

  test('depth, bytes and unsettled follow', async () => {
    const { take, peer, receiver } = await three();
    expect(await peer.driver.stats()).toMatchObject({ depth: 3, depthBytes: 51, unsettled: 0, producers: 1 });
    const list = take();
    expect(await peer.driver.stats()).toMatchObject({ depth: 0, unsettled: 3 });
    receiver.ackAll(list);
    expect(await peer.driver.stats()).toMatchObject({ depth: 0, unsettled: 0 });
  });

  test('bodies stay as they are after the room was given back and written over', async () => {
    const peer = await scene.peer({ name: 'm', laneBytes: 4096 });
    const sender = await peer.driver.attachSender();
    const receiver = await peer.driver.attachReceiver();
    const kept: Delivery[] = [];
    for (const sequence of upTo(2000)) {
      expect(sender.offer([numbered(1, sequence)], 0)).toBe(1);
      const out: Delivery[] = [];
      expect(receiver.take(1, out)).toBe(1);
      receiver.ackAll(out);
      kept.push(out[0] as Delivery);
    }
    kept.forEach((delivery, sequence) =>
      expect(Buffer.from(delivery.body)).toEqual(Buffer.from(numbered(1, sequence).body)),
    );
  });
});

describe('receipts', () => {
  test('come when the message was received, and not before', async () => {
    const peer = await scene.peer({ name: 'm' });
    const consumer = await scene.peer({ name: 'm' });
    const sender = await peer.driver.attachSender();
    const receiver = await consumer.driver.attachReceiver();
    const answers: (Error | undefined | 'none')[] = upTo(3).map(() => 'none');
    const batch = upTo(3).map((i) =>
      text(String(i), {
        confirm: 'received',
        done: (error) => {
          answers[i] = error;
        },
      }),
    );
    expect(sender.offer(batch, 0)).toBe(3);
    const out: Delivery[] = [];
    receiver.take(3, out);
    expect(out.every(({ receipt }) => receipt)).toBe(true);
    expect(answers).toEqual(['none', 'none', 'none']);
    receiver.received(out[0] as Delivery);
    await until(() => answers[0] === undefined, 'the first receipt comes');
    expect(answers.slice(1)).toEqual(['none', 'none']);
    receiver.received(out[2] as Delivery);
    await until(() => answers[2] === undefined, 'the third comes, though the second is not received yet');
    expect(answers[1]).toBe('none');
    receiver.received(out[1] as Delivery);
    await until(() => answers[1] === undefined, 'the second comes');
    expect(answers).toEqual([undefined, undefined, undefined]);
    expect((await peer.driver.stats()).extra['safetyWakeups']).toBe(0);
  });

  test('of expired messages are errors, and those of a closed handle too', async () => {
    const peer = await scene.peer({ name: 'm' });
    const sender = await peer.driver.attachSender();
    const receiver = await peer.driver.attachReceiver();
    const answers: (string | undefined)[] = [];
    const done = (error?: Error): void => {
      answers.push((error as { code?: string } | undefined)?.code);
    };
    const fields = { ttlMs: 0 };
    sender.offer([text('late', { fields, confirm: 'received', done, time: Date.now() - 10 })], 0);
    const out: Delivery[] = [];
    expect(receiver.take(5, out)).toBe(0);
    await until(() => answers.length === 1, 'the answer comes');
    expect(answers).toEqual(['NARU_TIMEOUT']);
    expect((await peer.driver.stats()).dropped).toEqual({ expired: 1 });
    expect(peer.events).toEqual(['drop']);
    sender.offer([text('never', { confirm: 'received', done })], 0);
    await sender.close();
    await until(() => answers.length === 2, 'the answer comes');
    expect(answers[1]).toBe('NARU_CLOSED');
  });
});

describe('the end', () => {
  test('end() lets consumers finish what is there, and no more is sent', async () => {
    await using producer = await open('shm://m', { codec: 'text' });
    await using consumer = await open('shm://m', { codec: 'text' });
    for (const i of upTo(10)) await producer.send(`${i}`);
    await producer.end();
    const got: string[] = [];
    for await (const message of consumer) got.push(message.data);
    expect(got).toEqual(upTo(10).map(String));
    await expect(producer.send('late')).rejects.toMatchObject({ code: 'NARU_CLOSED' });
    await expect(consumer.receive()).rejects.toMatchObject({ code: 'NARU_CLOSED' });
  });

  test('a loop that waits already ends when the end comes', async () => {
    await using producer = await open('shm://m');
    await using consumer = await open('shm://m');
    const loop = (async () => {
      let count = 0;
      for await (const _ of consumer) count += 1;
      return count;
    })();
    await producer.ready({ consumers: 1 });
    await producer.send(1);
    await producer.end();
    expect(await loop).toBe(1);
  });
});

describe('sizes', () => {
  test('slots take bodies up to their length, and say what is too long', async () => {
    await using mailbox = await open('shm://m?slot=64', { codec: 'bytes' });
    for (const length of [0, 1, 63, 64]) await mailbox.send(new Uint8Array(length).fill(length));
    for (const length of [0, 1, 63, 64])
      expect((await mailbox.receive()).data).toEqual(new Uint8Array(length).fill(length));
    await expect(mailbox.send(new Uint8Array(65))).rejects.toMatchObject({ code: 'NARU_TOO_LARGE' });
  });

  test('the longest body passes again and again, one byte more does not', async () => {
    await using mailbox = await open('shm://m?capacity=64KiB', { codec: 'bytes' });
    const body = Buffer.alloc(8192, 'x');
    for (const _ of upTo(50)) {
      await mailbox.send(body);
      expect(Buffer.from((await mailbox.receive()).data).equals(body)).toBe(true);
    }
    await expect(mailbox.send(Buffer.alloc(8193))).rejects.toMatchObject({ code: 'NARU_TOO_LARGE' });
  });

  test('headers that do not fit are too large, and the messages before and after pass', async () => {
    await using mailbox = await open('shm://m?capacity=4096');
    const headers = { big: 'x'.repeat(2000) };
    await mailbox.send(1);
    await expect(mailbox.send(2, { headers })).rejects.toMatchObject({ code: 'NARU_TOO_LARGE' });
    await mailbox.send(3);
    expect([(await mailbox.receive()).data, (await mailbox.receive()).data]).toEqual([1, 3]);
  });

  test('maxMessageBytes makes the lanes large enough', async () => {
    await using mailbox = await open('shm://m', { maxMessageBytes: 1_000_000, codec: 'bytes' });
    expect((await mailbox.stats()).place.capacityBytes).toBe(8 * 1024 * 1024);
    await mailbox.send(new Uint8Array(1_000_000));
    expect((await mailbox.receive()).data.length).toBe(1_000_000);
  });
});

describe('what lies in the way', () => {
  test('a runtime folder that is open to others is refused', async () => {
    chmodSync(scene.folder, 0o755);
    await expect(scene.peer({ name: 'm' })).rejects.toMatchObject({ code: 'NARU_DENIED' });
    chmodSync(scene.folder, 0o700);
  });

  test('a link in place of folder or object is refused', async () => {
    mkdirSync(join(scene.folder, 'real'), { mode: 0o700 });
    symlinkSync(join(scene.folder, 'real'), join(scene.folder, 'm'));
    await expect(scene.peer({ name: 'm' })).rejects.toMatchObject({ code: 'NARU_DENIED' });
    mkdirSync(join(scene.folder, 'n'), { mode: 0o700 });
    writeFileSync(join(scene.folder, 'x'), 'secret');
    symlinkSync(join(scene.folder, 'x'), join(scene.folder, 'n', 'ring'));
    await expect(scene.peer({ name: 'n' })).rejects.toMatchObject({ code: 'NARU_DENIED' });
  });

  test('a record that somebody damaged stops its lane and its producer, not the others', async () => {
    const peer = await scene.peer({ name: 'm', laneBytes: 4096 });
    const bad = await scene.peer({ name: 'm' });
    const sending = bad.send(2, 0, 1000);
    const refused = expect(sending).rejects.toMatchObject({ code: 'NARU_CORRUPT' });
    const ring = join(scene.folder, 'm', 'ring');
    await until(() => readFileSync(ring).readUInt32LE(laneWord(0, LANE.tail) * 4) > 400, 'the lane is full');
    const fd = openSync(ring, 'r+');
    // Its second record: the first is its identity.
    const second = recordBytes(bad.driver.facts.identity.length);
    writeSync(fd, Buffer.alloc(64, 0xee), 0, 64, readFileSync(ring).readUInt32LE(HEADER.dataOffset) + second);
    closeSync(fd);
    const good = await scene.peer({ name: 'm' });
    await good.send(3, 0, 5);
    await peer.consume();
    await refused;
    await until(() => peer.sequences(3).length === 5, 'the others go on');
    expect(peer.sequences(2)).toEqual([]);
    expect(peer.events).toContain('error');
    expect((await bad.driver.stats()).extra['safetyWakeups']).toBe(0);
  });

  test('an object of another kind, size, mode or version is refused and left alone', async () => {
    const path = join(scene.folder, 'm');
    const lay = (bytes: Buffer, mode = 0o600): void => {
      mkdirSync(path, { mode: 0o700, recursive: true });
      writeFileSync(join(path, 'ring'), bytes, { mode });
      chmodSync(join(path, 'ring'), mode);
    };
    const expectCode = (code: string): Promise<void> =>
      expect(scene.peer({ name: 'm' })).rejects.toMatchObject({
        code,
        message: expect.stringContaining('ring'),
      });
    lay(Buffer.alloc(100));
    await expectCode('NARU_CORRUPT');
    lay(Buffer.alloc(8192, 0xee));
    await expectCode('NARU_CORRUPT');
    lay(Buffer.alloc(8192), 0o644);
    await expectCode('NARU_DENIED');
    expect(listMailboxes(scene.folder)).toMatchObject([{ name: 'm', state: 'damaged' }]);
    expect(await removeMailbox('m')).toBe(true);
    expect(await removeMailbox('m')).toBe(false);
    expect(scene.mailboxes).toEqual([]);
  });
});
