// A disk that is full, that fails, or that gives other bytes than it was given: the broker on a simulated one. Who is blocked, what is
// never confirmed, and what is never delivered.

import { describe, expect, test } from 'vitest';
import { settled } from '../log/clock.fixture.ts';
import { seeded, SimDisk, SimError } from '../log/sim-disk.fixture.ts';
import { History, scriptOf } from './history.fixture.ts';
import { Peer } from './peer.fixture.ts';
import { StoredLab } from './stored-lab.fixture.ts';

const PERSISTENT = { deliveryMode: 2 };
const LARGE = '.'.repeat(4000);

/** Publishes to `q`; the body is a number and filling. */
function put(peer: Peer, id: number, queue = 'q'): void {
  peer.bytes(Peer.publication({ routingKey: queue }, `${id} ${LARGE}`, PERSISTENT));
}

async function publisher(stored: StoredLab, queue = 'q'): Promise<Peer> {
  const peer = stored.connect();
  await stored.call(peer, 'queue.declare', { queue, durable: true });
  await stored.call(peer, 'confirm.select');
  return peer;
}

describe('a full disk', () => {
  test('blocks publishers, not consumers, and goes on by itself', async () => {
    const disk = new SimDisk();
    disk.capacityBytes = 600_000;
    const stored = await StoredLab.start(disk, { log: { fullRetryMs: 20 } });
    const peer = await publisher(stored);
    let sent = 0;
    while (!peer.paused && sent < 1000) {
      sent += 1;
      put(peer, sent);
      await settled();
    }
    expect(sent).toBeLessThan(1000);
    const told = peer.take();
    expect(told.find(({ name }) => name === 'connection.blocked')?.args).toEqual({ reason: 'low on disk' });
    expect(stored.lab.core.blocked).toBe('low on disk');

    // A consumer drains the queue meanwhile; its acks are removals, and free the room.
    const consumer = stored.connect();
    const got = await stored.call(consumer, 'basic.consume', { queue: 'q' });
    const bodies = got
      .filter(({ name }) => name === 'basic.deliver')
      .map(({ body }) => Number.parseInt(body ?? '', 10));
    expect(bodies).toEqual(Array.from({ length: sent }, (_, index) => index + 1));
    consumer.send('basic.ack', { deliveryTag: 0, multiple: true });
    for (let turn = 0; turn < 200 && peer.paused; turn += 1) await stored.pass();
    expect(peer.paused).toBe(false);
    const after = peer.take();
    expect(after.some(({ name }) => name === 'connection.unblocked')).toBe(true);
    const acks = [...told, ...after].filter(({ name }) => name === 'basic.ack');
    expect(acks.at(-1)?.args['deliveryTag']).toBe(sent);
    put(peer, sent + 1);
    await settled();
    expect(peer.take().map(({ name }) => name)).toEqual(['basic.ack']);
    expect(stored.failures).toEqual([]);
    await stored.stop([peer, consumer]);
  });

  test('what is declared meanwhile is answered later; other channels of the connection go on', async () => {
    const disk = new SimDisk();
    disk.capacityBytes = 600_000;
    const stored = await StoredLab.start(disk, { log: { fullRetryMs: 20 } });
    const peer = await publisher(stored);
    for (let id = 1; !peer.paused; id += 1) {
      put(peer, id);
      await settled();
    }
    // More than the last segment has room for.
    for (let id = 1000; id < 1020; id += 1) put(peer, id);
    const other = stored.connect();
    other.open(2);
    other.take();
    other.send('queue.declare', { queue: 'new', durable: true });
    other.send('queue.declare', { queue: 'new', passive: true });
    other.send('basic.get', { queue: 'q', noAck: true }, 2);
    await settled();
    expect(other.take().map(({ name, channel }) => `${channel} ${name}`)).toEqual(['2 basic.get-ok']);
    disk.capacityBytes = Infinity;
    for (let turn = 0; turn < 200 && peer.paused; turn += 1) await stored.pass();
    await settled();
    const answers = other.take().map(({ name, channel }) => `${channel} ${name}`);
    expect(answers).toEqual(['1 queue.declare-ok', '1 queue.declare-ok']);
    await stored.stop([peer, other]);
  });
});

