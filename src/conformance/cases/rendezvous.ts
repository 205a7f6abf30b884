// Rendezvous: a send that comes back when the message was received, by a mailbox without room or by a receipt.

import type { Rule } from '../rule.ts';
import { isSettled, within } from '../waiting.ts';

export const rendezvous: readonly Rule[] = [
  {
    id: 'rendezvous.1',
    text: 'with capacity 0 a send that does not wait is refused while nobody receives',
    needs: ['rendezvous'],
    covers: ['R2'],
    shapes: 'once',
    async run(t) {
      const near = await t.open({ capacityMessages: 0 });
      await t.rejects(near.send('nobody', { timeoutMs: 0 }), 'NARU_TIMEOUT');
      if (t.has('trySync')) t.equal(near.trySend('nobody'), false, 'trySend() that meets nobody');
    },
  },
  {
    id: 'rendezvous.2',
    text: 'with capacity 0 a send waits until a receive meets it',
    needs: ['rendezvous'],
    covers: ['R3'],
    async run(t) {
      const near = await t.open({ capacityMessages: 0 });
      const sending = near.send('met');
      t.ok(!(await isSettled(sending)), 'send() waits while nobody receives');
      const far = await t.far();
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'met', 'the message');
      await within(sending, 8_000, 'the send to come back');
    },
  },
  {
    id: 'rendezvous.3',
    text: 'with capacity 0 a send finds the receive that waits already',
    needs: ['rendezvous'],
    async run(t) {
      const near = await t.open({ capacityMessages: 0 });
      const far = await t.far();
      await near.connect('producer');
      for (let round = 0; round < 5; round += 1) {
        const receiving = far.receive({ timeoutMs: 8_000 });
        await within(near.send(round), 8_000, 'the send to meet the receive');
        t.equal((await receiving).data, round, 'the message');
      }
    },
  },
  {
    id: 'rendezvous.4',
    text: 'a send with confirm "received" comes back only after a receive returned the message',
    needs: ['receipts'],
    async run(t) {
      const near = await t.open();
      const sending = near.send('important', { confirm: 'received' });
      t.ok(!(await isSettled(sending)), 'send() waits while the message is not received');
      const far = await t.far();
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'important', 'the message');
      const { reached } = await within(sending, 8_000, 'the receipt');
      t.equal(reached, 'received', 'the receipt');
    },
  },
  {
    id: 'rendezvous.5',
    text: 'a send with confirm "received" whose receipt does not come in time rejects with NARU_OUTCOME_UNKNOWN; the message stays',
    needs: ['receipts'],
    async run(t) {
      const near = await t.open();
      await t.rejects(near.send('slow', { confirm: 'received', timeoutMs: 50 }), 'NARU_OUTCOME_UNKNOWN');
      const far = await t.far();
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'slow', 'the message');
    },
  },
  {
    id: 'rendezvous.6',
    text: 'confirm "received" as the mailbox\'s default holds for every send, and for lists as a whole',
    needs: ['receipts'],
    async run(t) {
      const near = await t.open({ confirm: 'received' });
      const far = await t.far();
      await far.collect();
      t.equal((await near.send(1)).reached, 'received', 'the receipt of send()');
      const result = await within(near.sendMany([2, 3, 4]), 8_000, 'the receipts of the list');
      t.equal({ ...result }, { sent: 3, reached: 'received' }, 'the receipt of sendMany()');
    },
  },
  {
    id: 'rendezvous.7',
    text: 'a sendMany() whose receipts do not come in time rejects with NARU_OUTCOME_UNKNOWN and says how many did',
    needs: ['receipts'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      const sending = near.sendMany([1, 2, 3], { confirm: 'received', timeoutMs: 400 });
      await far.receive({ timeoutMs: 8_000 });
      const error = await t.rejects(sending, 'NARU_OUTCOME_UNKNOWN');
      t.equal({ ...error.partial }, { sent: 1, unknown: 2, unsent: 0 }, 'partial');
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 2, 'the next message');
    },
  },
  {
    id: 'rendezvous.8',
    text: 'receipts come by a wake-up, not by looking now and then: 20 of them, one after the other, take less than 3 s',
    needs: ['receipts'],
    covers: ['R3'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await far.connect('consumer');
      await near.send(0);
      await far.receive({ timeoutMs: 8_000 });
      const started = performance.now();
      for (let n = 1; n <= 20; n += 1) {
        const sending = near.send(n, { confirm: 'received' });
        // Both sides are asleep when the other one acts.
        await isSettled(sending, 5);
        await far.receive({ timeoutMs: 8_000 });
        await sending;
      }
      const took = performance.now() - started;
      t.ok(took < 3_000, `20 receipts took ${took.toFixed(0)} ms`);
    },
  },
];
