// The calls that block a thread: sendSync and receiveSync, in threads and processes that have nothing else to do.

import type { FarMailbox } from '../far-mailbox.ts';
import type { AnswerOf } from '../peers.ts';
import type { Rule } from '../rule.ts';
import { eventually, isSettled, pause, within } from '../waiting.ts';

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Time for the far side to block. */
const BLOCKED_MS = 100;
const AGAIN_MS = 1_000;

/** Signals a far side that blocks until that ends. One that comes just before it blocks waits for its event loop, as any would. */
async function interrupted(far: FarMailbox, what: string): Promise<AnswerOf<'finish'>> {
  const signal = (): boolean => process.kill(far.peer.pid, 'SIGINT');
  await pause(BLOCKED_MS);
  signal();
  const again = setInterval(signal, AGAIN_MS);
  try {
    return await within(far.finish(), 8_000, `${what} to be interrupted`);
  } finally {
    clearInterval(again);
  }
}

export const blocking: readonly Rule[] = [
  {
    id: 'blocking.1',
    text: 'receiveSync() blocks its thread until a message comes',
    needs: ['waitSync'],
    shapes: ['worker', 'child'],
    covers: ['R4'],
    async run(t) {
      const near = await t.open();
      const far = await t.far({ role: 'consumer' });
      for (const n of range(1, 3)) {
        const receiving = far.receiveSync({ timeoutMs: 10_000 });
        t.ok(!(await isSettled(receiving)), 'receiveSync() blocks while the mailbox is empty');
        await near.send(n);
        t.equal((await receiving).data, n, 'the message');
      }
    },
  },
  {
    id: 'blocking.2',
    text: 'receiveSync() with a timeout throws NARU_TIMEOUT, not before its time',
    needs: ['waitSync'],
    shapes: 'once',
    async run(t) {
      const near = await t.open({ role: 'consumer' });
      const started = performance.now();
      await t.rejects(() => near.receiveSync({ timeoutMs: 50 }), 'NARU_TIMEOUT');
      t.ok(performance.now() - started >= 49, 'the wait lasted its 50 ms');
      await t.rejects(() => near.receiveSync({ timeoutMs: 0 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'blocking.3',
    text: 'sendSync() blocks while the mailbox is full and goes on when a message is taken; the order is kept',
    needs: ['waitSync'],
    shapes: ['worker', 'child'],
    covers: ['R3'],
    async run(t) {
      const near = await t.open(t.small);
      await near.connect('consumer');
      const far = await t.far({ role: 'producer' });
      let sent = 0;
      const sending = (async () => {
        for (const n of range(1, 200)) {
          await far.sendSync(t.filler(n), { timeoutMs: 10_000 });
          sent = n;
        }
      })();
      await eventually(async () => {
        const before = sent;
        await pause(40);
        return sent === before && sent > 0;
      }, 'sendSync() was blocked by a full mailbox');
      t.ok(sent < 200, `not everything fits into a small mailbox (${sent})`);
      const got: number[] = [];
      while (got.length < 200) {
        got.push(((await near.receive({ timeoutMs: 8_000 })).data as { n: number }).n);
      }
      await within(sending, 8_000, 'sendSync()');
      t.equal(got, range(1, 200), 'the messages');
    },
  },
  {
    id: 'blocking.4',
    text: 'sendSync() with a timeout throws NARU_TIMEOUT when no room comes free, and nothing was sent',
    needs: ['waitSync'],
    shapes: 'once',
    async run(t) {
      const near = await t.open({ ...t.small, role: 'both' });
      const filled = await t.fill(near);
      await t.rejects(() => near.sendSync(t.filler(-1), { timeoutMs: 30 }), 'NARU_TIMEOUT');
      const got: number[] = [];
      while (got.length < filled) {
        got.push(((await near.receive({ timeoutMs: 8_000 })).data as { n: number }).n);
      }
      t.equal(got, range(1, filled), 'the messages');
      await t.rejects(near.receive({ timeoutMs: 20 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'blocking.5',
    text: 'a signal with a handler ends receiveSync() with NARU_INTERRUPTED; the handler runs and the mailbox works on',
    needs: ['waitSync'],
    shapes: ['child'],
    async run(t) {
      const near = await t.open();
      const far = await t.far({ role: 'consumer' });
      await far.peer.call('listen', 'SIGINT');
      await far.begin('receiveSync');
      const { error } = await interrupted(far, 'receiveSync()');
      t.equal(error, 'NARU_INTERRUPTED', 'what receiveSync() threw');
      await near.send('afterwards');
      t.equal((await far.receiveSync({ timeoutMs: 8_000 })).data, 'afterwards', 'the message');
    },
  },
  {
    id: 'blocking.6',
    text: 'the calls that block need a seat: without one they are NARU_INVALID_ARGUMENT and say how to get it',
    needs: ['waitSync'],
    shapes: 'once',
    async run(t) {
      const near = await t.open();
      for (const call of [
        () => near.receiveSync({ timeoutMs: 0 }),
        () => near.tryReceive(),
        () => near.trySend(1),
        () => near.sendSync(1, { timeoutMs: 0 }),
      ]) {
        const error = await t.rejects(call, 'NARU_INVALID_ARGUMENT');
        t.ok(error.message.includes('connect('), `the error says what to do (${error.message})`);
      }
    },
  },
  {
    id: 'blocking.7',
    text: 'a worker thread that is blocked in receiveSync() can be terminated, and the mailbox works on',
    needs: ['waitSync'],
    shapes: ['worker'],
    async run(t) {
      const near = await t.open();
      const peer = await t.anotherPeer();
      const far = await t.site().far({ role: 'consumer' }, peer);
      await far.begin('receiveSync');
      await pause(50);
      await peer.kill();
      await near.send('still here');
      const heir = await t.far();
      t.equal((await heir.receive({ timeoutMs: 8_000 })).data, 'still here', 'the message');
    },
  },
  {
    id: 'blocking.8',
    text: 'a signal with a handler ends sendSync() with NARU_INTERRUPTED; nothing was sent',
    needs: ['waitSync'],
    shapes: ['child'],
    async run(t) {
      const near = await t.open({ ...t.small, role: 'consumer' });
      const far = await t.far({ role: 'producer' });
      await far.peer.call('listen', 'SIGINT');
      await far.begin('sendSync', t.filler(1));
      const { count, error } = await interrupted(far, 'sendSync()');
      t.equal(error, 'NARU_INTERRUPTED', 'what sendSync() threw');
      t.ok(count > 0, 'a small mailbox holds at least one message');
      for (let n = 1; n <= count; n += 1) await near.receive({ timeoutMs: 8_000 });
      await t.rejects(near.receive({ timeoutMs: 30 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'blocking.9',
    text: 'calls of the same handle that wait in the event loop come before a call that blocks the thread',
    needs: ['waitSync'],
    shapes: ['worker', 'child'],
    async run(t) {
      const far = await t.far();
      const near = await t.open();
      await near.connect('consumer');
      const waiting = near.receive();
      await far.flood('far');
      const blocked = near.receiveSync({ timeoutMs: 8_000 });
      t.equal((await waiting).data, { from: 'far', n: 1 }, 'what the waiting receive got');
      t.equal(blocked.data, { from: 'far', n: 2 }, 'what receiveSync() got');
    },
  },
];
