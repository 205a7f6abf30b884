// What a restart must not change, on a simulated disk: how long messages live, who gets them, and what a quorum queue keeps.

import { describe, expect, test } from 'vitest';
import { settled } from '../log/clock.fixture.ts';
import { SimDisk } from '../log/sim-disk.fixture.ts';
import { Peer } from './peer.fixture.ts';
import { StoredLab } from './stored-lab.fixture.ts';

const PERSISTENT = { deliveryMode: 2 };

/** A clean stop and a start; the clock begins anew, as wall time stood still. */
async function restarted(disk: SimDisk, stored: StoredLab, ...peers: Peer[]): Promise<StoredLab> {
  await settled();
  await stored.stop(peers);
  return StoredLab.start(disk);
}

function ready(stored: StoredLab, queue: string): number | undefined {
  return stored.lab.core.vhosts.get('/')?.queue(queue)?.ready;
}

describe('a time to live', () => {
  test('goes on, the shorter of message and queue, and for each queue its own', async () => {
    const disk = new SimDisk();
    const first = await StoredLab.start(disk);
    const peer = first.connect();
    await first.call(peer, 'exchange.declare', { exchange: 'all', type: 'fanout', durable: true });
    const ttls: Readonly<Record<string, object>> = {
      short: { 'x-message-ttl': 400 },
      long: { 'x-message-ttl': 5000 },
      none: {},
    };
    for (const [queue, args] of Object.entries(ttls)) {
      await first.call(peer, 'queue.declare', { queue, durable: true, args });
      await first.call(peer, 'queue.bind', { queue, exchange: 'all' });
    }
    await first.call(peer, 'confirm.select');
    first.lab.advance(250);
    const ownTtl = { ...PERSISTENT, expiration: '1000' };
    peer.bytes(Peer.publication({ exchange: 'all' }, 'one', ownTtl));
    await settled();
    expect(peer.take().map(({ name }) => name)).toEqual(['basic.ack']);
    // The clock of the next start stands where that of the first began: 250 ms before the message came.
    const second = await restarted(disk, first, peer);
    const counts = (): unknown[] => ['short', 'long', 'none'].map((queue) => ready(second, queue));
    second.lab.advance(649);
    expect(counts()).toEqual([1, 1, 1]);
    second.lab.advance(1);
    expect(counts()).toEqual([0, 1, 1]);
    second.lab.advance(599);
    expect(counts()).toEqual([0, 1, 1]);
    second.lab.advance(1);
    expect(counts()).toEqual([0, 0, 0]);
    await second.stop([]);
  });

  test('that a policy set later does not count for what was there before', async () => {
    const disk = new SimDisk();
    const first = await StoredLab.start(disk);
    const peer = first.connect();
    await first.call(peer, 'queue.declare', { queue: 'q', durable: true });
    peer.bytes(Peer.publication({ routingKey: 'q' }, 'kept', PERSISTENT));
    first.lab.core.vhosts.get('/')?.putPolicy({
      name: 'p',
      pattern: '.*',
      applyTo: 'queues',
      priority: 0,
      definition: { 'message-ttl': 100 },
    });
    peer.bytes(Peer.publication({ routingKey: 'q' }, 'gone', PERSISTENT));
    const second = await restarted(disk, first, peer);
    second.lab.advance(1000);
    const other = second.connect();
    // It is the first that is kept: messages expire at the head only.
    expect((await second.drain(other, 'q')).map(({ body }) => body)).toEqual(['kept']);
    await second.stop([other]);
  });
});

test('BCC of a delayed message reaches its queues after a restart too, and nobody sees it', async () => {
  const disk = new SimDisk();
  const first = await StoredLab.start(disk);
  const peer = first.connect();
  await first.call(peer, 'exchange.declare', {
    exchange: 'later',
    type: 'x-delayed-message',
    durable: true,
    args: { 'x-delayed-type': 'direct' },
  });
  for (const queue of ['to', 'cc', 'bcc']) {
    await first.call(peer, 'queue.declare', { queue, durable: true });
    await first.call(peer, 'queue.bind', { queue, exchange: 'later', routingKey: queue });
  }
  for (const [delay, body] of [
    [100, 'before'],
    [1000, 'after'],
  ] as const) {
    const headers = first.lab.table({ 'x-delay': delay, CC: ['cc'], BCC: ['bcc'] });
    peer.bytes(Peer.publication({ exchange: 'later', routingKey: 'to' }, body, { ...PERSISTENT, headers }));
  }
  await settled();
  first.lab.advance(100);
  const second = await restarted(disk, first, peer);
  second.lab.advance(1000);
  await settled();
  const other = second.connect();
  for (const queue of ['to', 'cc', 'bcc']) {
    for (const body of ['before', 'after']) {
      const [got] = await second.call(other, 'basic.get', { queue, noAck: true });
      expect([queue, got?.body, Object.keys(got?.properties?.headers ?? {})]).toEqual([
        queue,
        body,
        ['x-delay', 'CC'],
      ]);
    }
  }
  await second.stop([other]);
});

describe('a quorum queue', () => {
  test('stores what is transient too', async () => {
    const disk = new SimDisk();
    const first = await StoredLab.start(disk);
    const peer = first.connect();
    await first.call(peer, 'queue.declare', {
      queue: 'q',
      durable: true,
      args: { 'x-queue-type': 'quorum' },
    });
    peer.bytes(Peer.publication({ routingKey: 'q' }, 'transient'));
    const second = await restarted(disk, first, peer);
    const other = second.connect();
    expect(await second.drain(other, 'q')).toEqual([{ body: 'transient', isRedelivered: false }]);
    await second.stop([other]);
  });

  test.each(['memory', 'os'] as const)(
    'confirms after a sync at level %s, and holds up what the channel sent after it',
    async (sync) => {
      const disk = new SimDisk();
      const stored = await StoredLab.start(disk, { sync });
      const peer = stored.connect();
      const args = { 'x-queue-type': 'quorum' };
      await stored.call(peer, 'queue.declare', { queue: 'safe', durable: true, args });
      await stored.call(peer, 'queue.declare', { queue: 'quick', durable: true });
      await stored.call(peer, 'confirm.select');
      await stored.pass(200);
      const syncs: string[] = [];
      const acks: unknown[] = [];
      disk.faults.after = (operation) => {
        if (operation !== 'sync') return;
        acks.push(...peer.take().map(({ args: ack }) => ack['deliveryTag']));
        syncs.push(operation);
      };
      peer.bytes(Peer.publication({ routingKey: 'quick' }, '1', PERSISTENT));
      await settled();
      expect([syncs, peer.take().length]).toEqual([[], 1]);
      peer.bytes(Peer.publication({ routingKey: 'safe' }, '2'));
      peer.bytes(Peer.publication({ routingKey: 'quick' }, '3', PERSISTENT));
      await settled();
      // At the moment of the sync nothing was confirmed.
      expect([acks, syncs.length]).toEqual([[], 1]);
      expect(peer.take().map(({ args: ack }) => ack['deliveryTag'])).toEqual([3]);
      await stored.stop([peer]);
    },
  );
});
