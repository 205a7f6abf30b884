// Messages and time: ttl, delay, leases. Lower bounds of time only; upper bounds are watchdogs.

import type { Rule } from '../rule.ts';
import { eventually, pause } from '../waiting.ts';

export const time: readonly Rule[] = [
  {
    id: 'time.1',
    text: 'an expired message is not delivered; it is dropped and counted',
    needs: ['ttl'],
    async run(t) {
      const near = await t.open();
      await near.send('short', { ttlMs: 20 });
      await near.send('long', { ttlMs: 60_000 });
      await pause(40);
      const far = await t.far();
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'long', 'the first message');
      const expired = async (): Promise<number> => {
        const [here, there] = await Promise.all([near.stats(), far.stats()]);
        return Math.max(here.dropped['expired'] ?? 0, there.dropped['expired'] ?? 0);
      };
      await eventually(async () => (await expired()) === 1, 'the expired message was counted');
    },
  },
  {
    id: 'time.2',
    text: 'a message received within its ttl is delivered',
    needs: ['ttl'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await near.send('in time', { ttlMs: 30_000 });
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'in time', 'the message');
    },
  },
  {
    id: 'time.3',
    text: 'a delayed message is not delivered before its time, and holds up no other',
    needs: ['delay'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await far.connect('consumer');
      for (let delayMs = 120; ; delayMs *= 4) {
        const begun = performance.now();
        await near.send('late', { delayMs });
        await near.send('now');
        const isInTime = performance.now() - begun < delayMs;
        const order: unknown[] = [];
        while (order.length < 2) order.push((await far.receive({ timeoutMs: delayMs + 8_000 })).data);
        const took = performance.now() - begun;
        t.ok(took >= delayMs - 2, `the delay of ${delayMs} ms was kept (${took.toFixed(1)})`);
        // A machine so busy that the second send came when the first was due says nothing about who is held up.
        if (!isInTime && delayMs < 5_000) continue;
        t.equal(order, ['now', 'late'], 'the messages');
        return;
      }
    },
  },
  {
    id: 'time.4',
    text: 'a message given back with a delay comes back after it, marked as redelivered',
    needs: ['delay', 'requeue'],
    async run(t) {
      const near = await t.open();
      const far = await t.far({ settle: 'manual' });
      await near.send('again');
      const first = await far.receive({ timeoutMs: 8_000 });
      const given = performance.now();
      await far.settle(first, 'nack', { delayMs: 80 });
      const second = await far.receive({ timeoutMs: 8_000 });
      const took = performance.now() - given;
      t.ok(took >= 78, `the delay of 80 ms was kept (${took.toFixed(1)})`);
      t.equal([second.data, second.deliveries], ['again', 2], 'message and deliveries');
    },
  },
  {
    id: 'time.5',
    text: 'a message not settled within its lease is delivered again, marked as redelivered',
    needs: ['lease', 'multiConsumer'],
    async run(t) {
      const near = await t.open({ leaseMs: 150, settle: 'manual' });
      const far = await t.far({ settle: 'manual' });
      await near.send('leased');
      const first = await far.receive({ timeoutMs: 8_000 });
      t.equal(first.deliveries, 1, 'the first delivery');
      const second = await near.receive({ timeoutMs: 8_000 });
      t.equal([second.data, second.deliveries, second.redelivered], ['leased', 2, true], 'the second');
      await second.ack();
      await t.rejects(near.receive({ timeoutMs: 100 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'time.6',
    text: 'extend() prolongs a lease; a message acked within it does not come back',
    needs: ['lease', 'multiConsumer'],
    async run(t) {
      const near = await t.open({ leaseMs: 150, settle: 'manual' });
      const far = await t.far({ settle: 'manual' });
      await far.send('mine');
      const message = await near.receive({ timeoutMs: 8_000 });
      message.extend(60_000);
      await t.rejects(far.receive({ timeoutMs: 300 }), 'NARU_TIMEOUT');
      await message.ack();
      await t.rejects(far.receive({ timeoutMs: 30 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'time.7',
    text: 'the lease of a message is kept while its handler runs',
    needs: ['lease', 'multiConsumer'],
    async run(t) {
      const near = await t.open({ leaseMs: 300 });
      const far = await t.far();
      let calls = 0;
      const consumer = near.consume(async () => {
        calls += 1;
        await pause(500);
      });
      await near.ready({ consumers: 1, timeoutMs: 8_000 });
      await far.send('slow work');
      await eventually(async () => (await near.stats()).acked === 1, 'the handler had finished');
      await consumer.stop();
      t.equal(calls, 1, 'the calls of the handler');
      await t.rejects(far.receive({ timeoutMs: 80 }), 'NARU_TIMEOUT');
    },
  },
];
