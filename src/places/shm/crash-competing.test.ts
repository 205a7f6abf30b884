// SIGKILL at every labelled step of competing consumers, of their producers and of whoever cleans up after them, in real
// processes. What the dead had comes back once and marked, what it acked never; the others go on as soon as the death is proved.

import { describe, expect, test } from 'vitest';
import {
  checkSurvivors,
  DeathWatch,
  keyOf,
  readLog,
  ROUNDS,
  rounds,
  sceneForEach,
  Times,
} from './death.fixture.ts';
import { listMailboxes } from './leftovers.ts';
import { type LocalPeer, type Scene, until, upTo } from './scene.fixture.ts';

const TIMEOUT = { timeout: 60_000 + ROUNDS * 5_000 };
const TOTAL = 200;

let scene: Scene;
sceneForEach((made) => {
  scene = made;
});

const shape = { relation: 'N:N', owner: 'system' } as const;

async function expectNothingLeft(peer: LocalPeer): Promise<void> {
  expect(await peer.driver.stats()).toMatchObject({ depth: 0, unsettled: 0 });
  const events = peer.events.filter((event) => event === 'error' || event === 'drop');
  expect(events).toEqual([]);
  await peer.driver.unlink();
  await peer.driver.close();
}

describe('a competing consumer that dies', () => {
  const FAILPOINTS: [string, number][] = [
    ['consumer:seated', 1],
    ['claim:held', 2],
    ['claim:claimed', 2],
    ['claim:taken', 2],
    ['claim:let-go', 2],
    ['take:taken', 2],
    ['settle:before-head', 3],
    ['settle:after-head', 3],
    ['settle:let-go', 3],
    ['return:flagged', 2],
    ['identity:head-at-record', 1],
    ['identity:half-written', 1],
    ['ring:before-bell', 1],
    ['ring:before-mark', 1],
    ['park:before-look', 1],
  ];

  test.each(FAILPOINTS)(
    'at %s: the others get what it had, marked, at once',
    TIMEOUT,
    async (failpoint, nth) => {
      const times = new Times();
      await rounds(async (number) => {
        const name = `m${number}`;
        const watch = new DeathWatch();
        const other = await scene.peer({ ...shape, name }, watch.edges);
        // Its seat: taking it is no part of what is measured.
        await other.send(7, 0, 0);
        const child = scene.start({
          ...shape,
          name,
          role: 'consumer',
          failpoint,
          nth: nth === 1 ? 1 : nth + (number % 5),
          nack: failpoint === 'return:flagged',
        });
        await until(
          () => other.driver.peers.consumers === 1 || child.child.signalCode !== null,
          'it is seated',
        );
        // Only the first message of a producer has an identity before it: that one must be the victim's.
        const isAlone = failpoint.startsWith('identity:');
        if (!isAlone) await other.consume();
        let sent = 0;
        const isDead = (): boolean => child.child.signalCode !== null;
        // Both take as fast as they can: it goes on until the other one has died.
        while (!isDead() && sent < (isAlone ? 200 : 100_000)) {
          await other.send(7, sent, sent + 20);
          sent += 20;
          const before = performance.now();
          await until(() => isDead() || performance.now() - before > 2, 'some of it is taken');
        }
        // Without a pause, or it would be the pause that is measured.
        const feeding = watch.sendUntilProved(other, 7, sent);
        expect(await child.exit).toBe('SIGKILL');
        const diedAt = performance.now();
        if (isAlone) await other.consume();
        const log = readLog(child);
        sent = await feeding;
        // An ack that was done though the death cut off its line in the log.
        const unlogged = failpoint.startsWith('settle:') || failpoint.startsWith('identity:') ? 1 : 0;
        const missing = (): number => sent - new Set([...log.acked, ...other.got.map(keyOf)]).size;
        const isLastThere = (): boolean => other.got.some(({ sequence }) => sequence === sent - 1);
        await until(() => missing() <= unlogged && isLastThere(), 'all of it comes');
        checkSurvivors(log, [other], failpoint === 'return:flagged');
        times.add(watch, diedAt, watch.goneOnAt(other));
        await until(() => other.driver.peers.consumers === 1, 'its seat is free');
        await expectNothingLeft(other);
      });
      times.check(failpoint);
      expect(scene.mailboxes).toEqual([]);
    },
  );

  test('at any time under load: the others get what it had, marked', TIMEOUT, async () => {
    await rounds(async (number) => {
      const name = `m${number}`;
      const other = await scene.peer({ ...shape, name, laneBytes: 8192 });
      const child = scene.start({
        ...shape,
        name,
        role: 'consumer',
        reverse: number % 2 === 1,
        nack: number % 3 === 0,
      });
      await until(() => other.driver.peers.consumers === 1, 'it is seated');
      const sending = other.send(7, 0, 4000);
      await until(() => child.lines.length > 50 + number * 31, 'it receives');
      child.child.kill('SIGKILL');
      expect(await child.exit).toBe('SIGKILL');
      const log = readLog(child);
      await other.consume();
      await sending;
      const missing = (): number => 4000 - new Set([...log.acked, ...other.got.map(keyOf)]).size;
      await until(() => missing() <= 1, 'all of it comes');
      checkSurvivors(log, [other], number % 3 === 0);
      await expectNothingLeft(other);
    });
    expect(scene.mailboxes).toEqual([]);
  });
});

