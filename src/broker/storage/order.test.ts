// What must be safe before what: each test fails when that order is not kept. On a simulated disk whose power goes at any operation.

import { expect, test } from 'vitest';
import { settled } from '../../log/clock.fixture.ts';
import { seeded, SimDisk } from '../../log/sim-disk.fixture.ts';
import { Peer } from '../peer.fixture.ts';
import { StoredLab } from '../stored-lab.fixture.ts';

const PERSISTENT = { deliveryMode: 2 };

/** Cuts the power at the n-th operation from now on, or when `work` is done. @returns the disk, and whether it came to that */
async function cutAt(disk: SimDisk, at: number, work: () => Promise<void>): Promise<[SimDisk, boolean]> {
  const from = disk.operations;
  const isCut = new Promise<boolean>((resolve) => {
    disk.faults.after = () => {
      if (disk.operations - from < at) return;
      disk.isOff = true;
      resolve(true);
    };
  });
  const wasCut = await Promise.race([isCut, work().then(() => false)]);
  return [disk.cut(seeded(at)), wasCut];
}

test('the copy of a dead letter is safe before the original goes, also when it lies in another segment', async () => {
  for (let at = 1, isCut = true; isCut; at += 1) {
    const disk = new SimDisk();
    const stored = await StoredLab.start(disk);
    const peer = stored.connect();
    const args = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' };
    await stored.call(peer, 'queue.declare', { queue: 'dead', durable: true });
    await stored.call(peer, 'queue.declare', { queue: 'q', durable: true, args });
    // A segment has 64 KiB: the copy does not fit into that of the original, its removal does.
    peer.bytes(Peer.publication({ routingKey: 'q' }, `1 ${'.'.repeat(35_000)}`, PERSISTENT));
    await stored.call(peer, 'basic.get', { queue: 'q' });
    let after: SimDisk;
    [after, isCut] = await cutAt(disk, at, async () => {
      peer.send('basic.reject', { deliveryTag: 1, requeue: false });
      await stored.pass();
      await stored.pass();
    });
    const next = await StoredLab.start(after);
    const other = next.connect();
    const found = [...(await next.drain(other, 'q')), ...(await next.drain(other, 'dead'))];
    expect([at, found.length > 0 && found.every(({ body }) => body.startsWith('1 .'))]).toEqual([at, true]);
    await next.stop([other]);
  }
});

test('a snapshot of the definitions tells of no change that a loss of power takes back', async () => {
  for (let at = 1, isCut = true; isCut; at += 1) {
    const disk = new SimDisk();
    const stored = await StoredLab.start(disk, { sync: 'os' });
    const peer = stored.connect();
    let after: SimDisk;
    [after, isCut] = await cutAt(disk, at, async () => {
      for (let id = 0; id < 5; id += 1)
        await stored.call(peer, 'queue.declare', { queue: `old ${id}`, durable: true });
      await stored.lab.core.definitions?.compact(stored.lab.core.changes());
    });
    // Its sequences begin again where the loss left them; what they tell of now is new.
    const second = await StoredLab.start(after);
    const other = second.connect();
    const [told] = await second.call(other, 'queue.declare', { queue: 'new', durable: true });
    expect(told?.name).toBe('queue.declare-ok');
    const third = await StoredLab.start(after.cut(seeded(at)));
    const isThere = third.lab.core.vhosts.get('/')?.queue('new') !== undefined;
    expect([at, isThere]).toEqual([at, true]);
    await third.stop([]);
  }
});

test('what a transaction publishes is safe before what it acks goes, also when it lies in another segment', async () => {
  for (let at = 1, isCut = true; isCut; at += 1) {
    const disk = new SimDisk();
    const stored = await StoredLab.start(disk);
    const peer = stored.connect();
    for (const queue of ['from', 'to']) await stored.call(peer, 'queue.declare', { queue, durable: true });
    peer.bytes(Peer.publication({ routingKey: 'from' }, `1 ${'.'.repeat(35_000)}`, PERSISTENT));
    await settled();
    await stored.call(peer, 'basic.get', { queue: 'from' });
    let isCommitted = false;
    let after: SimDisk;
    [after, isCut] = await cutAt(disk, at, async () => {
      peer.send('tx.select');
      for (const id of [2, 3])
        peer.bytes(Peer.publication({ routingKey: 'to' }, `${id} ${'.'.repeat(15_000)}`, PERSISTENT));
      peer.send('basic.ack', { deliveryTag: 1 });
      const got = await stored.call(peer, 'tx.commit');
      isCommitted = got.some(({ name }) => name === 'tx.commit-ok');
      await stored.pass();
      await stored.pass();
    });
    const next = await StoredLab.start(after);
    const other = next.connect();
    const counts = [(await next.drain(other, 'from')).length, (await next.drain(other, 'to')).length];
    const allowed = isCommitted
      ? [[0, 2]]
      : [
          [1, 0],
          [0, 2],
        ];
    expect([at, allowed]).toEqual([at, expect.arrayContaining([counts])]);
    await next.stop([other]);
  }
});
