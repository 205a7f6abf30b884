// SIGKILL at every labelled step, in real processes. What must hold: of a dead producer only what it had not published is
// missing; nothing comes twice unmarked; the others go on; and nothing is left lying once somebody touches the folder again.

import { describe, expect, test } from 'vitest';
import { keyOf, readLog, rounds as roundsOf, sceneForEach } from './death.fixture.ts';
import { cleanLeftovers, listMailboxes } from './leftovers.ts';
import { type Scene, until, upTo } from './scene.fixture.ts';

const ROUNDS = Number(process.env['NARU_CRASH_ROUNDS'] ?? 20);
const COUNT = 60;
/** Steps of sending that a peer comes to before it has sent COUNT messages: three go at a time. */
const OFFERS = COUNT / 3;
const TIMEOUT = { timeout: 60_000 + ROUNDS * 5_000 };

let scene: Scene;
sceneForEach((made) => {
  scene = made;
});

const rounds = (round: (number: number) => Promise<void>): Promise<void> => roundsOf(round, ROUNDS);

describe('a producer that dies', () => {
  test.each([
    'seat:before-fifo',
    'seat:fifo-made',
    'seat:fifo-locked',
    'seat:slot-filled',
    'lane:allocated',
    'lane:owned',
    'offer:before-tail',
    'offer:after-tail',
    'offer:after-ring',
    'ring:before-bell',
    'ring:before-mark',
    'recover:lanes-orphaned',
    'recover:bell-removed',
  ])('at %s loses only what it had not published', TIMEOUT, async (failpoint) => {
    const consumer = await scene.peer({ name: 'm' });
    await consumer.consume();
    let deaths = 0;
    await rounds(async (id) => {
      const nth = failpoint.startsWith('offer') ? 1 + (id % OFFERS) : 1;
      const peer = scene.start({ name: 'm', role: 'producer', id, count: COUNT, batch: 3, failpoint, nth });
      const exit = await peer.exit;
      if (exit === 'SIGKILL') deaths += 1;
      // A ring is only needed when the consumer sleeps: then the peer may live through it all.
      else expect([0, peer.lines.at(-1)]).toEqual([exit, 'sent']);
      const published = consumer.sequences(id).length;
      expect(consumer.sequences(id)).toEqual(upTo(published));
    });
    expect(deaths).toBeGreaterThan(failpoint.startsWith('ring') ? 0 : ROUNDS - 1);
    await until(() => consumer.driver.peers.producers === 0, 'every dead producer’s seat is free', 2_000);
    // Others go on, and whatever the dead had published has come.
    await consumer.send(999, 0, 50);
    await until(() => consumer.sequences(999).length === 50, 'the living go on');
    const { place } = { place: await consumer.driver.stats() };
    expect(place.depth).toBe(0);
    for (let id = 0; id < ROUNDS; id += 1) {
      const sequences = consumer.sequences(id);
      expect(sequences).toEqual(upTo(sequences.length));
    }
    expect(consumer.got.every(({ deliveries }) => deliveries === 1)).toBe(true);
    await consumer.driver.close();
    expect(scene.mailboxes).toEqual([]);
  });

  test('at any time under load loses only what it had not published', TIMEOUT, async () => {
    const consumer = await scene.peer({ name: 'm' });
    await consumer.consume();
    await rounds(async (id) => {
      const peer = scene.start({ name: 'm', role: 'producer', id, count: 10_000_000, batch: 1 + (id % 9) });
      await until(() => consumer.sequences(id).length > 100 + id * 37, 'it sends');
      peer.child.kill('SIGKILL');
      await peer.exit;
    });
    await until(() => consumer.driver.peers.producers === 0, 'every dead producer’s seat is free', 2_000);
    for (let id = 0; id < ROUNDS; id += 1) {
      const sequences = consumer.sequences(id);
      expect(sequences.length).toBeGreaterThan(100);
      expect(sequences.every((sequence, i) => sequence === i)).toBe(true);
    }
    expect(consumer.events.filter((event) => event === 'orphan').length).toBeGreaterThan(0);
    expect(consumer.events).not.toContain('error');
  });
});

