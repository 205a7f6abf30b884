// Topics: every consumer gets every message; groups share a copy; late consumers get what is retained.

import type { Rule } from '../rule.ts';
import { eventually, within } from '../waiting.ts';

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);
const dataOf = (messages: readonly { readonly data: unknown }[]): unknown[] =>
  messages.map(({ data }) => data);

export const topic: readonly Rule[] = [
  {
    id: 'topic.1',
    text: 'with deliver "all" every consumer gets every message in order',
    needs: ['deliverAll', 'multiConsumer'],
    covers: ['R6'],
    async run(t) {
      const near = await t.open({ deliver: 'all' });
      const far = await t.far();
      const other = await t.site().far({}, await t.anotherPeer());
      const own = await t.open({ role: 'consumer' });
      await Promise.all([far.connect('consumer'), other.connect('consumer')]);
      await near.ready({ consumers: 3, timeoutMs: 8_000 });
      const count = t.rounds(100, 5_000);
      await near.sendMany(range(1, count));
      const mine: unknown[] = [];
      while (mine.length < count) mine.push((await own.receive({ timeoutMs: 8_000 })).data);
      t.equal(dataOf(await far.receiveCount(count)), range(1, count), 'what the first consumer got');
      t.equal(dataOf(await other.receiveCount(count)), range(1, count), 'what the second consumer got');
      t.equal(mine, range(1, count), 'what the third consumer got');
    },
  },
  {
    id: 'topic.2',
    text: 'a consumer of a topic gets what is sent after it was attached',
    needs: ['deliverAll'],
    async run(t) {
      const near = await t.open({ deliver: 'all' });
      const first = await t.open({ role: 'consumer' });
      await near.send('before');
      const far = await t.far();
      await far.connect('consumer');
      await near.send('after');
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'after', 'the first message of the late one');
      t.equal(
        (await first.receive({ timeoutMs: 8_000 })).data,
        'before',
        'the first message of the early one',
      );
    },
  },
  {
    id: 'topic.3',
    text: 'consumers of one group share one copy of each message; each group gets its own',
    needs: ['groups', 'deliverAll', 'multiConsumer'],
    async run(t) {
      const near = await t.open({ deliver: 'all' });
      const a1 = await t.far({ group: 'a' });
      const a2 = await t.site().far({ group: 'a' }, await t.anotherPeer());
      const b = await t.far({ group: 'b' });
      for (const consumer of [a1, a2, b]) await consumer.collect();
      await near.ready({ consumers: 3, timeoutMs: 8_000 });
      const count = 60;
      await near.sendMany(range(1, count));
      const counts = async (): Promise<readonly number[]> =>
        (await Promise.all([a1, a2, b].map((one) => one.progress()))).map((one) => one.count);
      await eventually(async () => {
        const [one = 0, two = 0, other = 0] = await counts();
        return one + two >= count && other >= count;
      }, 'both groups had all messages');
      const [one, two, other] = await Promise.all([a1, a2, b].map((mailbox) => mailbox.progress()));
      const shared = [...(one?.seen ?? []), ...(two?.seen ?? [])].map(({ data }) => data as number);
      t.equal(
        shared.sort((x, y) => x - y),
        range(1, count),
        'what the two of group a got together',
      );
      t.equal(dataOf(other?.seen ?? []), range(1, count), 'what the one of group b got');
    },
  },
  {
    id: 'topic.4',
    text: 'retain n gives a late consumer the last n messages, then the new ones',
    needs: ['retain', 'deliverAll'],
    async run(t) {
      const near = await t.open({ deliver: 'all', retain: 3 });
      for (const n of range(1, 5)) await near.send(n);
      const far = await t.far();
      await far.connect('consumer');
      await near.send(6);
      t.equal(dataOf(await far.receiveCount(4)), range(3, 6), 'what the late consumer got');
    },
  },
  {
    id: 'topic.5',
    text: 'a consumer chooses where it starts: from "start" with what is retained, from "now" with what is new',
    needs: ['replay', 'retain', 'deliverAll', 'multiConsumer'],
    async run(t) {
      const near = await t.open({ deliver: 'all', retain: 10 });
      await near.sendMany([1, 2]);
      const now = await t.far({ from: 'now' });
      const start = await t.far({ from: 'start' });
      await now.connect('consumer');
      await start.connect('consumer');
      await near.send(3);
      t.equal(dataOf(await now.receiveCount(1)), [3], 'what the consumer from now got');
      t.equal(dataOf(await start.receiveCount(3)), [1, 2, 3], 'what the consumer from the start got');
    },
  },
  {
    id: 'topic.6',
    text: 'with full "wait" a slow consumer of a topic holds the producer; no consumer loses anything',
    needs: ['deliverAll', 'multiConsumer'],
    covers: ['R2'],
    async run(t) {
      const near = await t.open({ ...t.small, deliver: 'all' });
      const fast = await t.far();
      const slow = await t.far();
      await fast.collect();
      await slow.connect('consumer');
      await near.ready({ consumers: 2, timeoutMs: 8_000 });
      const count = 200;
      const sending = (async () => {
        for (const n of range(1, count)) await near.send(t.filler(n));
      })();
      const seen = await slow.receiveCount(count);
      await within(sending, 8_000, 'all sends');
      await eventually(async () => (await fast.progress()).count === count, 'the fast consumer had all');
      t.equal(
        seen.map(({ data }) => (data as { n: number }).n),
        range(1, count),
        'what the slow consumer got',
      );
    },
  },
  {
    id: 'topic.8',
    text: 'with full "drop-oldest" a slow consumer of a topic holds nobody: it gets the youngest messages, and a gap event says how many it missed',
    needs: ['overwrite', 'deliverAll', 'multiConsumer'],
    covers: ['R2'],
    async run(t) {
      const near = await t.open({ ...t.small, deliver: 'all', full: 'drop-oldest', role: 'producer' });
      const slow = await t.open({ role: 'consumer' });
      let missed = 0;
      slow.on('gap', ({ count }) => {
        missed += count;
      });
      await near.ready({ consumers: 1, timeoutMs: 8_000 });
      const count = 400;
      for (const n of range(1, count)) await near.send(t.filler(n), { timeoutMs: 1_000 });
      await near.end();
      const seen: number[] = [];
      for await (const message of slow) seen.push((message.data as { n: number }).n);
      t.ok(seen.length > 0 && seen.length < count, `it got some of ${count} (${seen.length})`);
      t.equal(seen, range(count - seen.length + 1, count), 'what the slow consumer got');
      t.equal(missed, count - seen.length, 'the sum of the gaps');
    },
  },
  {
    id: 'topic.7',
    text: 'opening a topic as a mailbox for one consumer is NARU_EXISTS, and the other way round',
    needs: ['deliverAll'],
    covers: ['R12'],
    async run(t) {
      await t.open({ deliver: 'all' });
      await t.rejects(t.far({ deliver: 'one' }), 'NARU_EXISTS');
      await t.site('queue').open({ deliver: 'one' });
      await t.rejects(t.site('queue').far({ deliver: 'all' }), 'NARU_EXISTS');
    },
  },
];
