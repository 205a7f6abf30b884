// When a process may end: idle handles keep none, waiting calls do, and close() lets go of everything.

import type { Rule } from '../rule.ts';
import { isSettled, within } from '../waiting.ts';

const OTHERS = ['worker', 'child'] as const;

export const exit: readonly Rule[] = [
  {
    id: 'exit.1',
    text: 'a process whose handles are closed exits by itself',
    shapes: OTHERS,
    covers: ['R9', 'R11'],
    async run(t) {
      await t.open();
      const peer = await t.anotherPeer();
      const far = await t.site().far({}, peer);
      await far.send(1);
      await far.receive({ timeoutMs: 8_000 });
      await far.close();
      await peer.leave();
      t.equal(await within(peer.exited, 5_000, 'the peer to exit'), 0, 'the exit code');
    },
  },
  {
    id: 'exit.2',
    text: 'an open handle that does nothing keeps no process alive',
    shapes: OTHERS,
    covers: ['R11'],
    async run(t) {
      await t.open();
      const peer = await t.anotherPeer();
      const far = await t.site().far({}, peer);
      await far.send(1);
      await far.connect('consumer');
      await peer.leave();
      t.equal(await within(peer.exited, 5_000, 'the peer to exit'), 0, 'the exit code');
    },
  },
  {
    id: 'exit.3',
    text: 'a receive that waits keeps its process alive until it is served',
    shapes: OTHERS,
    covers: ['R11'],
    async run(t) {
      const near = await t.open();
      const peer = await t.anotherPeer();
      const far = await t.site().far({}, peer);
      await far.begin('receive');
      await t.attached(near, { consumers: 1 });
      await peer.leave();
      t.ok(!(await isSettled(peer.exited, 400)), 'the process lives while its receive waits');
      await near.send('go');
      t.equal(await within(peer.exited, 5_000, 'the peer to exit'), 0, 'the exit code');
    },
  },
  {
    id: 'exit.4',
    text: 'a send that waits for room keeps its process alive until it is taken',
    shapes: OTHERS,
    covers: ['R11'],
    async run(t) {
      const near = await t.open(t.small);
      const peer = await t.anotherPeer();
      const far = await t.site().far({}, peer);
      const filled = await t.fill(near);
      if (t.has('multiProducer')) {
        await far.begin('send', t.filler(filled + 1));
        await isSettled(Promise.resolve());
        // On some places each producer has room of its own: then the send did not wait and the process may go.
        if ((await far.progress()).count === 0) {
          await peer.leave();
          t.ok(!(await isSettled(peer.exited, 400)), 'the process lives while its send waits');
        } else {
          await peer.leave();
        }
        for (let n = 0; n <= filled; n += 1) await near.receive({ timeoutMs: 8_000 });
        t.equal(await within(peer.exited, 5_000, 'the peer to exit'), 0, 'the exit code');
      }
    },
  },
  {
    id: 'exit.5',
    text: 'what a process sent before it ended arrives: placed messages do not go with it',
    shapes: OTHERS,
    covers: ['R1', 'R11'],
    async run(t) {
      const near = await t.open();
      const peer = await t.anotherPeer();
      const far = await t.site().far({}, peer);
      await far.sendNumbered('gone', 30);
      await peer.leave();
      await within(peer.exited, 5_000, 'the peer to exit');
      const got: number[] = [];
      while (got.length < 30) {
        got.push(((await near.receive({ timeoutMs: 8_000 })).data as { n: number }).n);
      }
      t.equal(
        got,
        Array.from({ length: 30 }, (_, i) => i + 1),
        'the messages',
      );
    },
  },
  {
    id: 'exit.6',
    text: 'a send that gave up, and one that never waited, keep no process alive',
    needs: ['multiProducer'],
    shapes: OTHERS,
    covers: ['R3', 'R11'],
    async run(t) {
      await t.open(t.small);
      const peer = await t.anotherPeer();
      const far = await t.site().far({}, peer);
      await far.fill(t.filler(1));
      await t.rejects(far.send(t.filler(2), { timeoutMs: 20 }), 'NARU_TIMEOUT');
      await t.rejects(far.send(t.filler(2), { timeoutMs: 0 }), 'NARU_TIMEOUT');
      if (t.has('trySync')) t.equal(await far.trySend(t.filler(2)), false, 'trySend() to a full mailbox');
      await peer.leave();
      t.equal(await within(peer.exited, 5_000, 'the peer to exit'), 0, 'the exit code');
    },
  },
];