test('a transaction for which a full disk has no room is refused as a whole', async () => {
  const disk = new SimDisk();
  disk.capacityBytes = 600_000;
  const log = { fullRetryMs: 20, pendingBytesMax: 50_000 };
  const stored = await StoredLab.start(disk, { log });
  const peer = await publisher(stored);
  for (let id = 1; stored.store.pendingBytes === 0; id += 1) {
    put(peer, id);
    await settled();
  }
  const other = stored.connect();
  const [told] = await stored.call(other, 'queue.declare', { queue: 'q', passive: true });
  await stored.call(other, 'basic.get', { queue: 'q' });
  other.send('tx.select');
  for (let id = 1000; id < 1020; id += 1) put(other, id);
  other.send('basic.ack', { deliveryTag: 1 });
  const got = await stored.call(other, 'tx.commit');
  expect(got.map(({ name, args }) => [name, args['replyText']])).toEqual([
    ['channel.close', expect.stringMatching(/^PRECONDITION_FAILED - the disk has no room for a transaction/)],
  ]);
  const looking = stored.connect();
  const [after] = await stored.call(looking, 'queue.declare', { queue: 'q', passive: true });
  expect(after?.args['messageCount']).toBe(told?.args['messageCount']);
  expect(stored.failures).toEqual([]);
});

describe('a disk that fails', () => {
  test.each(['sync', 'write'])('a failed %s: nothing is confirmed, and the broker is told', async (what) => {
    const disk = new SimDisk();
    const stored = await StoredLab.start(disk);
    const peer = await publisher(stored);
    put(peer, 1);
    await settled();
    expect(peer.take().map(({ name }) => name)).toEqual(['basic.ack']);
    disk.faults.before = (operation) => {
      if (operation === what) throw new SimError('EIO', operation);
    };
    put(peer, 2);
    await settled();
    expect(peer.take()).toEqual([]);
    expect(stored.failures.map(({ code }) => code)).toEqual(['NARU_STORAGE']);
    const declared = await stored.call(peer, 'queue.declare', { queue: 'new', durable: true });
    expect(declared).toEqual([]);
    await expect(stored.stop([peer])).rejects.toMatchObject({ code: 'NARU_STORAGE' });
  });

  test('an error at any operation, once or from then on: what was confirmed is there', async () => {
    for (const isSticky of [false, true]) {
      for (let operation = 1; operation < 140; operation += isSticky ? 5 : 3) {
        const disk = new SimDisk();
        const history = new History();
        const stored = await StoredLab.start(disk);
        const from = disk.operations + operation;
        disk.faults.before = (name) => {
          const isNow = isSticky ? disk.operations >= from : disk.operations === from;
          if (!isNow) return;
          // What fsync(2) does: the pages are clean, and not on the disk.
          if (name === 'sync') for (const file of disk.names) disk.forgetDirty(file);
          throw new SimError('EIO', name);
        };
        await history.run(stored, scriptOf(operation, 30), () => stored.failures.length > 0);
        const left = disk.cut(seeded(operation));
        const after = await StoredLab.start(left);
        await history.check(after);
        expect([operation, isSticky, history.wrong]).toEqual([operation, isSticky, []]);
        await after.stop([]);
      }
    }
  }, 120_000);
});