describe('a creator that dies', () => {
  test.each(['create:empty', 'create:sized', 'create:header', 'create:before-ready', 'create:ready'])(
    'at %s leaves nothing that stops the next one',
    TIMEOUT,
    async (failpoint) => {
      await rounds(async (number) => {
        const name = `m${number}`;
        const child = scene.start({ name, role: 'opener', failpoint });
        expect(await child.exit).toBe('SIGKILL');
        const peer = await scene.peer({ name });
        // With the ready mark set the dead one had made it; its users are all dead, so it is made anew.
        expect(peer.driver.facts.created).toBe(true);
        await peer.consume();
        await peer.send(1, 0, 5);
        await until(() => peer.sequences(1).length === 5, 'it works');
        await peer.driver.close();
        expect(scene.mailboxes).not.toContain(name);
      });
      expect(scene.mailboxes).toEqual([]);
    },
  );

  test.each(['remove:ring-gone', 'remove:lock-gone'])(
    'while it removes the mailbox, at %s, leaves what the next creation or doctor clears',
    TIMEOUT,
    async (failpoint) => {
      await rounds(async (number) => {
        const child = scene.start({ name: `m${number}`, role: 'opener', failpoint });
        expect(await child.exit).toBe('SIGKILL');
      });
      // Each creation swept what the ones before it had left; of the last two at least one is still there.
      expect(scene.mailboxes.length).toBeGreaterThan(0);
      cleanLeftovers(scene.folder);
      expect(scene.mailboxes).toEqual([]);
    },
  );
});

describe('whoever cleans up after the dead and dies itself', () => {
  test.each([
    'recover:proved-dead',
    'recover:leaving',
    'recover:lanes-orphaned',
    'recover:consumer-freed',
    'recover:bell-removed',
  ])('at %s leaves the work to the next', TIMEOUT, async (failpoint) => {
    await rounds(async (number) => {
      const name = `m${number}`;
      const orders = { name, owner: 'system' } as const;
      const dead = scene.start({
        ...orders,
        role: 'producer',
        failpoint: 'offer:after-tail',
        nth: 2,
        batch: 4,
      });
      expect(await dead.exit).toBe('SIGKILL');
      const cleaner = scene.start({ ...orders, role: 'opener', failpoint });
      expect(await cleaner.exit).toBe('SIGKILL');
      const peer = await scene.peer(orders);
      expect(peer.driver.peers).toEqual({ producers: 0, consumers: 0 });
      const listed = listMailboxes(scene.folder).find((one) => one.name === name);
      expect(listed?.participants).toHaveLength(1);
      await peer.consume();
      await until(() => peer.got.length === 8, 'what the dead published comes');
      expect(peer.sequences(0)).toEqual(upTo(8));
      await peer.driver.unlink();
      await peer.driver.close();
    });
    expect(scene.mailboxes).toEqual([]);
  });
});

