// Nobody is there to receive: keep, wait, fail or drop, as the sender was told.

import type { Rule } from '../rule.ts';
import { eventually, isSettled, within } from '../waiting.ts';

export const nobody: readonly Rule[] = [
  {
    id: 'nobody.1',
    text: 'a mailbox keeps what was sent before any consumer came',
    async run(t) {
      const near = await t.open();
      await near.send('early');
      const far = await t.far();
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'early', 'the message');
    },
  },
  {
    id: 'nobody.2',
    text: 'nobody "wait" makes send wait until a consumer is attached',
    covers: ['R3'],
    async run(t) {
      const near = await t.open({ nobody: 'wait' });
      await t.rejects(near.send('at once', { timeoutMs: 0 }), 'NARU_TIMEOUT');
      const sending = near.send('patient');
      t.ok(!(await isSettled(sending)), 'send() waits while there is no consumer');
      const far = await t.far();
      await far.connect('consumer');
      await within(sending, 8_000, 'the send once a consumer was attached');
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'patient', 'the message');
    },
  },
  {
    id: 'nobody.3',
    text: 'nobody "fail" rejects with NARU_NO_CONSUMER while there is no consumer, and again after the last one left',
    async run(t) {
      const near = await t.open({ nobody: 'fail' });
      await t.rejects(near.send('lost'), 'NARU_NO_CONSUMER');
      const far = await t.far();
      await far.connect('consumer');
      await near.ready({ consumers: 1, timeoutMs: 8_000 });
      await near.send('heard');
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'heard', 'the message');
      await far.disconnect('consumer');
      await eventually(() => near.peers.consumers === 0, 'the consumer was seen to leave');
      await t.rejects(near.send('lost'), 'NARU_NO_CONSUMER');
    },
  },
  {
    id: 'nobody.4',
    text: 'nobody "drop" drops while there is no consumer, says so in the receipt and counts it',
    async run(t) {
      const near = await t.open({ nobody: 'drop' });
      t.equal((await near.send('lost')).reached, 'dropped', 'the receipt');
      t.equal((await near.send('lost')).reached, 'dropped', 'the receipt');
      t.equal((await near.stats()).dropped['nobody'], 2, 'stats().dropped.nobody');
      const far = await t.far();
      await far.connect('consumer');
      await near.ready({ consumers: 1, timeoutMs: 8_000 });
      await near.send('heard');
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'heard', 'the first message that counts');
    },
  },
  {
    id: 'nobody.5',
    text: 'a topic without consumers drops what is sent and counts it',
    needs: ['deliverAll'],
    async run(t) {
      const near = await t.open({ deliver: 'all' });
      for (let n = 1; n <= 3; n += 1) await near.send(n);
      await eventually(async () => (await near.stats()).dropped['nobody'] === 3, 'three drops were counted');
      const far = await t.far();
      await far.connect('consumer');
      await near.send(4);
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 4, 'the first message that counts');
    },
  },
  {
    id: 'nobody.6',
    text: 'ready() resolves when so many producers and consumers are attached, and rejects in time when they do not come',
    async run(t) {
      const near = await t.open();
      await t.rejects(near.ready({ consumers: 1, timeoutMs: 30 }), 'NARU_TIMEOUT');
      const waiting = near.ready({ producers: 1, consumers: 1, timeoutMs: 8_000 });
      const far = await t.far();
      await far.connect('consumer');
      t.ok(!(await isSettled(waiting)), 'ready() waits for the producer too');
      await near.connect('producer');
      await waiting;
      await far.ready({ producers: 1, consumers: 1, timeoutMs: 8_000 });
    },
  },
];
