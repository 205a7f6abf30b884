// Every way to send meets every way to receive; and each side waits exactly as long as it says.

import type { Feature } from '../../mailbox/capabilities.ts';
import type { Mailbox } from '../../mailbox/mailbox.ts';
import { isNaruError } from '../../errors/index.ts';
import type { FarMailbox } from '../far-mailbox.ts';
import type { Seen } from '../peer-session.ts';
import type { Rule } from '../rule.ts';
import type { Trial } from '../trial.ts';
import { eventually, isSettled, within } from '../waiting.ts';

interface SendForm {
  readonly name: string;
  readonly needs: readonly Feature[];
  readonly send: (near: Mailbox, data: unknown) => Promise<unknown>;
}

interface ReceiveForm {
  readonly name: string;
  readonly needs: readonly Feature[];
  /** It does not wait: the case asks until the message is there. */
  readonly atOnce: boolean;
  readonly receive: (far: FarMailbox) => Promise<Seen | undefined>;
}

const SEND_FORMS: readonly SendForm[] = [
  { name: 'send()', needs: [], send: (near, data) => near.send(data) },
  { name: 'send({ timeoutMs: 0 })', needs: [], send: (near, data) => near.send(data, { timeoutMs: 0 }) },
  {
    name: 'trySend()',
    needs: ['trySync'],
    send: async (near, data) => {
      if (!near.trySend(data)) throw new Error('trySend() found no room in an empty mailbox');
    },
  },
  {
    name: "send({ confirm: 'received' })",
    needs: ['receipts'],
    send: async (near, data) => {
      const { reached } = await near.send(data, { confirm: 'received' });
      if (reached !== 'received') throw new Error(`the receipt says "${reached}"`);
    },
  },
];

const RECEIVE_FORMS: readonly ReceiveForm[] = [
  { name: 'receive()', needs: [], atOnce: false, receive: (far) => far.receive() },
  {
    name: 'receive({ timeoutMs })',
    needs: [],
    atOnce: false,
    receive: (far) => far.receive({ timeoutMs: 8_000 }),
  },
  {
    name: 'receive({ timeoutMs: 0 })',
    needs: [],
    atOnce: true,
    receive: (far) =>
      far.receive({ timeoutMs: 0 }).catch((error: unknown) => {
        if (isNaruError(error, 'NARU_TIMEOUT')) return undefined;
        throw error;
      }),
  },
  { name: 'tryReceive()', needs: ['trySync'], atOnce: true, receive: (far) => far.tryReceive() },
];

async function ask(far: FarMailbox, form: ReceiveForm): Promise<unknown> {
  let message: Seen | undefined;
  await eventually(async () => {
    message = await form.receive(far);
    return message !== undefined;
  }, `${form.name} returned the message`);
  return message?.data;
}

async function meet(t: Trial, sendForm: SendForm, receiveForm: ReceiveForm): Promise<void> {
  const near = await t.open();
  await near.connect('producer');
  const far = await t.far();
  await far.connect('consumer');
  // The sender first.
  const sending = sendForm.send(near, 'first');
  const sent = within(sending, 8_000, `${sendForm.name} to come back`);
  t.equal(await ask(far, receiveForm), 'first', `${receiveForm.name} after ${sendForm.name}`);
  await sent;
  if (receiveForm.atOnce) return;
  // The receiver first.
  const receiving = receiveForm.receive(far);
  await within(sendForm.send(near, 'second'), 8_000, `${sendForm.name} to a waiting receive`);
  t.equal((await receiving)?.data, 'second', `${receiveForm.name} that waited before ${sendForm.name}`);
}

const matrix: Rule[] = SEND_FORMS.flatMap((sendForm, row) =>
  RECEIVE_FORMS.map((receiveForm, column) => ({
    id: `sync.${row * RECEIVE_FORMS.length + column + 1}`,
    text: `a message sent by ${sendForm.name} is received by ${receiveForm.name}, whoever comes first`,
    covers: ['R4'],
    needs: [...new Set([...sendForm.needs, ...receiveForm.needs])],
    run: (t: Trial) => meet(t, sendForm, receiveForm),
  })),
);

