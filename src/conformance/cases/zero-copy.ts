// Messages without a copy: a claim is written in place and committed, a view is read in place and settled.

import type { Mailbox } from '../../mailbox/mailbox.ts';
import type { OpenOptions } from '../../mailbox/options.ts';
import type { MessageView } from '../../mailbox/view.ts';
import type { Rule } from '../rule.ts';
import type { Trial } from '../trial.ts';
import { isSettled, within } from '../waiting.ts';

const BYTES = { codec: 'bytes' } as const;
const KIB = 1_024;

/** Bytes that tell their message apart, at every offset. */
function pattern(n: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (n * 31 + i * 7 + (i >>> 8)) & 0xff);
}

const plain = (bytes: unknown): number[] => [...(bytes as Uint8Array)];

function commit(mailbox: Mailbox, n: number, size: number): boolean {
  const claim = mailbox.tryClaim(size);
  if (claim === undefined) return false;
  claim.data.set(pattern(n, size));
  claim.commit();
  return true;
}

/** Commits messages of 1 KiB, numbered from 1, until there is no room. @returns how many */
function fillByClaims(t: Trial, mailbox: Mailbox): number {
  for (let n = 1; n <= 100_000; n += 1) {
    if (commit(mailbox, n, KIB)) continue;
    t.ok(n > 1, 'a small mailbox holds at least one message');
    return n - 1;
  }
  throw new Error('100,000 claims of 1 KiB did not fill a small mailbox');
}

/** A mailbox with messages of 1 KiB, numbered from 1, and a consumer that settles by hand. */
async function consumerOf(
  t: Trial,
  count: number,
  options: OpenOptions = {},
): Promise<{ near: Mailbox; sender: Mailbox }> {
  const sender = await t.open({ ...BYTES, ...options });
  const near = await t.open({ ...BYTES, role: 'consumer' });
  for (let n = 1; n <= count; n += 1) await sender.send(pattern(n, KIB));
  return { near, sender };
}

function shows(t: Trial, view: MessageView, n: number): void {
  t.equal(plain(view.data), plain(pattern(n, KIB)), `the bytes of message ${n}`);
}

