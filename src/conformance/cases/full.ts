// A full mailbox: it waits, fails or drops, as it was told; and whatever it drops is counted.

import { isNaruError } from '../../errors/index.ts';
import type { Mailbox } from '../../mailbox/mailbox.ts';
import type { FarMailbox } from '../far-mailbox.ts';
import type { Rule } from '../rule.ts';
import type { Trial } from '../trial.ts';
import { eventually, isSettled, within } from '../waiting.ts';

const numberOf = (message: { readonly data: unknown }): number => (message.data as { n: number }).n;
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Everything that is there, until nothing more comes. */
async function receiveAll(far: FarMailbox, expected: number): Promise<number[]> {
  const seen = await far.receiveCount(expected);
  return seen.map(numberOf);
}

async function droppedFull(near: Mailbox): Promise<number> {
  const { dropped } = await near.stats();
  return dropped['full'] ?? 0;
}

async function goesIn(mailbox: Mailbox, body: Uint8Array): Promise<boolean> {
  try {
    await mailbox.send(body, { timeoutMs: 0 });
    return true;
  } catch (error) {
    if (isNaruError(error, 'NARU_TIMEOUT')) return false;
    throw error;
  }
}

async function nothingMore(t: Trial, far: FarMailbox): Promise<void> {
  await t.rejects(far.receive({ timeoutMs: 20 }), 'NARU_TIMEOUT');
}

export const full: readonly Rule[] = [
  {
    id: 'full.1',
    text: 'a full mailbox makes send wait until a message is taken; nothing is lost and the order is kept',
    covers: ['R2', 'R3'],
    async run(t) {
      const near = await t.open(t.small);
      const filled = await t.fill(near);
      t.ok(filled >= 1, 'a small mailbox holds at least one message');
      const sending = near.send(t.filler(filled + 1));
      t.ok(!(await isSettled(sending)), 'send() to a full mailbox waits');
      const far = await t.far();
      t.equal(await receiveAll(far, filled + 1), range(1, filled + 1), 'the messages');
      await within(sending, 8_000, 'the waiting send');
    },
  },
  {
    id: 'full.2',
    text: 'full "fail" rejects with NARU_FULL, sends nothing, and sends again once there is room',
    covers: ['R2'],
    async run(t) {
      const near = await t.open({ ...t.small, full: 'fail' });
      const filled = await t.fill(near);
      await t.rejects(near.send(t.filler(-1)), 'NARU_FULL');
      if (t.has('trySync')) await t.rejects(() => near.trySend(t.filler(-1)), 'NARU_FULL');
      const far = await t.far();
      t.equal(await receiveAll(far, filled), range(1, filled), 'the messages');
      await nothingMore(t, far);
      await eventually(
        () =>
          near.send(t.filler(0)).then(
            () => true,
            () => false,
          ),
        'there was room again',
      );
      t.equal(numberOf(await far.receive({ timeoutMs: 8_000 })), 0, 'the message after room came');
    },
  },
  {
    id: 'full.3',
    text: 'full "drop-newest" drops the new message, says so in the receipt, counts it and tells it as an event',
    needs: ['dropNewest'],
    covers: ['R2'],
    async run(t) {
      const near = await t.open({ ...t.small, full: 'drop-newest' });
      let told = 0;
      near.on('drop', ({ reason, count }) => {
        if (reason === 'full') told += count;
      });
      let placed = 0;
      let dropped = 0;
      for (let n = 1; dropped < 5; n += 1) {
        const { reached } = await near.send(t.filler(n));
        if (reached === 'dropped') dropped += 1;
        else placed += 1;
        t.ok(n < 100_000, 'a small mailbox becomes full');
      }
      t.equal(await droppedFull(near), dropped, 'stats().dropped.full');
      t.equal(told, dropped, 'the drops told by events');
      const far = await t.far();
      t.equal(await receiveAll(far, placed), range(1, placed), 'what was not dropped');
      await nothingMore(t, far);
    },
  },
  {
    id: 'full.4',
    text: 'full "drop-newest" makes trySend() answer false, and counts',
    needs: ['dropNewest', 'trySync'],
    shapes: 'once',
    async run(t) {
      const near = await t.open({ ...t.small, full: 'drop-newest' });
      await near.connect('producer');
      let placed = 0;
      while (near.trySend(t.filler(placed + 1))) placed += 1;
      t.equal(near.trySend(t.filler(-1)), false, 'trySend() to a full mailbox');
      t.equal(await droppedFull(near), 2, 'stats().dropped.full');
      t.ok(placed >= 1, 'a small mailbox holds at least one message');
    },
  },
  {
    id: 'full.5',
    text: 'full "drop-oldest" always takes the new message and counts exactly what it threw away',
    needs: ['dropOldest'],
    covers: ['R2'],
    async run(t) {
      const near = await t.open({ ...t.small, full: 'drop-oldest' });
      const count = 400;
      for (let n = 1; n <= count; n += 1) await near.send(t.filler(n));
      await eventually(async () => (await droppedFull(near)) > 0, 'something was dropped');
      const dropped = await droppedFull(near);
      t.ok(dropped < count, `something is left of ${count} (${dropped} were dropped)`);
      const far = await t.far();
      t.equal(await receiveAll(far, count - dropped), range(dropped + 1, count), 'the youngest messages');
      await nothingMore(t, far);
    },
  },
  {
    id: 'full.6',
    text: 'no more than maxWaiting sends wait: the next rejects with NARU_OVERLOADED and the waiting ones go on',
    async run(t) {
      const near = await t.open({ ...t.small, maxWaiting: 3 });
      const filled = await t.fill(near);
      const waits = range(1, 3).map((i) => near.send(t.filler(filled + i)));
      await t.rejects(near.send(t.filler(-1)), 'NARU_OVERLOADED');
      const far = await t.far();
      t.equal(await receiveAll(far, filled + 3), range(1, filled + 3), 'the messages');
      await within(Promise.all(waits), 8_000, 'the waiting sends');
      await nothingMore(t, far);
    },
  },
  {
    id: 'full.7',
    text: 'the event "full" is told once, and again only after there was room',
    async run(t) {
      const near = await t.open(t.small);
      let told = 0;
      near.on('full', () => {
        told += 1;
      });
      const filled = await t.fill(near);
      const waits = [near.send(t.filler(filled + 1)), near.send(t.filler(filled + 2))];
      t.equal(told, 1, 'the events while it is full');
      const far = await t.far();
      await receiveAll(far, filled + 2);
      await within(Promise.all(waits), 8_000, 'the waiting sends');
      const again = await t.fill(near);
      const last = near.send(t.filler(again + 1));
      t.equal(told, 2, 'the events after it was full again');
      await receiveAll(far, again + 1);
      await within(last, 8_000, 'the last send');
    },
  },
  {
    id: 'full.8',
    text: 'a message that waits behind one that gave up goes in at once where it fits',
    covers: ['R3'],
    shapes: 'once',
    async run(t) {
      const near = await t.open({ ...t.small, codec: 'bytes' });
      const large = new Uint8Array(6_000);
      await near.connect('producer');
      while (await goesIn(near, large));
      // Where messages are counted, or hardly a byte is left, a small one does not fit either.
      if (!(await goesIn(near, new Uint8Array(1)))) return;
      const control = new AbortController();
      const first = near.send(large, { signal: control.signal }).catch(() => 'gave up');
      const second = near.send(new Uint8Array(1));
      t.ok(!(await isSettled(second)), 'the small message waits its turn');
      control.abort();
      t.equal(await first, 'gave up', 'the large message');
      await within(second, 2_000, 'the small message to go in');
    },
  },
];
