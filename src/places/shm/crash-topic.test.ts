// SIGKILL at every labelled step of a topic's consumers and producers, in real processes. The other consumers miss nothing and
// get nothing twice; producers that the dead one held up go on as soon as the death is proved; floors are moved to the end.

import { describe, expect, test } from 'vitest';
import { DeathWatch, ROUNDS, rounds, sceneForEach, Times } from './death.fixture.ts';
import { type LocalPeer, type Scene, until, upTo } from './scene.fixture.ts';

const TIMEOUT = { timeout: 60_000 + ROUNDS * 5_000 };

let scene: Scene;
sceneForEach((made) => {
  scene = made;
});

const shape = { relation: 'N:N', deliver: 'all', owner: 'system', laneBytes: 4096 } as const;

async function end(peer: LocalPeer): Promise<void> {
  expect(peer.events.filter((event) => event === 'error')).toEqual([]);
  await peer.driver.unlink();
  await peer.driver.close();
}

describe('a topic’s consumer that dies', () => {
  test.each([
    ['consumer:seated', 1],
    ['take:taken', 3],
    ['settle:before-head', 3],
    ['settle:after-head', 3],
    ['ring:before-bell', 1],
    ['ring:before-mark', 1],
    ['park:before-look', 1],
  ])(
    'at %s holds up nobody once that is proved, and costs nobody a message',
    TIMEOUT,
    async (failpoint, nth) => {
      const times = new Times();
      await rounds(async (number) => {
        const name = `m${number}`;
        const watch = new DeathWatch();
        const other = await scene.peer({ ...shape, name }, watch.edges);
        await other.consume();
        const child = scene.start({
          ...shape,
          name,
          role: 'consumer',
          failpoint,
          nth: nth === 1 ? 1 : nth + (number % 10),
        });
        await until(
          () => other.driver.peers.consumers === 2 || child.child.signalCode !== null,
          'it is seated',
        );
        const sending = other.send(7, 0, 1500).then(() => watch.sendUntilProved(other, 7, 1500));
        expect(await child.exit).toBe('SIGKILL');
        const diedAt = performance.now();
        const sent = await sending;
        await until(() => other.got.length === sent, 'the other one gets everything');
        expect(other.sequences(7)).toEqual(upTo(sent));
        expect(other.got.every(({ deliveries }) => deliveries === 1)).toBe(true);
        times.add(watch, diedAt, watch.goneOnAt(other));
        await until(() => other.driver.peers.consumers === 1, 'its seat is free', 3_000);
        await end(other);
      });
      times.check(failpoint);
      expect(scene.mailboxes).toEqual([]);
    },
  );

  test(
    'while it subscribes, half seated, makes no producer believe that its lane is damaged',
    TIMEOUT,
    async () => {
      const other = await scene.peer({ ...shape, name: 'm', retain: 5 });
      await other.consume();
      for (let number = 0; number < ROUNDS; number += 1) {
        const child = scene.start({ ...shape, name: 'm', role: 'consumer', failpoint: 'consumer:seated' });
        await other.send(number, 0, 300);
        expect(await child.exit).toBe('SIGKILL');
        await other.send(number, 300, 600);
        await until(() => other.sequences(number).length === 600, 'everything comes');
        expect(other.sequences(number)).toEqual(upTo(600));
      }
      await end(other);
    },
  );
});

test('a consumer that has come and not looked yet holds up nobody with what it will never read', async () => {
  const other = await scene.peer({ ...shape, name: 'm' });
  await other.consume();
  await other.send(1, 0, 1000);
  await until(() => other.got.length === 1000, 'everything is read');
  const idle = await scene.peer({ ...shape, name: 'm', from: 'now' });
  await idle.driver.attachReceiver();
  await other.send(1, 1000, 1040);
  await until(() => other.got.length === 1040, 'the rest is read');
  expect((await other.driver.stats()).extra['safetyWakeups']).toBe(0);
  await end(other);
});

describe.each([
  ['lossless', false],
  ['lossy', true],
])('a producer of a %s topic that dies', (_, lossy) => {
  test.each([
    'offer:before-tail',
    'offer:after-tail',
    'offer:after-ring',
    'lane:allocated',
    'lane:owned',
    'floor:ordinal-stored',
    'floor:stored',
    'identity:head-at-record',
    'identity:half-written',
  ])(
    'at %s loses only what it had not published, and its successor goes on in its lane',
    TIMEOUT,
    async (failpoint) => {
      // One producer at a time in one lane: the floor that the dead one was moving is its successor's.
      const orders = { ...shape, relation: '1:N', name: 'm', lossy } as const;
      const consumers = [await scene.peer(orders), await scene.peer(orders)];
      for (const consumer of consumers) await consumer.consume();
      const [first] = consumers as [LocalPeer];
      let deaths = 0;
      for (let id = 0; id < ROUNDS; id += 1) {
        const many = failpoint.startsWith('floor') || failpoint.startsWith('offer');
        const peer = scene.start({
          ...orders,
          role: 'producer',
          id,
          // Enough laps for the floor to move as often as there are rounds, however far it goes at once.
          count: 2_000,
          batch: lossy ? 1 : 5,
          failpoint,
          nth: many ? 1 + (id % 10) : 1,
        });
        const exit = await peer.exit;
        if (exit === 'SIGKILL') deaths += 1;
        else expect([exit, peer.lines.at(-1)]).toEqual([0, 'sent']);
        await until(() => first.driver.peers.producers === 0, 'its seat is free', 3_000);
      }
      // Only a floor that passes a predecessor's identity is caught at it.
      expect(deaths).toBeGreaterThanOrEqual(failpoint.startsWith('identity') ? 1 : ROUNDS);
      const { extra } = await first.driver.stats();
      for (const consumer of consumers) {
        for (let id = 0; id < ROUNDS; id += 1) {
          const sequences = consumer.sequences(id);
          if (lossy) expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
          else expect(sequences).toEqual(upTo(sequences.length));
          expect(new Set(sequences).size).toBe(sequences.length);
        }
      }
      if (!lossy) expect(extra['missed']).toBe(0);
      await first.send(999, 0, 300);
      const ends = (consumer: LocalPeer): boolean => consumer.sequences(999).at(-1) === 299;
      await until(() => consumers.every(ends), 'the living go on');
      await end(first);
    },
  );
});