describe('a producer of competing consumers that dies', () => {
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
  ])('at %s loses only what it had not published', TIMEOUT, async (failpoint) => {
    const consumers = [await scene.peer({ ...shape, name: 'm' }), await scene.peer({ ...shape, name: 'm' })];
    for (const consumer of consumers) await consumer.consume();
    const sequences = (id: number): number[] =>
      consumers.flatMap((consumer) => consumer.sequences(id)).sort((a, b) => a - b);
    let deaths = 0;
    await rounds(async (id) => {
      // Three messages go at a time: 40 steps of sending.
      const nth = failpoint.startsWith('offer') ? 1 + (id % 40) : 1;
      const orders = { role: 'producer', id, count: 120, batch: 3, failpoint, nth } as const;
      const peer = scene.start({ ...shape, ...orders, name: 'm' });
      if ((await peer.exit) === 'SIGKILL') deaths += 1;
    });
    expect(deaths).toBeGreaterThan(failpoint.startsWith('ring') ? 0 : ROUNDS - 1);
    const [first] = consumers as [LocalPeer];
    await until(() => first.driver.peers.producers === 0, 'every dead producer’s seat is free', 3_000);
    await first.send(999, 0, 50);
    await until(() => sequences(999).length === 50, 'the living go on');
    expect((await first.driver.stats()).depth).toBe(0);
    for (const id of [...upTo(ROUNDS), 999]) expect(sequences(id)).toEqual(upTo(sequences(id).length));
    for (const { got } of consumers) expect(got.every(({ deliveries }) => deliveries === 1)).toBe(true);
  });
});

describe('whoever cleans up after a competing consumer and dies itself', () => {
  test.each([
    'recover:proved-dead',
    'recover:leaving',
    'recover:lanes-orphaned',
    'recover:held',
    'recover:claim-returned',
    'recover:let-go',
    'recover:consumer-freed',
    'recover:bell-removed',
  ])('at %s leaves the work to the next', TIMEOUT, async (failpoint) => {
    await rounds(async (number) => {
      const name = `m${number}`;
      const sender = await scene.peer({ ...shape, name });
      await sender.send(7, 0, TOTAL);
      await sender.driver.close();
      // It holds what it took; in half of the rounds it dies while it holds the lane as well.
      const dead = scene.start({
        ...shape,
        name,
        role: 'consumer',
        hold: true,
        ...(number % 2 === 0 ? { failpoint: 'claim:taken', nth: 3 } : {}),
      });
      if (number % 2 === 1) {
        await until(() => dead.lines.length > 40, 'it receives');
        dead.child.kill('SIGKILL');
      }
      expect(await dead.exit).toBe('SIGKILL');
      const nth = failpoint === 'recover:claim-returned' ? 1 + (number % 40) : 1;
      const cleaner = scene.start({ ...shape, name, role: 'opener', failpoint, nth });
      expect(await cleaner.exit).toBe('SIGKILL');
      const peer = await scene.peer({ ...shape, name });
      expect(peer.driver.peers).toEqual({ producers: 0, consumers: 0 });
      const listed = listMailboxes(scene.folder).find((one) => one.name === name);
      expect(listed?.participants).toHaveLength(1);
      await peer.consume();
      await until(() => peer.got.length === TOTAL, 'everything comes');
      expect(peer.sequences(7)).toEqual(upTo(TOTAL));
      checkSurvivors(readLog(dead), [peer]);
      await expectNothingLeft(peer);
    });
    expect(scene.mailboxes).toEqual([]);
  });
});