const claims: readonly Rule[] = [
  {
    id: 'claim.1',
    text: 'what is written into a claim arrives byte for byte with its headers, and nothing of it before the commit',
    needs: ['claim'],
    covers: ['R7', 'R13'],
    async run(t) {
      const near = await t.open(BYTES);
      const far = await t.far(BYTES);
      for (const [index, size] of [0, 1, 7, KIB, 5_000].entries()) {
        const headers = t.has('headers') ? { headers: { n: String(index) } } : {};
        const claim = await near.claim(size, headers);
        t.equal(claim.data.byteLength, size, 'the bytes of claim.data');
        claim.data.set(pattern(index, size));
        await t.rejects(far.receive({ timeoutMs: 10 }), 'NARU_TIMEOUT');
        const receipt = claim.commit();
        t.equal(receipt.reached, (await near.send(new Uint8Array())).reached, 'the receipt’s level');
        const got = await far.receive({ timeoutMs: 8_000 });
        t.equal(plain(got.data), plain(pattern(index, size)), `the ${size} bytes`);
        t.equal(
          [got.id, got.sender, got.deliveries],
          [receipt.id, near.identity, 1],
          'id, sender, deliveries',
        );
        if (t.has('headers')) t.equal({ ...got.headers }, { n: String(index) }, 'the headers');
        await far.receive({ timeoutMs: 8_000 });
      }
    },
  },
  {
    id: 'claim.2',
    text: 'sends and claims that come while a claim is open wait for it and arrive behind it, in the order of the calls; trySend() and tryClaim() find no room',
    needs: ['claim'],
    covers: ['R6', 'R14'],
    async run(t) {
      const near = await t.open(BYTES);
      const far = await t.far(BYTES);
      const first = await near.claim(1);
      const second = near.send(Uint8Array.of(2));
      const third = near.claim(1);
      const fourth = near.sendMany([Uint8Array.of(4), Uint8Array.of(5)]);
      t.ok(!(await isSettled(second)), 'send() waits behind the open claim');
      t.equal(near.tryClaim(1), undefined, 'tryClaim() behind an open claim');
      if (t.has('trySync')) t.equal(near.trySend(Uint8Array.of(9)), false, 'trySend() behind an open claim');
      first.data[0] = 1;
      first.commit();
      await within(second, 8_000, 'the send behind the first claim');
      const claim = await within(third, 8_000, 'the claim behind the send');
      t.ok(!(await isSettled(fourth)), 'sendMany() waits behind the second claim');
      claim.data[0] = 3;
      claim.commit();
      await within(fourth, 8_000, 'the list behind the second claim');
      const seen = await far.receiveCount(5);
      t.equal(
        seen.map(({ data }) => plain(data)[0]),
        [1, 2, 3, 4, 5],
        'the order',
      );
      t.equal((await near.stats()).sent, 5, 'stats().sent');
    },
  },
  {
    id: 'claim.3',
    text: 'an aborted claim leaves nothing behind, gives its room back, and lets what waits behind it go on',
    needs: ['claim'],
    covers: ['R13'],
    async run(t) {
      const near = await t.open({ ...BYTES, ...t.small });
      const far = await t.far(BYTES);
      for (let round = 0; round < 200; round += 1) {
        const claim = await near.claim(KIB, { timeoutMs: 2_000 });
        claim.data.fill(round);
        if (round % 2 === 0) claim.abort();
        else claim[Symbol.dispose]();
      }
      const last = await near.claim(KIB);
      const sending = near.send(Uint8Array.of(7));
      last.abort();
      last.abort();
      await within(sending, 8_000, 'the send behind the aborted claim');
      t.equal(plain((await far.receive({ timeoutMs: 8_000 })).data), [7], 'the only message');
      await t.rejects(far.receive({ timeoutMs: 20 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'claim.4',
    text: 'claim() of a full mailbox waits until a message is taken; a timeout or an abort ends the wait and leaves nothing',
    needs: ['claim'],
    covers: ['R3', 'R13'],
    async run(t) {
      const near = await t.open({ ...BYTES, ...t.small });
      const far = await t.far(BYTES);
      await near.connect('producer');
      const count = fillByClaims(t, near);
      await t.rejects(near.claim(KIB, { timeoutMs: 0 }), 'NARU_TIMEOUT');
      await t.rejects(near.claim(KIB, { timeoutMs: 20 }), 'NARU_TIMEOUT');
      const control = new AbortController();
      const aborted = near.claim(KIB, { signal: control.signal }).then(
        () => 'was opened',
        (error: unknown) => error,
      );
      const waiting = near.claim(KIB);
      t.ok(!(await isSettled(waiting)), 'claim() waits while the mailbox is full');
      control.abort('enough');
      t.equal(await aborted, 'enough', 'what the aborted claim rejected with');
      const seen = await far.receiveCount(count);
      for (const [index, { data }] of seen.entries())
        t.equal(plain(data), plain(pattern(index + 1, KIB)), `message ${index + 1}`);
      const claim = await within(waiting, 8_000, 'the claim, once there was room');
      claim.data.set(pattern(0, KIB));
      claim.commit();
      t.equal(
        plain((await far.receive({ timeoutMs: 8_000 })).data),
        plain(pattern(0, KIB)),
        'the last message',
      );
      await t.rejects(far.receive({ timeoutMs: 20 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'claim.5',
    text: 'commit(n) sends the first n bytes; a number beyond the claim is NARU_INVALID_ARGUMENT and leaves it open',
    needs: ['claim'],
    covers: ['R13'],
    async run(t) {
      const near = await t.open({ ...BYTES, ...t.small });
      const far = await t.far(BYTES);
      // More rounds than the mailbox has room for what is claimed and not used.
      for (let round = 0; round < 100; round += 1) {
        const claim = await near.claim(2 * KIB, { timeoutMs: 8_000 });
        claim.data.set(pattern(round, 2 * KIB));
        for (const wrong of [2 * KIB + 1, -1, 0.5])
          await t.rejects(() => claim.commit(wrong), 'NARU_INVALID_ARGUMENT');
        claim.commit(round);
        const { data } = await far.receive({ timeoutMs: 8_000 });
        t.equal(plain(data), plain(pattern(round, 2 * KIB)).slice(0, round), `the first ${round} bytes`);
      }
    },
  },
  {
    id: 'claim.6',
    text: 'a claim over maxMessageBytes is NARU_TOO_LARGE and names both numbers; one of exactly so many bytes goes through',
    needs: ['claim'],
    covers: ['R8', 'R13'],
    shapes: 'once',
    async run(t) {
      const near = await t.open(BYTES);
      const limit = near.maxMessageBytes;
      const error = await t.rejects(near.claim(limit + 1), 'NARU_TOO_LARGE');
      for (const number of [limit, limit + 1])
        t.ok(error.message.includes(String(number)), `the error names ${number} (${error.message})`);
      await t.rejects(near.claim(-1), 'NARU_INVALID_ARGUMENT');
      await t.rejects(near.claim(1.5), 'NARU_INVALID_ARGUMENT');
      const claim = await near.claim(limit);
      claim.data[limit - 1] = 1;
      claim.commit();
      const { data } = await near.receive({ timeoutMs: 8_000 });
      t.equal((data as Uint8Array).byteLength, limit, 'the bytes of the largest message');
      t.equal((data as Uint8Array)[limit - 1], 1, 'its last byte');
    },
  },
  {
    id: 'claim.7',
    text: 'a claim ends once: what is done with it afterwards is NARU_SETTLED, and a `using` block aborts what it did not commit',
    needs: ['claim'],
    shapes: 'once',
    async run(t) {
      const near = await t.open(BYTES);
      const claim = await near.claim(1);
      claim.commit();
      await t.rejects(() => claim.commit(), 'NARU_SETTLED');
      await t.rejects(() => claim.abort(), 'NARU_SETTLED');
      await t.rejects(() => claim.data, 'NARU_SETTLED');
      {
        using scoped = await near.claim(2);
        t.equal(scoped.data.byteLength, 2, 'the bytes of the second claim');
      }
      {
        using scoped = await near.claim(3);
        scoped.commit();
      }
      const [first, second] = await near.receiveMany(2, { timeoutMs: 8_000 });
      t.equal([first?.body.byteLength, second?.body.byteLength], [1, 3], 'the sizes of what was committed');
      await t.rejects(near.receive({ timeoutMs: 20 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'claim.8',
    text: 'close() and disconnect() end an open claim: its room comes back, nothing of it is sent, commit() is NARU_CLOSED',
    needs: ['claim'],
    covers: ['R9', 'R13'],
    async run(t) {
      const far = await t.far(BYTES);
      const near = await t.open(BYTES);
      const first = await near.claim(KIB);
      await near.disconnect('producer');
      await t.rejects(() => first.commit(), 'NARU_CLOSED');
      const second = await near.claim(KIB);
      const behind = near.send(Uint8Array.of(1));
      t.ok(!(await isSettled(behind, 5)), 'send() waits behind the open claim');
      const closing = near.close({ flushMs: 0 });
      await t.rejects(behind, 'NARU_CLOSED');
      await closing;
      await t.rejects(() => second.commit(), 'NARU_CLOSED');
      await t.rejects(() => second.data, 'NARU_CLOSED');
      second.abort();
      const next = await t.open(BYTES);
      await next.send(Uint8Array.of(2));
      t.equal(plain((await far.receive({ timeoutMs: 8_000 })).data), [2], 'the only message');
      await t.rejects(far.receive({ timeoutMs: 20 }), 'NARU_TIMEOUT');
    },
  },
];

const views: readonly Rule[] = [
  {
    id: 'views.1',
    text: 'a view has the bytes and the headers of its message and stays as it is, while others come and go, until it is settled',
    needs: ['views'],
    covers: ['R15'],
    async run(t) {
      const { near } = await consumerOf(t, 0, t.small);
      const far = await t.far(BYTES);
      const headers = t.has('headers') ? { headers: { a: 'b' } } : {};
      const { id } = await far.send(pattern(1, KIB), headers);
      const first = await near.receiveView({ timeoutMs: 8_000 });
      shows(t, first, 1);
      t.equal([first.id, first.sender, first.deliveries], [id, far.identity, 1], 'id, sender, deliveries');
      if (t.has('headers')) t.equal({ ...first.headers }, { a: 'b' }, 'the headers');
      // As many as the room allows while the first keeps its place.
      for (let n = 2; n < 22; n += 1) {
        await far.send(pattern(n, KIB));
        const view = await near.receiveView({ timeoutMs: 8_000 });
        shows(t, view, n);
        await view.ack();
        shows(t, first, 1);
      }
      await first.ack();
      t.equal(first.settled, 'ack', 'view.settled');
      for (let n = 22; n < 222; n += 1) {
        await far.send(pattern(n, KIB), { timeoutMs: 8_000 });
        const view = await near.receiveView({ timeoutMs: 8_000 });
        shows(t, view, n);
        await view.ack();
      }
    },
  },
  {
    id: 'views.2',
    text: 'a view is settled by hand: nack() and the end of a `using` block deliver it again, ack() does not; twice is NARU_SETTLED',
    needs: ['views', 'requeue'],
    covers: ['R15'],
    async run(t) {
      const { near } = await consumerOf(t, 1);
      const first = await near.receiveView({ timeoutMs: 8_000 });
      await first.nack();
      await t.rejects(first.ack(), 'NARU_SETTLED');
      {
        using second = await near.receiveView({ timeoutMs: 8_000 });
        t.equal([second.deliveries, second.redelivered], [2, true], 'the second delivery');
        shows(t, second, 1);
      }
      const third = await near.receiveView({ timeoutMs: 8_000 });
      t.equal([third.id, third.deliveries], [first.id, 3], 'the third delivery');
      shows(t, third, 1);
      await third.ack();
      await third.ack();
      await t.rejects(near.receive({ timeoutMs: 20 }), 'NARU_TIMEOUT');
      t.equal((await near.stats()).acked, 1, 'stats().acked');
    },
  },
  {
    id: 'views.3',
    text: 'views and receives take messages in one order, and views are settled in any order',
    needs: ['views'],
    covers: ['R6', 'R15'],
    async run(t) {
      const { near } = await consumerOf(t, 5);
      const one = await near.receiveView({ timeoutMs: 8_000 });
      const two = await near.receive({ timeoutMs: 8_000 });
      const three = near.tryReceiveView();
      const four = await near.receiveView({ timeoutMs: 8_000 });
      if (three === undefined) throw new Error('tryReceiveView() found nothing');
      t.equal(plain(two.data), plain(pattern(2, KIB)), 'the second message');
      await four.ack();
      for (const [index, view] of [one, three].entries()) shows(t, view, 1 + index * 2);
      await three.ack();
      shows(t, one, 1);
      await one.ack();
      t.equal(
        plain((await near.receive({ timeoutMs: 8_000 })).data),
        plain(pattern(5, KIB)),
        'the last message',
      );
      t.equal(near.tryReceiveView(), undefined, 'tryReceiveView() of an empty mailbox');
    },
  },
  {
    id: 'views.4',
    text: 'receiveView() waits for a message; a timeout or an abort ends the wait and takes nothing',
    needs: ['views'],
    covers: ['R4', 'R5', 'R15'],
    async run(t) {
      const { near } = await consumerOf(t, 0);
      const far = await t.far(BYTES);
      await t.rejects(near.receiveView({ timeoutMs: 0 }), 'NARU_TIMEOUT');
      await t.rejects(near.receiveView({ timeoutMs: 20 }), 'NARU_TIMEOUT');
      const control = new AbortController();
      const aborted = near.receiveView({ signal: control.signal }).catch((error: unknown) => error);
      const waiting = near.receiveView();
      t.ok(!(await isSettled(waiting)), 'receiveView() waits while the mailbox is empty');
      control.abort('enough');
      t.equal(await aborted, 'enough', 'what the aborted wait rejected with');
      await far.send(pattern(1, KIB));
      const view = await within(waiting, 8_000, 'the view of the message that came');
      shows(t, view, 1);
      await view.ack();
      if (!t.has('end')) return;
      const last = t.rejects(near.receiveView(), 'NARU_CLOSED');
      await far.end();
      await last;
    },
  },
  {
    id: 'views.5',
    text: 'close() and disconnect() give open views back: they are delivered again, and ack() is NARU_CLOSED',
    needs: ['views'],
    covers: ['R9', 'R15'],
    async run(t) {
      const { near } = await consumerOf(t, 2);
      const first = await near.receiveView({ timeoutMs: 8_000 });
      await near.disconnect('consumer');
      await t.rejects(first.ack(), 'NARU_CLOSED');
      const again = await near.receiveView({ timeoutMs: 8_000 });
      t.equal([again.id, again.redelivered], [first.id, true], 'the message after disconnect()');
      await near.close();
      await t.rejects(again.nack(), 'NARU_CLOSED');
      const far = await t.far(BYTES);
      const seen = await far.receiveCount(2);
      t.equal(
        seen.map(({ data, redelivered }) => [plain(data), redelivered]),
        [
          [plain(pattern(1, KIB)), true],
          [plain(pattern(2, KIB)), false],
        ],
        'the messages after close()',
      );
    },
  },
  {
    id: 'views.6',
    text: 'a message that is viewed keeps its room: a full mailbox has some again only when the view is settled',
    needs: ['views', 'claim'],
    covers: ['R3', 'R15'],
    shapes: 'once',
    async run(t) {
      const { near, sender } = await consumerOf(t, 0, t.small);
      await near.connect('consumer');
      await sender.connect('producer');
      const count = fillByClaims(t, sender);
      const held: MessageView[] = [];
      for (let n = 1; n <= count; n += 1) held.push(await near.receiveView({ timeoutMs: 8_000 }));
      const waiting = sender.claim(KIB);
      t.ok(!(await isSettled(waiting)), 'claim() waits while every message is in hand');
      for (const [index, view] of held.entries()) shows(t, view, index + 1);
      for (const view of held) await view.ack();
      (await within(waiting, 8_000, 'the claim, once the views were settled')).abort();
    },
  },
  {
    id: 'views.7',
    text: 'a topic that keeps what its consumers have not settled gives each of them its own view',
    needs: ['views', 'deliverAll'],
    covers: ['R15'],
    shapes: 'once',
    async run(t) {
      const sender = await t.open({ ...BYTES, deliver: 'all' });
      const both = [
        await t.open({ ...BYTES, role: 'consumer' }),
        await t.open({ ...BYTES, role: 'consumer' }),
      ];
      await sender.ready({ consumers: 2, timeoutMs: 8_000 });
      await sender.send(pattern(1, KIB));
      const taken = await Promise.all(both.map((consumer) => consumer.receiveView({ timeoutMs: 8_000 })));
      for (const view of taken) {
        shows(t, view, 1);
        await view.ack();
      }
    },
  },
  {
    id: 'views.8',
    text: 'receiveView() of a topic that overwrites what nobody has read is NARU_UNSUPPORTED',
    needs: ['views', 'deliverAll'],
    covers: ['R15'],
    shapes: 'once',
    async run(t) {
      if (!t.has('dropOldest') && !t.has('overwrite')) return;
      const near = await t.open({ ...BYTES, deliver: 'all', full: 'drop-oldest' });
      await near.connect('consumer');
      await near.send(pattern(1, KIB));
      await t.rejects(near.receiveView({ timeoutMs: 1_000 }), 'NARU_UNSUPPORTED');
      await t.rejects(() => near.tryReceiveView(), 'NARU_UNSUPPORTED');
      t.equal(plain((await near.receive({ timeoutMs: 8_000 })).data), plain(pattern(1, KIB)), 'the message');
    },
  },
];

export const zeroCopy: readonly Rule[] = [...claims, ...views];