const waiting: readonly Rule[] = [
  {
    id: 'sync.20',
    text: 'a receive that does not wait finds nothing in an empty mailbox and takes nothing away',
    covers: ['R4', 'R5'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await far.connect('consumer');
      await t.rejects(far.receive({ timeoutMs: 0 }), 'NARU_TIMEOUT');
      if (t.has('trySync')) t.equal(await far.tryReceive(), undefined, 'tryReceive() of an empty mailbox');
      await near.send('later');
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'later', 'the message sent afterwards');
    },
  },
  {
    id: 'sync.21',
    text: 'a receive with a timeout rejects with NARU_TIMEOUT, and not before its time',
    shapes: 'once',
    async run(t) {
      const near = await t.open();
      const started = performance.now();
      await t.rejects(near.receive({ timeoutMs: 60 }), 'NARU_TIMEOUT');
      const took = performance.now() - started;
      t.ok(took >= 58, `the wait lasted at least 60 ms (it was ${took.toFixed(1)})`);
    },
  },
  {
    id: 'sync.22',
    text: 'a send that does not wait is refused by a full mailbox, and a send with a timeout rejects in its time',
    covers: ['R1', 'R2'],
    shapes: 'once',
    async run(t) {
      const near = await t.open(t.small);
      const filled = await t.fill(near);
      await t.rejects(near.send(t.filler(-1), { timeoutMs: 0 }), 'NARU_TIMEOUT');
      await t.rejects(near.send(t.filler(-1), { timeoutMs: 40 }), 'NARU_TIMEOUT');
      if (t.has('trySync')) t.equal(near.trySend(t.filler(-1)), false, 'trySend() to a full mailbox');
      const messages = await receiveNumbers(near, filled);
      t.equal(messages, numbers(filled), 'what a full mailbox gave after refused sends');
      await t.rejects(near.receive({ timeoutMs: 0 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'sync.23',
    text: 'with both sides waiting by turns, every message arrives once and in order',
    covers: ['R3', 'R4', 'R6'],
    async run(t) {
      const near = await t.open(t.small);
      const far = await t.far();
      const count = t.rounds(300, 20_000);
      await far.collect();
      for (let n = 1; n <= count; n += 1) await near.send(t.filler(n));
      await eventually(async () => (await far.progress()).count >= count, 'all messages arrived', 15_000);
      const { seen } = await far.progress();
      t.equal(
        seen.map(({ data }) => (data as { n: number }).n),
        numbers(count),
        'the messages',
      );
    },
  },
  {
    id: 'sync.24',
    text: 'receives that wait on one handle are served in the order of their calls',
    covers: ['R4'],
    async run(t) {
      const near = await t.open();
      await near.connect('consumer');
      const far = await t.far();
      const waits = Array.from({ length: 20 }, () => near.receive());
      t.ok(!(await isSettled(Promise.race(waits))), 'no receive of an empty mailbox comes back');
      await far.sendNumbered('far', 20);
      const messages = await within(Promise.all(waits), 8_000, 'all waiting receives to be served');
      t.equal(
        messages.map(({ data }) => (data as { n: number }).n),
        numbers(20),
        'the messages in the order of the calls',
      );
    },
  },
  {
    id: 'sync.25',
    text: 'sends that wait on one handle are taken in the order of their calls',
    covers: ['R1', 'R3'],
    async run(t) {
      const near = await t.open(t.small);
      const filled = await t.fill(near);
      const waits = Array.from({ length: 10 }, (_, i) => near.send(t.filler(filled + i + 1)));
      t.ok(!(await isSettled(Promise.race(waits))), 'no send to a full mailbox comes back');
      const far = await t.far();
      const seen = await far.receiveCount(filled + 10);
      await within(Promise.all(waits), 8_000, 'all waiting sends to be taken');
      t.equal(
        seen.map(({ data }) => (data as { n: number }).n),
        numbers(filled + 10),
        'the messages in the order of the calls',
      );
    },
  },
  {
    id: 'sync.26',
    text: 'a receive that sleeps is woken by a send, not by looking now and then: 20 times take less than 3 s (on a busy machine: than that and three times what they take when nothing waits)',
    covers: ['R4'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await far.connect('producer');
      const calmMs = await timeOfEach(async () => {
        await far.send(0);
        await near.receive({ timeoutMs: 8_000 });
      });
      const started = performance.now();
      for (let n = 1; n <= 20; n += 1) {
        const receiving = near.receive();
        await isSettled(receiving, 5);
        await far.send(n);
        t.equal((await receiving).data, n, 'the message');
      }
      const took = performance.now() - started;
      t.ok(
        took < 3_000 + 3 * 20 * calmMs,
        `20 rounds took ${took.toFixed(0)} ms, ${calmMs.toFixed(1)} ms each without a wait`,
      );
    },
  },
  {
    id: 'sync.27',
    text: 'a send that sleeps is woken when room is made, not by looking now and then: 20 times take less than 5 s (on a busy machine: than that and three times what they take when nothing waits)',
    covers: ['R3'],
    async run(t) {
      const near = await t.open(t.small);
      const far = await t.far();
      await far.connect('consumer');
      let sent = await t.fill(near);
      let received = 0;
      const calmMs = await timeOfEach(async () => {
        const got = (await far.receiveMany(32, { timeoutMs: 8_000 })).length;
        received += got;
        sent += await t.fill(near);
      });
      const started = performance.now();
      for (let round = 1; round <= 20; round += 1) {
        sent += 1;
        const sending = near.send(t.filler(sent));
        await isSettled(sending, 5);
        // Some places make room for several at a time: take until this one went in.
        while (!(await isSettled(sending, 1)) && received < sent) {
          received += (await far.receiveMany(32, { timeoutMs: 8_000 })).length;
        }
        await within(sending, 8_000, 'the send for which room was made');
        sent += await t.fill(near);
      }
      const took = performance.now() - started;
      t.ok(
        took < 5_000 + 3 * 20 * calmMs,
        `20 rounds took ${took.toFixed(0)} ms, ${calmMs.toFixed(1)} ms each without a wait`,
      );
    },
  },
  {
    id: 'sync.28',
    text: 'a receive that does not wait never overtakes one that waits',
    needs: ['trySync'],
    covers: ['R4'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await near.connect('consumer');
      for (let round = 1; round <= 10; round += 1) {
        const pending = near.receive();
        await far.sendMany(['first', 'second']);
        const found = near.tryReceive()?.data;
        t.equal((await pending).data, 'first', 'what the waiting receive got');
        t.equal(found ?? (await near.receive({ timeoutMs: 8_000 })).data, 'second', 'the other message');
      }
    },
  },
];

/** What one round takes, in milliseconds: of five. How busy the machine is shows in it. */
async function timeOfEach(round: () => Promise<void>): Promise<number> {
  const started = performance.now();
  for (let n = 0; n < 5; n += 1) await round();
  return (performance.now() - started) / 5;
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

async function receiveNumbers(mailbox: Mailbox, count: number): Promise<number[]> {
  const all: number[] = [];
  while (all.length < count) {
    const message = await mailbox.receive({ timeoutMs: 8_000 });
    all.push((message.data as { n: number }).n);
  }
  return all;
}

export const synchronisation: readonly Rule[] = [...matrix, ...waiting];