describe('damage', () => {
  /** A stopped broker's disk: `a` and `b` with messages of their own, and some that both have. */
  async function filled(): Promise<SimDisk> {
    const disk = new SimDisk();
    const stored = await StoredLab.start(disk);
    const peer = await publisher(stored, 'a');
    await publisher(stored, 'b');
    await stored.call(peer, 'exchange.declare', { exchange: 'all', type: 'fanout', durable: true });
    for (const queue of ['a', 'b']) await stored.call(peer, 'queue.bind', { queue, exchange: 'all' });
    for (let id = 1; id <= 9; id += 1) {
      const route = id % 3 === 0 ? { exchange: 'all' } : { routingKey: id % 3 === 1 ? 'a' : 'b' };
      peer.bytes(Peer.publication(route, `${id} ${'.'.repeat(100)}`, PERSISTENT));
    }
    await settled();
    await stored.stop([peer]);
    return disk;
  }

  const EXPECTED: Readonly<Record<string, readonly number[]>> = {
    a: [1, 3, 4, 6, 7, 9],
    b: [2, 3, 5, 6, 8, 9],
  };

  /** Starts on a damaged disk. @returns what happened, in a word */
  async function outcome(disk: SimDisk): Promise<string> {
    let stored: StoredLab;
    try {
      stored = await StoredLab.start(disk);
    } catch (error) {
      expect(error).toMatchObject({ code: 'NARU_CORRUPT' });
      return 'refused';
    }
    const { core } = stored.lab;
    let isDegraded = core.quarantined.length > 0;
    for (const queue of ['a', 'b']) {
      const peer = stored.connect();
      if (core.vhosts.get('/')?.queue(queue)?.damage === undefined) {
        const drained = await stored.drain(peer, queue);
        const ids = drained.map(({ body }) => Number.parseInt(body, 10));
        for (const { body } of drained) expect(body).toMatch(/^\d+ \.{100}$/);
        isDegraded ||= core.quarantined.length > 0;
        // Found only when it was read: what came before was right.
        if (isDegraded) expect(EXPECTED[queue]?.slice(0, ids.length)).toEqual(ids);
        else expect(ids).toEqual(EXPECTED[queue]);
        continue;
      }
      const [closed] = await stored.call(peer, 'basic.consume', { queue });
      expect(closed?.args['replyText']).toMatch(
        /^PRECONDITION_FAILED - queue '.' in vhost '\/' is quarantined/,
      );
    }
    return isDegraded ? 'quarantined' : 'harmless';
  }

  test('a flipped bit anywhere is refused, quarantines queues, or is harmless; no wrong byte is delivered', async () => {
    const disk = await filled();
    const counts: Record<string, number> = { refused: 0, quarantined: 0, harmless: 0 };
    for (const name of disk.names) {
      const used = disk.bytesOf(name).findLastIndex((byte) => byte !== 0) + 1;
      for (let at = 0; at < used; at += 23) {
        const damaged = disk.copy();
        const bytes = damaged.bytesOf(name);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
        const how = await outcome(damaged);
        counts[how] = (counts[how] ?? 0) + 1;
      }
    }
    expect(counts['refused']).toBeGreaterThan(10);
    expect(counts['quarantined']).toBeGreaterThan(10);
  }, 120_000);

  test('one damaged message quarantines its queues only; publishes to them are refused, a purge frees them', async () => {
    const disk = await filled();
    const name = disk.names.find((file) => file.endsWith('.seg')) ?? '';
    const bytes = disk.bytesOf(name);
    // The body of message 1, which is in `a` only.
    const at = Buffer.from(bytes).indexOf('1 ....');
    bytes[at + 50] = 0;
    const stored = await StoredLab.start(disk);
    expect(stored.report.damaged).toMatchObject([{ file: name }]);
    expect(stored.lab.core.quarantined.map((queue) => queue.name)).toEqual(['a']);
    const peer = stored.connect();
    expect((await stored.drain(peer, 'b')).map(({ body }) => Number.parseInt(body, 10))).toEqual(
      EXPECTED['b'],
    );
    await stored.call(peer, 'confirm.select');
    put(peer, 10, 'a');
    put(peer, 11, 'b');
    await settled();
    const answers = peer.take().map((got) => [got.name, got.args['deliveryTag']]);
    expect(answers).toEqual([
      ['basic.nack', 1],
      ['basic.ack', 2],
    ]);
    await stored.call(peer, 'queue.purge', { queue: 'a' });
    put(peer, 12, 'a');
    await settled();
    expect((await stored.drain(peer, 'a')).map(({ body }) => Number.parseInt(body, 10))).toEqual([12]);
    await stored.stop([peer]);
    const again = await StoredLab.start(disk);
    expect(again.lab.core.quarantined).toEqual([]);
    await again.stop([]);
  });
});
