// Which message comes first, and to whom: FIFO, competing consumers, priorities, ordering keys, duplicates.

import type { OpenOptions } from '../../mailbox/options.ts';
import type { Rule } from '../rule.ts';
import type { Trial } from '../trial.ts';
import { eventually } from '../waiting.ts';

interface Numbered {
  readonly from: string;
  readonly n: number;
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

/** Splits messages by their producer. */
function byProducer(messages: readonly { readonly data: unknown }[]): Record<string, number[]> {
  const lists: Record<string, number[]> = {};
  for (const { data } of messages) {
    const { from, n } = data as Numbered;
    (lists[from] ??= []).push(n);
  }
  return lists;
}

/** For places where a mailbox has only as many priorities as it was made with. */
function allPriorities(t: Trial): OpenOptions {
  const { priorityMin, priorityMax } = t.capabilities.limits;
  return { priorities: Math.min(priorityMax - priorityMin + 1, 10) };
}

async function outOfRange(t: Trial): Promise<void> {
  const near = await t.open(allPriorities(t));
  const { priorityMin, priorityMax } = t.capabilities.limits;
  for (const priority of [priorityMin - 1, priorityMax + 1, 0.5, Number.NaN, '1' as never]) {
    await t.rejects(near.send('x', { priority }), 'NARU_INVALID_ARGUMENT');
  }
  await near.send('low', { priority: priorityMin });
  await near.send('high', { priority: priorityMax });
  t.equal((await near.receive({ timeoutMs: 8_000 })).data, 'high', 'the most urgent message');
  t.equal((await near.receive({ timeoutMs: 8_000 })).data, 'low', 'the least urgent message');
}

export const order: readonly Rule[] = [
  {
    id: 'order.1',
    text: 'messages of one producer arrive in the order they were sent, whichever call sent them',
    covers: ['R1', 'R6'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      for (const n of range(20)) await near.send(n);
      await near.sendMany([21, 22, 23]);
      if (t.has('trySync')) near.trySend(24);
      else await near.send(24);
      const seen = await far.receiveCount(24);
      t.equal(
        seen.map(({ data }) => data),
        range(24),
        'the messages',
      );
    },
  },
  {
    id: 'order.2',
    text: 'with several producers every message arrives once, and those of each producer in its order',
    needs: ['multiProducer'],
    covers: ['R6'],
    async run(t) {
      const near = await t.open();
      const other = await t.open();
      const far = await t.far();
      const third = await t.site().far({}, await t.anotherPeer());
      const count = t.rounds(150, 5_000);
      await far.connect('consumer');
      const sends = async (label: string, mailbox: typeof near): Promise<void> => {
        for (const n of range(count)) await mailbox.send({ from: label, n });
      };
      const sending = Promise.all([
        sends('near', near),
        sends('other', other),
        third.sendNumbered('third', count),
      ]);
      const seen = await far.receiveCount(3 * count);
      await sending;
      t.equal(
        byProducer(seen),
        { near: range(count), other: range(count), third: range(count) },
        'the messages',
      );
    },
  },
  {
    id: 'order.3',
    text: 'of competing consumers each message reaches exactly one',
    needs: ['multiConsumer'],
    covers: ['R5', 'R6'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      const third = await t.site().far({}, await t.anotherPeer());
      const consumers = [far, third];
      for (const consumer of consumers) await consumer.collect();
      await t.attached(near, { consumers: 2 });
      const count = t.rounds(400, 20_000);
      await near.sendMany(range(count));
      const total = async (): Promise<number> => {
        const all = await Promise.all(consumers.map((consumer) => consumer.progress()));
        return all.reduce((sum, one) => sum + one.count, 0);
      };
      await eventually(async () => (await total()) >= count, 'all messages were received');
      const lists = await Promise.all(consumers.map((consumer) => consumer.progress()));
      const got = lists.flatMap(({ seen }) => seen.map(({ data }) => data as number));
      t.equal(
        got.sort((a, b) => a - b),
        range(count),
        'the messages of all consumers together',
      );
      for (const { seen } of lists) {
        const own = seen.map(({ data }) => data as number);
        t.equal(
          own,
          [...own].sort((a, b) => a - b),
          'the order at one consumer',
        );
      }
    },
  },
  {
    id: 'order.4',
    text: 'a more urgent message comes before less urgent ones; equals keep their order',
    needs: ['priority'],
    covers: ['R6'],
    async run(t) {
      const { priorityMin, priorityMax } = t.capabilities.limits;
      const near = await t.open(allPriorities(t));
      const middle = Math.floor((priorityMin + priorityMax) / 2);
      await near.connect('producer');
      for (const n of [1, 2]) {
        await near.send(`low ${n}`, { priority: priorityMin });
        await near.send(`high ${n}`, { priority: priorityMax });
        await near.send(`middle ${n}`, { priority: middle });
      }
      const far = await t.far();
      const seen = await far.receiveCount(6);
      t.equal(
        seen.map(({ data }) => data),
        ['high 1', 'high 2', 'middle 1', 'middle 2', 'low 1', 'low 2'],
        'the order',
      );
      t.equal(seen[0]?.priority, priorityMax, 'the priority that the receiver sees');
    },
  },
  {
    id: 'order.5',
    text: 'a priority outside the declared range is NARU_INVALID_ARGUMENT, never clamped; the ends of the range are taken',
    needs: ['priority'],
    shapes: 'once',
    run: outOfRange,
  },
  {
    id: 'order.6',
    text: 'while a message with an ordering key is unsettled no other with that key is handed out, but others are',
    needs: ['orderingKey', 'ack', 'multiConsumer'],
    async run(t) {
      const near = await t.open();
      await near.send('a1', { key: 'a' });
      await near.send('a2', { key: 'a' });
      await near.send('b1', { key: 'b' });
      const first = await t.far({ settle: 'manual' });
      const second = await t.open({ settle: 'manual' });
      const held = await first.receive({ timeoutMs: 8_000 });
      t.equal([held.data, held.key], ['a1', 'a'], 'the first message');
      const other = await second.receive({ timeoutMs: 8_000 });
      t.equal(other.data, 'b1', 'the message of another key');
      await t.rejects(second.receive({ timeoutMs: 30 }), 'NARU_TIMEOUT');
      await first.settle(held, 'ack');
      t.equal((await second.receive({ timeoutMs: 8_000 })).data, 'a2', 'the next of the key');
    },
  },
  {
    id: 'order.7',
    text: 'a message with an id that was seen before is dropped and counted',
    needs: ['dedup', 'headers'],
    async run(t) {
      const near = await t.open({ dedup: 100 });
      await near.send('one', { id: 'same' });
      await near.send('two', { id: 'same' });
      await near.send('three', { id: 'other' });
      const far = await t.far();
      const seen = await far.receiveCount(2);
      t.equal(
        seen.map(({ data }) => data),
        ['one', 'three'],
        'the messages',
      );
      t.equal(seen[0]?.id, 'same', 'the id that the receiver sees');
      await eventually(
        async () => (await near.stats()).dropped['duplicate'] === 1,
        'the duplicate was counted',
      );
    },
  },
  {
    id: 'order.8',
    text: 'a requeued message comes back before those that were behind it',
    needs: ['requeue'],
    async run(t) {
      const near = await t.open();
      for (const n of range(3)) await near.send(n);
      const far = await t.far({ settle: 'manual' });
      const first = await far.receive({ timeoutMs: 8_000 });
      await far.settle(first, 'nack');
      const seen = await far.receiveCount(3);
      t.equal(
        seen.map(({ data, deliveries }) => [data, deliveries]),
        [
          [1, 2],
          [2, 1],
          [3, 1],
        ],
        'messages and deliveries after the requeue',
      );
    },
  },
];
