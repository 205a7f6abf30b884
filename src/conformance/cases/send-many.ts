// sendMany(): lists in order, room waited for, and an exact account when it fails midway.

import type { NaruError } from '../../errors/index.ts';
import type { Rule } from '../rule.ts';
import { within } from '../waiting.ts';

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);
const dataOf = (messages: readonly { readonly data: unknown }[]): unknown[] =>
  messages.map(({ data }) => data);

function account(error: NaruError): number[] {
  const { sent = -1, unknown = -1, unsent = -1 } = error.partial ?? {};
  return [sent, unknown, unsent];
}

export const sendMany: readonly Rule[] = [
  {
    id: 'sendmany.1',
    text: 'sendMany() sends arrays, generators and asynchronous generators in order and says how many',
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      async function* slowly(): AsyncGenerator<number> {
        for (const n of range(7, 9)) {
          await Promise.resolve();
          yield n;
        }
      }
      function* quickly(): Generator<number> {
        yield* range(4, 6);
      }
      t.equal((await near.sendMany([1, 2, 3])).sent, 3, 'sent of the array');
      t.equal((await near.sendMany(quickly())).sent, 3, 'sent of the generator');
      t.equal((await near.sendMany(slowly())).sent, 3, 'sent of the asynchronous generator');
      t.equal((await near.sendMany([])).sent, 0, 'sent of the empty list');
      t.equal(dataOf(await far.receiveCount(9)), range(1, 9), 'the messages');
    },
  },
  {
    id: 'sendmany.2',
    text: 'a list larger than the mailbox waits for room and arrives complete and in order',
    covers: ['R1', 'R3'],
    async run(t) {
      const near = await t.open(t.small);
      const count = t.rounds(1_500, 50_000);
      const far = await t.far();
      const sending = near.sendMany(range(1, count).map((n) => t.filler(n)));
      const seen = await far.receiveCount(count);
      t.equal((await within(sending, 8_000, 'sendMany()')).sent, count, 'sent');
      t.equal(
        seen.map(({ data }) => (data as { n: number }).n),
        range(1, count),
        'the messages',
      );
    },
  },
  {
    id: 'sendmany.3',
    text: 'when an element cannot be sent the error says how many were sent before it, and exactly those arrive',
    async run(t) {
      const near = await t.open();
      const list: unknown[] = range(1, 600);
      list[549] = 1n;
      const error = await t.rejects(near.sendMany(list), 'NARU_INVALID_MESSAGE');
      const [sent = -1, unknown, unsent] = account(error);
      t.equal(unknown, 0, 'partial.unknown');
      t.equal(sent + (unsent ?? 0), 600, 'partial.sent + partial.unsent');
      t.ok(sent <= 549, 'nothing after the bad element was sent');
      const far = await t.far();
      if (sent > 0) t.equal(dataOf(await far.receiveCount(sent)), range(1, sent), 'what arrived');
      await t.rejects(far.receive({ timeoutMs: 30 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'sendmany.4',
    text: 'when there is no room in time the error says how many were sent, and exactly those arrive',
    covers: ['R1'],
    async run(t) {
      const near = await t.open(t.small);
      const list = range(1, 2_000).map((n) => t.filler(n));
      // Long enough for the receipts of what had room, on a busy machine too.
      const error = await t.rejects(near.sendMany(list, { timeoutMs: 300 }), 'NARU_TIMEOUT');
      const [sent = -1, unknown, unsent] = account(error);
      t.equal([unknown, sent + (unsent ?? 0)], [0, 2_000], 'partial.unknown and the sum of the others');
      t.ok(sent > 0, 'a part was sent');
      const far = await t.far();
      const seen = await far.receiveCount(sent);
      t.equal(
        seen.map(({ data }) => (data as { n: number }).n),
        range(1, sent),
        'what arrived',
      );
      await t.rejects(far.receive({ timeoutMs: 30 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'sendmany.5',
    text: "an aborted sendMany() rejects with the signal's reason; what was sent before arrives, no more",
    covers: ['R1'],
    async run(t) {
      const near = await t.open(t.small);
      const reason = new Error('enough');
      const control = new AbortController();
      const list = range(1, 2_000).map((n) => t.filler(n));
      const sending = near.sendMany(list, { signal: control.signal });
      setTimeout(() => control.abort(reason), 30);
      const error = await sending.catch((thrown: unknown) => thrown);
      t.equal(error, reason, 'what it rejected with');
      const sent = (error as { partial?: { sent: number } }).partial?.sent ?? -1;
      const far = await t.far();
      const seen = await far.receiveCount(sent);
      t.equal(
        seen.map(({ data }) => (data as { n: number }).n),
        range(1, sent),
        'what arrived',
      );
      await t.rejects(far.receive({ timeoutMs: 30 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'sendmany.6',
    text: 'a list that pauses holds back nothing that it gave before',
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      let goOn = (): void => undefined;
      const paused = new Promise<void>((resolve) => {
        goOn = resolve;
      });
      async function* pausing(): AsyncGenerator<number> {
        yield* range(1, 3);
        await paused;
        yield 4;
      }
      const sending = near.sendMany(pausing());
      t.equal(dataOf(await far.receiveCount(3)), range(1, 3), 'the messages before the pause');
      goOn();
      t.equal((await sending).sent, 4, 'sent');
      t.equal(dataOf(await far.receiveCount(1)), [4], 'the message after the pause');
    },
  },
];