describe('a consumer that dies', () => {
  async function successorGetsTheRest(
    name: string,
    orders: { failpoint?: string; nth?: number; reverse?: boolean },
    killAfter?: number,
  ): Promise<void> {
    const total = 400;
    const producer = await scene.peer({ name, owner: 'system' });
    await producer.send(7, 0, total);
    const child = scene.start({ name, owner: 'system', role: 'consumer', ...orders });
    if (killAfter !== undefined) {
      await until(() => child.lines.length > killAfter, 'it receives');
      child.child.kill('SIGKILL');
    }
    expect(await child.exit).toBe('SIGKILL');
    const log = readLog(child);
    await producer.consume();
    // After the head was stored the ack is done, though the death cut off its line in the log.
    const unlogged = orders.failpoint === 'settle:after-head' || killAfter !== undefined ? 1 : 0;
    const missing = (): number => total - new Set([...log.acked, ...producer.got.map(keyOf)]).size;
    await until(() => missing() <= unlogged, 'everything that was not acked comes');
    const again = producer.got.map(keyOf);
    expect(new Set(again).size).toBe(again.length);
    for (const one of producer.got) {
      expect(log.acked.has(keyOf(one)), `${keyOf(one)} was acked`).toBe(false);
      if (log.got.has(keyOf(one))) expect(one.deliveries).toBe(2);
    }
    const first = producer.got.filter(({ deliveries }) => deliveries === 1).map(({ sequence }) => sequence);
    expect(first).toEqual([...first].sort((a, b) => a - b));
    const depth = (await producer.driver.stats()).depth;
    expect(depth).toBe(0);
    await producer.driver.unlink();
    await producer.driver.close();
  }

  test.each([
    ['consumer:seated', 1],
    ['take:taken', 2],
    ['settle:before-head', 2],
    ['settle:after-head', 2],
    ['identity:head-at-record', 1],
    ['identity:half-written', 1],
    ['park:before-look', 1],
  ])('at %s is followed by one who gets the rest, marked', TIMEOUT, async (failpoint, nth) => {
    await rounds((number) =>
      // In reverse the head moves once a take, of which there are 25.
      successorGetsTheRest(`m${number}`, {
        failpoint,
        nth: nth === 1 ? 1 : 3 + (number % 20),
        reverse: number % 2 === 1,
      }),
    );
    expect(scene.mailboxes).toEqual([]);
  });

  test('at any time is followed by one who gets the rest, marked', TIMEOUT, async () => {
    await rounds((number) =>
      successorGetsTheRest(`m${number}`, { reverse: number % 2 === 1 }, 20 + ((number * 13) % 300)),
    );
  });

  test('lets a producer that was blocked on a full lane go on once there is a successor', async () => {
    const holder = scene.start({ name: 'm', role: 'consumer', hold: true, laneBytes: 4096 });
    await until(() => holder.lines.includes('open'), 'the consumer is there');
    const producer = await scene.peer({ name: 'm' });
    const sending = producer.send(1, 0, 1000);
    await until(() => holder.lines.length > 10, 'it receives');
    holder.child.kill('SIGKILL');
    await holder.exit;
    expect((await producer.driver.stats()).unsettled).toBeGreaterThan(0);
    const successor = await scene.peer({ name: 'm' });
    await successor.consume();
    await sending;
    await until(() => successor.sequences(1).length === 1000, 'all of it comes');
    expect(successor.sequences(1)).toEqual(upTo(1000));
    expect(successor.got[0]?.deliveries).toBe(2);
    expect(successor.got.at(-1)?.deliveries).toBe(1);
  });
});

test('the owner’s death reaches everybody as PEER_GONE within a second, and the mailbox goes', async () => {
  const owner = scene.start({ name: 'm', role: 'opener', owner: 'process', hold: true, laneBytes: 4096 });
  await until(() => owner.lines.includes('open'), 'the owner is there');
  const producer = await scene.peer({ name: 'm' });
  const blocked = expect(producer.send(1, 0, 1000)).rejects.toMatchObject({ code: 'NARU_PEER_GONE' });
  owner.child.kill('SIGKILL');
  await owner.exit;
  const since = performance.now();
  await blocked;
  expect(performance.now() - since).toBeLessThan(1_000);
  await producer.driver.close();
  expect(scene.mailboxes).toEqual([]);
});

test('what the last SIGKILL left is gone as soon as anybody makes a mailbox in the folder', async () => {
  const children = upTo(4).map((number) =>
    scene.start({
      name: `left${number}`,
      role: 'opener',
      hold: true,
      owner: number % 2 === 0 ? 'users' : 'process',
    }),
  );
  const kept = scene.start({ name: 'kept', role: 'opener', hold: true, owner: 'system' });
  for (const { lines } of [...children, kept]) await until(() => lines.includes('open'), 'it is open');
  for (const { child, exit } of [...children, kept]) {
    child.kill('SIGKILL');
    await exit;
  }
  expect(scene.mailboxes).toHaveLength(5);
  expect(
    listMailboxes(scene.folder)
      .map(({ name, state }) => `${name} ${state}`)
      .sort(),
  ).toEqual(['kept live', 'left0 leftover', 'left1 leftover', 'left2 leftover', 'left3 leftover']);
  await scene.peer({ name: 'new' });
  expect(scene.mailboxes.sort()).toEqual(['kept', 'new']);
});
