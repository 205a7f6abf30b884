// Settling: ack, nack, reject; what repeats and contradicts; what goes back by itself.

import type { Rule } from '../rule.ts';
import { eventually } from '../waiting.ts';

export const settle: readonly Rule[] = [
  {
    id: 'settle.1',
    text: 'an acked message is gone for good, also after its consumer left',
    needs: ['ack'],
    covers: ['R5', 'R9'],
    async run(t) {
      const near = await t.open();
      const far = await t.far({ settle: 'manual' });
      await near.send('done');
      await far.settle(await far.receive({ timeoutMs: 8_000 }), 'ack');
      await far.close();
      const later = await t.far();
      await t.rejects(later.receive({ timeoutMs: 40 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'settle.2',
    text: 'a nacked message is delivered again with deliveries 2 and redelivered set',
    needs: ['requeue'],
    covers: ['R6'],
    async run(t) {
      const near = await t.open();
      const far = await t.far({ settle: 'manual' });
      const { id } = await near.send('again', {});
      const first = await far.receive({ timeoutMs: 8_000 });
      t.equal([first.id, first.deliveries, first.redelivered], [id, 1, false], 'the first delivery');
      await far.settle(first, 'nack');
      const second = await far.receive({ timeoutMs: 8_000 });
      t.equal([second.id, second.deliveries, second.redelivered], [id, 2, true], 'the second delivery');
      await far.settle(second, 'ack');
      await t.rejects(far.receive({ timeoutMs: 30 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'settle.3',
    text: 'a rejected message is not delivered again; it is dropped and counted',
    needs: ['ack'],
    async run(t) {
      const near = await t.open();
      const far = await t.far({ settle: 'manual' });
      await near.send('bad');
      await far.settle(await far.receive({ timeoutMs: 8_000 }), 'reject');
      await t.rejects(far.receive({ timeoutMs: 30 }), 'NARU_TIMEOUT');
      await eventually(
        async () => ((await far.stats()).dropped['rejected'] ?? 0) >= 1,
        'the drop was counted',
      );
      t.equal((await far.stats()).dropped['rejected'], 1, 'stats().dropped.rejected');
      t.equal((await far.stats()).rejected, 1, 'stats().rejected');
    },
  },
  {
    id: 'settle.4',
    text: 'settling again in the same way does nothing',
    needs: ['ack'],
    shapes: 'once',
    async run(t) {
      const near = await t.open({ settle: 'manual' });
      await near.send(1);
      const message = await near.receive({ timeoutMs: 8_000 });
      await message.ack();
      await message.ack();
      t.equal(message.settled, 'ack', 'message.settled');
      t.equal((await near.stats()).acked, 1, 'stats().acked');
    },
  },
  {
    id: 'settle.5',
    text: 'settling again in another way rejects with NARU_SETTLED and changes nothing',
    needs: ['ack', 'requeue'],
    shapes: 'once',
    async run(t) {
      const near = await t.open({ settle: 'manual' });
      await near.send(1);
      const message = await near.receive({ timeoutMs: 8_000 });
      await message.ack();
      await t.rejects(message.nack(), 'NARU_SETTLED');
      await t.rejects(message.reject(), 'NARU_SETTLED');
      await t.rejects(near.receive({ timeoutMs: 20 }), 'NARU_TIMEOUT');
      t.equal(message.settled, 'ack', 'message.settled');
    },
  },
  {
    id: 'settle.6',
    text: 'what a consumer had not settled goes back when it disconnects, marked as redelivered, before younger messages',
    needs: ['ack'],
    covers: ['R9'],
    async run(t) {
      const near = await t.open();
      for (const n of [1, 2, 3]) await near.send(n);
      const far = await t.far({ settle: 'manual' });
      await far.receiveCount(2);
      await far.disconnect('consumer');
      const later = await t.far({ settle: 'manual' });
      const seen = await later.receiveCount(3);
      t.equal(
        seen.map(({ data, redelivered }) => [data, redelivered]),
        [
          [1, true],
          [2, true],
          [3, false],
        ],
        'the messages after the consumer left',
      );
    },
  },
  {
    id: 'settle.7',
    text: 'what a handle had not settled goes back when it closes',
    needs: ['ack'],
    covers: ['R9'],
    async run(t) {
      const near = await t.open();
      await near.send('kept');
      const far = await t.far({ settle: 'manual' });
      await far.receive({ timeoutMs: 8_000 });
      await far.close();
      const later = await t.far();
      const { data, redelivered } = await later.receive({ timeoutMs: 8_000 });
      t.equal([data, redelivered], ['kept', true], 'message and mark');
    },
  },
  {
    id: 'settle.8',
    text: 'receive() settles at hand-out unless the handle settles manually',
    needs: ['ack'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await near.send(1);
      await far.receive({ timeoutMs: 8_000 });
      await far.close();
      const later = await t.far();
      await t.rejects(later.receive({ timeoutMs: 30 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'settle.9',
    text: 'settling after the handle closed rejects with NARU_CLOSED; the message is delivered again',
    needs: ['ack'],
    async run(t) {
      const keeper = await t.far();
      const near = await t.open({ settle: 'manual' });
      await keeper.send('late');
      const message = await near.receive({ timeoutMs: 8_000 });
      await near.close();
      await t.rejects(message.ack(), 'NARU_CLOSED');
      t.equal((await keeper.receive({ timeoutMs: 8_000 })).data, 'late', 'the message');
    },
  },
  {
    id: 'settle.10',
    text: 'a message that leaves its `await using` block unsettled goes back',
    needs: ['requeue'],
    shapes: 'once',
    async run(t) {
      const near = await t.open({ settle: 'manual' });
      await near.send('scoped');
      {
        await using message = await near.receive({ timeoutMs: 8_000 });
        t.equal(message.deliveries, 1, 'the first delivery');
      }
      const again = await near.receive({ timeoutMs: 8_000 });
      t.equal([again.data, again.deliveries], ['scoped', 2], 'the second delivery');
    },
  },
  {
    id: 'settle.11',
    text: 'messages are settled in any order, each on its own',
    needs: ['requeue'],
    async run(t) {
      const near = await t.open();
      await near.sendMany([1, 2, 3, 4, 5]);
      const far = await t.far({ settle: 'manual' });
      const seen = await far.receiveCount(5);
      const [one, two, three, four, five] = seen;
      if (!one || !two || !three || !four || !five) throw new Error('five messages');
      await far.settle(five, 'ack');
      await far.settle(two, 'nack');
      await far.settle(one, 'ack');
      await far.settle(four, 'nack');
      await far.settle(three, 'ack');
      const again = await far.receiveCount(2);
      t.equal(
        again.map(({ data, deliveries }) => [data, deliveries]),
        [
          [2, 2],
          [4, 2],
        ],
        'those that were given back',
      );
      for (const message of again) await far.settle(message, 'ack');
      await t.rejects(far.receive({ timeoutMs: 30 }), 'NARU_TIMEOUT');
    },
  },
];
