// Loops over a mailbox: for await, batches(), receiveMany(); leaving them early; and the end of the mailbox.

import type { Rule } from '../rule.ts';
import { eventually, isSettled, within } from '../waiting.ts';

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);
const dataOf = (messages: readonly { readonly data: unknown }[]): unknown[] =>
  messages.map(({ data }) => data);

export const iteration: readonly Rule[] = [
  {
    id: 'iteration.1',
    text: 'a loop acks a message when it asks for the next; after the loop all are gone',
    needs: ['end', 'ack'],
    covers: ['R5'],
    async run(t) {
      const near = await t.open();
      await near.sendMany(range(1, 50));
      const far = await t.far();
      await near.end();
      t.equal(dataOf(await far.iterate()), range(1, 50), 'what the loop got');
      t.equal((await far.stats()).acked, 50, 'stats().acked');
      await far.close();
    },
  },
  {
    id: 'iteration.2',
    text: 'leaving a loop early gives back the message in hand as redelivered and what was fetched ahead as new',
    needs: ['requeue'],
    covers: ['R5'],
    async run(t) {
      const near = await t.open();
      await near.sendMany(range(1, 10));
      const far = await t.far();
      t.equal(dataOf(await far.iterate(3)), [1, 2, 3], 'what the loop got');
      const seen = await far.receiveCount(8);
      t.equal(dataOf(seen), range(3, 10), 'what came after the loop');
      t.equal(
        seen.map(({ deliveries }) => deliveries),
        [2, 1, 1, 1, 1, 1, 1, 1],
        'the deliveries',
      );
    },
  },
  {
    id: 'iteration.3',
    text: 'what a left loop gave back can be received by another consumer',
    needs: ['requeue', 'multiConsumer'],
    covers: ['R5'],
    async run(t) {
      const near = await t.open();
      await near.sendMany(range(1, 10));
      const far = await t.far();
      await far.iterate(1);
      const got: unknown[] = [];
      while (got.length < 10) got.push((await near.receive({ timeoutMs: 8_000 })).data);
      t.equal(got, range(1, 10), 'what the other consumer got');
    },
  },
  {
    id: 'iteration.4',
    text: 'an exception in the loop gives back the message in hand',
    needs: ['requeue'],
    shapes: 'once',
    async run(t) {
      const near = await t.open();
      await near.send('hot');
      const failing = (async () => {
        for await (const message of near) throw new Error(`dropped ${String(message.data)}`);
      })();
      const error = await failing.catch((thrown: unknown) => thrown as Error);
      t.equal((error as Error).message, 'dropped hot', 'the exception');
      const again = await near.receive({ timeoutMs: 8_000 });
      t.equal([again.data, again.deliveries], ['hot', 2], 'the message');
    },
  },
  {
    id: 'iteration.5',
    text: 'batches() gives what is there, 1 to max messages at a time, and acks a batch when asked for the next',
    needs: ['end'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await far.sendMany(range(1, 40));
      await far.end();
      const batches: number[][] = [];
      for await (const batch of near.batches({ max: 16 })) {
        batches.push(batch.map(({ data }) => data as number));
      }
      t.equal(batches.flat(), range(1, 40), 'the messages');
      t.ok(
        batches.every(({ length }) => length >= 1 && length <= 16),
        'a batch has 1 to 16 messages',
      );
      if (t.has('ack')) t.equal((await near.stats()).acked, 40, 'stats().acked');
    },
  },
  {
    id: 'iteration.6',
    text: 'leaving batches() early gives back the batch in hand',
    needs: ['requeue'],
    shapes: 'once',
    async run(t) {
      const near = await t.open();
      await near.sendMany(range(1, 6));
      for await (const batch of near.batches({ max: 2 })) {
        if (batch[0]?.data === 3) break;
      }
      const rest = [];
      while (rest.length < 4) rest.push(await near.receive({ timeoutMs: 8_000 }));
      t.equal(
        rest.map(({ data, deliveries }) => [data, deliveries]),
        [
          [3, 2],
          [4, 2],
          [5, 1],
          [6, 1],
        ],
        'messages and deliveries',
      );
    },
  },
  {
    id: 'iteration.7',
    text: 'receiveMany() waits for the first message and then takes what is there, never more than asked',
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      const waiting = near.receiveMany(3, { timeoutMs: 8_000 });
      await far.send(1);
      t.equal(dataOf(await waiting), [1], 'what a waiting receiveMany() got');
      await far.sendMany(range(2, 8));
      const got: unknown[] = [];
      while (got.length < 7) {
        const some = await near.receiveMany(3, { timeoutMs: 8_000 });
        t.ok(some.length >= 1 && some.length <= 3, 'receiveMany(3) gives 1 to 3');
        got.push(...dataOf(some));
      }
      t.equal(got, range(2, 8), 'the rest');
      await t.rejects(near.receiveMany(3, { timeoutMs: 10 }), 'NARU_TIMEOUT');
      await t.rejects(near.receiveMany(0), 'NARU_INVALID_ARGUMENT');
    },
  },
  {
    id: 'iteration.8',
    text: 'end() lets consumers take what is there and then finishes their loops, waiting or not',
    needs: ['end'],
    covers: ['R4'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await far.collect();
      await near.sendMany([1, 2]);
      await eventually(async () => (await far.progress()).count === 2, 'two messages arrived');
      await near.send(3);
      await near.end();
      const { seen, error } = await within(far.finish(), 8_000, 'the waiting loop to finish');
      t.equal(dataOf(seen), [1, 2, 3], 'what the loop got');
      t.equal(error, undefined, 'the error of the loop');
    },
  },
  {
    id: 'iteration.9',
    text: 'after end() and the last message receive rejects with NARU_CLOSED, and so does every send',
    needs: ['end'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await near.send('last');
      await near.end();
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'last', 'the last message');
      await t.rejects(far.receive({ timeoutMs: 8_000 }), 'NARU_CLOSED');
      await t.rejects(far.receive({ timeoutMs: 0 }), 'NARU_CLOSED');
      await t.rejects(near.send('too late', { timeoutMs: 8_000 }), 'NARU_CLOSED');
      await t.rejects(far.send('too late', { timeoutMs: 8_000 }), 'NARU_CLOSED');
    },
  },
  {
    id: 'iteration.10',
    text: 'close() ends the loops of its handle',
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await far.send(1);
      const got: unknown[] = [];
      const loop = (async () => {
        for await (const message of near) got.push(message.data);
      })();
      await eventually(() => got.length === 1, 'the loop got its message');
      await near.close();
      await within(loop, 8_000, 'the loop to end');
      t.equal(got, [1], 'what the loop got');
    },
  },
  {
    id: 'iteration.11',
    text: "an aborted loop rejects with the signal's reason and leaves what it had not handed out",
    needs: ['ack'],
    covers: ['R5'],
    shapes: 'once',
    async run(t) {
      const near = await t.open();
      const reason = new Error('stop now');
      const control = new AbortController();
      const loop = (async () => {
        for await (const message of near.messages({ signal: control.signal })) void message;
      })();
      t.ok(!(await isSettled(loop)), 'the loop waits');
      control.abort(reason);
      t.equal(await loop.catch((error: unknown) => error), reason, 'what the loop rejected with');
      await near.send('after');
      t.equal((await near.receive({ timeoutMs: 8_000 })).data, 'after', 'the message sent afterwards');
    },
  },
  {
    id: 'iteration.12',
    text: 'a timeout of a loop counts for each wait and ends the loop with NARU_TIMEOUT',
    async run(t) {
      const near = await t.open();
      await near.sendMany([1, 2]);
      const far = await t.far();
      await t.rejects(far.iterate(undefined, { timeoutMs: 40 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'iteration.13',
    text: 'what a loop settles by hand is not settled again by the loop',
    needs: ['requeue'],
    shapes: 'once',
    async run(t) {
      const near = await t.open();
      await near.sendMany([1, 2]);
      const got: [unknown, number][] = [];
      for await (const message of near.messages({ timeoutMs: 8_000 })) {
        got.push([message.data, message.deliveries]);
        if (got.length === 1) await message.nack();
        else await message.ack();
        if (got.length === 3) break;
      }
      t.equal(
        got.sort(([a], [b]) => Number(a) - Number(b)),
        [
          [1, 1],
          [1, 2],
          [2, 1],
        ],
        'messages and deliveries',
      );
      const { acked, requeued } = await near.stats();
      t.equal([acked, requeued], [2, 1], 'acked and requeued');
      await t.rejects(near.receive({ timeoutMs: 30 }), 'NARU_TIMEOUT');
    },
  },
];
