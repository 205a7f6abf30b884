// A peer is killed: SIGKILL for a process, terminate() for a thread. The others go on; nothing that was placed is lost.

import { isNaruError } from '../../errors/index.ts';
import type { Rule } from '../rule.ts';
import { eventually, isSettled, within } from '../waiting.ts';

const numberOf = (message: { readonly data: unknown }): number => (message.data as { n: number }).n;
const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);

const OTHERS = ['worker', 'child'] as const;

export const death: readonly Rule[] = [
  {
    id: 'death.1',
    text: 'what a killed consumer had not settled is delivered again, marked as redelivered, and once its death is seen before younger messages',
    needs: ['ack'],
    shapes: OTHERS,
    covers: ['R3', 'R6'],
    async run(t) {
      const near = await t.open();
      for (const n of range(1, 4)) await near.send({ n });
      const doomed = await t.anotherPeer();
      const holding = await t.site().far({ settle: 'manual' }, doomed);
      const [first] = await holding.receiveCount(2);
      if (first === undefined) throw new Error('two messages');
      await holding.settle(first, 'ack');
      await doomed.kill();
      await eventually(() => near.peers.consumers === 0, 'its death was seen');
      const got: [number, boolean][] = [];
      while (got.length < 3) {
        const message = await near.receive({ timeoutMs: 8_000 });
        got.push([numberOf(message), message.redelivered]);
      }
      t.equal(
        got,
        [
          [2, true],
          [3, false],
          [4, false],
        ],
        'messages and marks',
      );
    },
  },
  {
    id: 'death.2',
    text: 'a receive that waits when its producer is killed keeps its timeout, and is served by the next producer',
    shapes: OTHERS,
    covers: ['R4'],
    async run(t) {
      const near = await t.open();
      const doomed = await t.anotherPeer();
      const producer = await t.site().far({}, doomed);
      await producer.send({ n: 1 });
      t.equal(numberOf(await near.receive({ timeoutMs: 8_000 })), 1, 'the message of the first producer');
      const limited = t.rejects(near.receive({ timeoutMs: 300 }), 'NARU_TIMEOUT');
      await doomed.kill();
      await limited;
      const receiving = near.receive({ timeoutMs: 8_000 });
      const far = await t.far();
      await far.send({ n: 2 });
      t.equal(numberOf(await receiving), 2, 'the message of the next producer');
    },
  },
  {
    id: 'death.3',
    text: 'a send that waits when the consumer is killed goes on with the next consumer; nothing is lost',
    needs: ['ack'],
    shapes: OTHERS,
    covers: ['R3'],
    async run(t) {
      const near = await t.open(t.small);
      const filled = await t.fill(near);
      const doomed = await t.anotherPeer();
      const holding = await t.site().far({ settle: 'manual' }, doomed);
      await holding.receive({ timeoutMs: 8_000 });
      const sending = near.send(t.filler(filled + 1));
      await isSettled(sending);
      await doomed.kill();
      await eventually(() => near.peers.consumers === 0, 'its death was seen');
      const far = await t.far();
      const seen = await far.receiveCount(filled + 1);
      await within(sending, 8_000, 'the send');
      t.equal(seen.map(numberOf), range(1, filled + 1), 'the messages');
      t.equal([seen[0]?.redelivered, seen[1]?.redelivered], [true, false], 'the marks of the first two');
    },
  },
  {
    id: 'death.4',
    text: 'of a producer killed in the midst of sending a whole beginning arrives: no gap, no double, nothing torn',
    shapes: OTHERS,
    covers: ['R6', 'R7'],
    async run(t) {
      const near = await t.open();
      const rounds = t.rounds(2, 20);
      for (let round = 1; round <= rounds; round += 1) {
        const doomed = await t.anotherPeer();
        const producer = await t.site().far({}, doomed);
        await producer.flood(`p${round}`);
        const got: number[] = [];
        while (got.length < 50) got.push(numberOf(await near.receive({ timeoutMs: 8_000 })));
        await doomed.kill();
        for (;;) {
          const more = await near.receive({ timeoutMs: 300 }).catch(() => undefined);
          if (more === undefined) break;
          got.push(numberOf(more));
        }
        t.equal(got, range(1, got.length), 'what arrived');
      }
    },
  },
  {
    id: 'death.5',
    text: 'what a killed producer was told is placed arrives after its death',
    shapes: OTHERS,
    covers: ['R1'],
    async run(t) {
      if (t.capabilities.confirm === 'accepted') return;
      const near = await t.open();
      const doomed = await t.anotherPeer();
      const producer = await t.site().far({}, doomed);
      await producer.sendNumbered('doomed', 20);
      await doomed.kill();
      const got: number[] = [];
      while (got.length < 20) got.push(numberOf(await near.receive({ timeoutMs: 8_000 })));
      t.equal(got, range(1, 20), 'the messages');
    },
  },
  {
    id: 'death.6',
    text: 'the death of a producer and of a consumer is seen within a second or two, and their seats come free',
    shapes: OTHERS,
    covers: ['R3', 'R12'],
    async run(t) {
      const near = await t.open({ relation: '1:1' });
      const doomed = await t.anotherPeer();
      const dying = await t.site().far({}, doomed);
      await dying.connect('producer');
      await dying.connect('consumer');
      await near.ready({ producers: 1, consumers: 1, timeoutMs: 8_000 });
      await doomed.kill();
      await eventually(
        () => near.peers.producers === 0 && near.peers.consumers === 0,
        'both were seen to be gone',
        2_500,
      );
      const far = await t.far();
      await far.send('from the heir', { timeoutMs: 8_000 });
      t.equal((await near.receive({ timeoutMs: 8_000 })).data, 'from the heir', 'the message');
    },
  },
  {
    id: 'death.7',
    text: 'a killed consumer of a topic holds up nobody',
    needs: ['deliverAll', 'multiConsumer'],
    shapes: OTHERS,
    covers: ['R3'],
    async run(t) {
      const near = await t.open({ ...t.small, deliver: 'all' });
      const doomed = await t.anotherPeer();
      const dying = await t.site().far({}, doomed);
      await dying.connect('consumer');
      const far = await t.far();
      await far.connect('consumer');
      await near.ready({ consumers: 2, timeoutMs: 8_000 });
      const filled = await t.fill(near);
      await doomed.kill();
      const seen = await far.receiveCount(filled);
      t.equal(seen.map(numberOf), range(1, filled), 'what the living consumer got');
      await near.send(t.filler(filled + 1), { timeoutMs: 8_000 });
      t.equal(numberOf(await far.receive({ timeoutMs: 8_000 })), filled + 1, 'the next message');
    },
  },
  {
    id: 'death.8',
    text: 'a request whose server is killed is served by the next one, or rejects in its time',
    needs: ['reply', 'requeue', 'multiConsumer'],
    shapes: OTHERS,
    async run(t) {
      const near = await t.open();
      const doomed = await t.anotherPeer();
      const dying = await t.site().far({}, doomed);
      await dying.serve('silent');
      const asking = near.request('anybody?', { timeoutMs: 8_000 });
      await eventually(
        async () => (await near.stats()).place.unsettled !== 0,
        'the request was in the hands of the first server',
      );
      await doomed.kill();
      const far = await t.far();
      await far.serve('echo');
      t.equal((await asking).data, 'anybody?', 'the answer of the second server');
    },
  },
  {
    id: 'death.9',
    text: 'a mailbox owned by its creator goes with it: calls of others that wait reject with NARU_PEER_GONE or NARU_CLOSED',
    shapes: OTHERS,
    covers: ['R3', 'R4'],
    async run(t) {
      const doomed = await t.anotherPeer();
      await t.site('empty').far({ owner: 'process' }, doomed);
      await t.site('full').far({ ...t.small, owner: 'process' }, doomed);
      const receiving = t
        .site('empty')
        .open()
        .then((near) => near.receive());
      const near = await t.site('full').open();
      await t.fill(near);
      const sending = near.send(t.filler(-1));
      const ends = [receiving, sending].map((call) => call.catch((error: unknown) => error));
      t.ok(!(await isSettled(Promise.race(ends))), 'both wait while the owner lives');
      await doomed.kill();
      for (const error of await within(Promise.all(ends), 5_000, 'both calls to reject')) {
        const fits = isNaruError(error, 'NARU_PEER_GONE') || isNaruError(error, 'NARU_CLOSED');
        t.ok(fits, `the code is NARU_PEER_GONE or NARU_CLOSED (${String(error)})`);
      }
    },
  },
];
