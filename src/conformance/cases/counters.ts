// Numbers and looks: stats() is the truth, peek() takes nothing, purge() removes what waits.

import type { Rule } from '../rule.ts';
import { eventually, isSettled } from '../waiting.ts';

export const counters: readonly Rule[] = [
  {
    id: 'stats.1',
    text: 'sent, received and acked count what this handle did',
    needs: ['ack', 'requeue'],
    async run(t) {
      const near = await t.open();
      const far = await t.far({ settle: 'manual' });
      for (let n = 1; n <= 5; n += 1) await near.send(n);
      const [one, two, three] = await far.receiveCount(3);
      if (!one || !two || !three) throw new Error('three messages');
      await far.settle(one, 'ack');
      await far.settle(two, 'ack');
      await far.settle(three, 'nack');
      const mine = await near.stats();
      t.equal([mine.sent, mine.received, mine.acked], [5, 0, 0], 'sent, received, acked of the producer');
      const its = await far.stats();
      t.equal(
        [its.sent, its.received, its.acked, its.requeued],
        [0, 3, 2, 1],
        'sent, received, acked, requeued of the consumer',
      );
      const sum = Object.values(mine.dropped).reduce((total, count) => total + count, 0);
      t.equal(sum, 0, 'the drops');
    },
  },
  {
    id: 'stats.2',
    text: 'the depth is the number of messages that wait',
    needs: ['depth'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      const depth = async (): Promise<number> => (await near.stats()).place.depth;
      t.equal(await depth(), 0, 'the depth of an empty mailbox');
      for (let n = 1; n <= 7; n += 1) await near.send(n);
      t.equal(await depth(), 7, 'the depth after seven sends');
      await far.receiveCount(3);
      await far.disconnect('consumer');
      await eventually(async () => (await depth()) === 4, 'the depth was four after three receives');
      await far.receiveCount(4);
      await eventually(async () => (await depth()) === 0, 'the depth was zero after all receives');
    },
  },
  {
    id: 'stats.3',
    text: 'producers and consumers count who is attached, by all handles',
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await near.connect('producer');
      await far.connect('consumer');
      await near.ready({ producers: 1, consumers: 1, timeoutMs: 8_000 });
      t.equal({ ...near.peers }, { producers: 1, consumers: 1 }, 'peers');
      await far.close();
      await eventually(() => near.peers.consumers === 0, 'the consumer was seen to leave');
    },
  },
  {
    id: 'stats.4',
    text: 'waiting sends and receives are counted while they wait, and not afterwards',
    async run(t) {
      const near = await t.open(t.small);
      const receiving = near.receive();
      await eventually(async () => (await near.stats()).waitingReceives === 1, 'one receive waited');
      const far = await t.far();
      await far.send('x');
      await receiving;
      t.equal((await near.stats()).waitingReceives, 0, 'waitingReceives');
      await near.disconnect('consumer');
      const filled = await t.fill(near);
      const sending = near.send(t.filler(filled + 1));
      t.ok(!(await isSettled(sending)), 'the send waits');
      t.equal((await near.stats()).waitingSends, 1, 'waitingSends');
      await far.receiveCount(filled + 1);
      await sending;
      t.equal((await near.stats()).waitingSends, 0, 'waitingSends');
    },
  },
  {
    id: 'stats.5',
    text: 'unsettled messages are counted until they are settled',
    needs: ['ack', 'depth'],
    async run(t) {
      const near = await t.open();
      const far = await t.far({ settle: 'manual' });
      for (let n = 1; n <= 3; n += 1) await near.send(n);
      const [one, two] = await far.receiveCount(2);
      if (!one || !two) throw new Error('two messages');
      const unsettled = async (): Promise<number> => (await near.stats()).place.unsettled;
      await eventually(async () => (await unsettled()) === 2, 'two were unsettled');
      await far.settle(one, 'ack');
      await far.settle(two, 'ack');
      await eventually(async () => (await unsettled()) === 0, 'none was unsettled');
    },
  },
  {
    id: 'stats.6',
    text: 'peek() shows the oldest messages and takes none',
    needs: ['peek'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      for (let n = 1; n <= 4; n += 1) await far.send(n);
      const looks = await near.peek(3);
      t.equal(
        looks.map(({ data }) => data),
        [1, 2, 3],
        'what peek() shows',
      );
      t.equal((await near.peek()).length, 1, 'peek() without a number');
      const seen = await far.receiveCount(4);
      t.equal(
        seen.map(({ data, deliveries }) => [data, deliveries]),
        [1, 2, 3, 4].map((n) => [n, 1]),
        'what is there afterwards',
      );
    },
  },
  {
    id: 'stats.7',
    text: 'purge() removes every waiting message and says how many, where the place can; else it is NARU_UNSUPPORTED',
    shapes: 'once',
    async run(t) {
      const near = await t.open();
      for (let n = 1; n <= 4; n += 1) await near.send(n);
      let removed: number;
      try {
        removed = await near.purge();
      } catch {
        await t.rejects(near.purge(), 'NARU_UNSUPPORTED');
        t.equal((await near.receive({ timeoutMs: 8_000 })).data, 1, 'the first message');
        return;
      }
      t.equal(removed, 4, 'what purge() says');
      await t.rejects(near.receive({ timeoutMs: 20 }), 'NARU_TIMEOUT');
      await near.send('after');
      t.equal((await near.receive({ timeoutMs: 8_000 })).data, 'after', 'the message afterwards');
    },
  },
];
