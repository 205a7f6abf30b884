// consume(): acks, retries, dead letters, poison. Never a loop, never a silent loss.

import type { Rule } from '../rule.ts';
import { eventually, isSettled, pause, within } from '../waiting.ts';

/** Retries at once, so that the case does not wait. */
const RETRY = { attempts: 3, delayMs: 1, delayMsMax: 2 } as const;

export const consume: readonly Rule[] = [
  {
    id: 'consume.1',
    text: 'consume() calls the handler for every message in order and acks when it resolves',
    needs: ['ack'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      const got: unknown[] = [];
      const consumer = near.consume(async ({ data }) => {
        await Promise.resolve();
        got.push(data);
      });
      for (const n of [1, 2, 3]) await far.send(n);
      await eventually(async () => (await near.stats()).acked === 3, 'three messages were acked');
      await consumer.stop();
      t.equal(got, [1, 2, 3], 'what the handler got');
      await far.send('after');
      await near.disconnect('consumer');
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'after', 'a stopped consumer takes no more');
    },
  },
  {
    id: 'consume.2',
    text: 'consume() runs at most `concurrency` handlers at once',
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      let running = 0;
      let most = 0;
      let finished = 0;
      near.consume(
        async () => {
          running += 1;
          most = Math.max(most, running);
          await pause(5);
          running -= 1;
          finished += 1;
        },
        { concurrency: 4 },
      );
      await far.sendMany(Array.from({ length: 40 }, (_, i) => i));
      await eventually(() => finished === 40, 'all handlers finished');
      t.ok(most > 1 && most <= 4, `more than one and at most four ran at once (${most})`);
    },
  },
  {
    id: 'consume.3',
    text: 'a message whose handler fails is tried again, counted by deliveries, until it succeeds',
    needs: ['requeue'],
    async run(t) {
      const near = await t.open({ retry: RETRY });
      const far = await t.far();
      const attempts: number[] = [];
      near.consume(({ deliveries }) => {
        attempts.push(deliveries);
        if (attempts.length < 3) throw new Error('not yet');
      });
      await far.send('stubborn');
      await eventually(async () => (await near.stats()).acked === 1, 'it was acked');
      t.equal(attempts, [1, 2, 3], 'the deliveries that the handler saw');
    },
  },
  {
    id: 'consume.4',
    text: 'a message that failed all its attempts goes to the dead-letter mailbox with the reason; the consumer goes on',
    needs: ['deadLetter', 'requeue', 'headers'],
    async run(t) {
      const grave = await t.site('grave').open();
      const near = await t.open({ retry: RETRY, deadLetter: grave.address });
      const far = await t.far();
      let calls = 0;
      const good: unknown[] = [];
      near.consume(({ data }) => {
        if (data === 'cursed') {
          calls += 1;
          throw new Error('bad luck');
        }
        good.push(data);
      });
      const { id } = await far.send('cursed', { headers: { keep: 'me' } });
      await far.send('fine');
      const dead = await grave.receive({ timeoutMs: 8_000 });
      t.equal(dead.data, 'cursed', 'the dead letter');
      t.equal(dead.headers['keep'], 'me', 'its own header');
      t.equal(dead.headers['x-death-reason'], 'bad luck', 'x-death-reason');
      t.equal(dead.headers['x-death-id'], id, 'x-death-id');
      t.equal(dead.headers['x-death-deliveries'], '3', 'x-death-deliveries');
      t.equal(calls, 3, 'the calls of the handler');
      await eventually(() => good.length === 1, 'the next message was handled');
      await t.rejects(near.receive({ timeoutMs: 20 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'consume.5',
    text: 'without a dead-letter mailbox the consumer stops with an error event, and the message is back in the mailbox',
    needs: ['requeue'],
    async run(t) {
      const near = await t.open({ retry: RETRY });
      const far = await t.far();
      const errors: Error[] = [];
      near.on('error', ({ error }) => errors.push(error));
      let calls = 0;
      const consumer = near.consume(() => {
        calls += 1;
        throw new Error('never works');
      });
      await far.send('poison');
      const failure = await t.rejects(consumer.finished, 'NARU_REMOTE');
      t.ok(failure.message.includes('never works'), 'the error names the reason');
      t.equal(calls, 3, 'the calls of the handler');
      t.equal(errors.length, 1, 'the error events');
      // It went back by itself, not only with its consumer; but some places have one consumer's seat only.
      if (!t.has('multiConsumer')) await near.disconnect('consumer');
      const again = await far.receive({ timeoutMs: 8_000 });
      t.equal([again.data, again.redelivered], ['poison', true], 'the message');
    },
  },
  {
    id: 'consume.6',
    text: 'a rejected message goes to the dead-letter mailbox',
    needs: ['deadLetter', 'ack', 'headers'],
    async run(t) {
      const grave = await t.site('grave').open();
      const near = await t.open();
      const far = await t.far({ settle: 'manual', deadLetter: grave.address });
      await near.send({ wrong: true });
      await far.settle(await far.receive({ timeoutMs: 8_000 }), 'reject', { reason: 'malformed' });
      const dead = await grave.receive({ timeoutMs: 8_000 });
      t.equal([dead.data, dead.headers['x-death-reason']], [{ wrong: true }, 'malformed'], 'the dead letter');
      await t.rejects(far.receive({ timeoutMs: 20 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'consume.7',
    text: 'receive() of a body that cannot be decoded rejects with NARU_INVALID_MESSAGE, once; it is counted and the next is fine',
    async run(t) {
      const near = await t.open();
      const far = await t.far({ codec: 'bytes' });
      await far.send(Uint8Array.of(0x7b, 0xff, 0xfe));
      await far.send(Uint8Array.from(Buffer.from('"fine"')));
      await t.rejects(near.receive({ timeoutMs: 8_000 }), 'NARU_INVALID_MESSAGE');
      t.equal((await near.receive({ timeoutMs: 8_000 })).data, 'fine', 'the next message');
      await eventually(
        async () => (await near.stats()).dropped['undecodable'] === 1,
        'the drop was counted once',
      );
      await near.disconnect('consumer');
      await t.rejects(near.receive({ timeoutMs: 30 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'consume.8',
    text: 'in a loop a body that cannot be decoded becomes an error event and the loop goes on',
    needs: ['end'],
    async run(t) {
      const near = await t.open();
      const far = await t.far({ codec: 'bytes' });
      const errors: Error[] = [];
      near.on('error', ({ error }) => errors.push(error));
      await far.send(Uint8Array.of(0xff));
      await far.send(Uint8Array.from(Buffer.from('1')));
      await far.end();
      const got: unknown[] = [];
      for await (const { data } of near) got.push(data);
      t.equal(got, [1], 'what the loop got');
      t.equal(errors.length, 1, 'the error events');
    },
  },
  {
    id: 'consume.9',
    text: 'a body that cannot be decoded goes to the dead-letter mailbox, byte for byte',
    needs: ['deadLetter', 'headers'],
    async run(t) {
      const grave = await t.site('grave').open({ codec: 'bytes' });
      const near = await t.open({ deadLetter: grave.address });
      const far = await t.far({ codec: 'bytes' });
      await far.send(Uint8Array.of(0xff, 0, 1));
      await t.rejects(near.receive({ timeoutMs: 8_000 }), 'NARU_INVALID_MESSAGE');
      const dead = await grave.receive({ timeoutMs: 8_000 });
      t.equal([...dead.body], [0xff, 0, 1], 'the dead letter');
    },
  },
  {
    id: 'consume.10',
    text: 'drain() lets running handlers finish, takes no more and closes',
    needs: ['ack'],
    async run(t) {
      // Some mailboxes live in the handle that made them; it is not the one that drains.
      await t.open();
      const near = await t.open();
      const far = await t.far();
      let release = (): void => undefined;
      const gate = new Promise<void>((resolve) => {
        release = resolve;
      });
      let started = 0;
      let finished = 0;
      near.consume(async () => {
        started += 1;
        await gate;
        finished += 1;
      });
      await far.sendMany([1, 2]);
      await eventually(() => started === 1, 'the first handler runs');
      const draining = near.drain();
      t.ok(!(await isSettled(draining)), 'drain() waits for the running handler');
      release();
      await within(draining, 8_000, 'drain()');
      t.equal([started, finished], [1, 1], 'handlers started and finished');
      const left = await far.receive({ timeoutMs: 8_000 });
      t.equal([left.data, left.redelivered], [2, false], 'the message that was not handled');
    },
  },
  {
    id: 'consume.11',
    text: 'an error event that nobody listens to becomes a process warning: nothing is lost without a word',
    needs: ['end'],
    async run(t) {
      const near = await t.open();
      const far = await t.far({ codec: 'bytes' });
      const warnings: string[] = [];
      const hear = ({ message }: Error): number => warnings.push(message);
      process.on('warning', hear);
      t.defer(() => process.off('warning', hear));
      await far.send(Uint8Array.of(0xff));
      await far.end();
      for await (const message of near) t.ok(false, `nothing can be read (${String(message.data)})`);
      await eventually(
        () => warnings.some((text) => text.includes('cannot be decoded')),
        'a warning was given',
      );
    },
  },
  {
    id: 'consume.12',
    text: 'when stop() has resolved, everything that was handled is settled: its handle may close at once, nothing of it comes again, and the rest comes in order',
    needs: ['ack'],
    async run(t) {
      // Some mailboxes live in the handle that made them; it is not the one that closes.
      await t.open();
      const near = await t.open();
      const far = await t.far();
      const got: number[] = [];
      const consumer = near.consume(({ data }) => {
        got.push(data as number);
      });
      const all = Array.from({ length: 60 }, (_, n) => n);
      await far.sendMany(all);
      await eventually(() => got.length >= 20, 'twenty were handled');
      await within(consumer.stop(), 8_000, 'stop()');
      const handled = got.length;
      await near.close();
      for (let n = handled; n < all.length; n += 1)
        got.push((await far.receive({ timeoutMs: 8_000 })).data as number);
      t.equal(got, all, 'what the handler got, and what was left');
    },
  },
];
