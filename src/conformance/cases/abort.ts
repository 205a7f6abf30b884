// Aborts and timeouts: they end a wait and nothing else. No message is lost to them, none doubled, and they leave nothing.

import { getEventListeners } from 'node:events';
import type { Rule } from '../rule.ts';
import { eventually, isSettled, pause, within } from '../waiting.ts';

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

/** Timers of this process that are still running. */
function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
}

/** The most timers there are while nobody waits here: an engine's own client has one for each request that is under way. */
async function usualTimers(): Promise<number> {
  let most = 0;
  for (let looks = 0; looks < 40; looks += 1) {
    await pause(5);
    most = Math.max(most, timers());
  }
  return most;
}

export const abort: readonly Rule[] = [
  {
    id: 'abort.1',
    text: "an aborted receive rejects with the signal's reason and takes no message",
    covers: ['R5'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      const reason = { any: 'value' };
      const control = new AbortController();
      const receiving = near.receive({ signal: control.signal });
      t.ok(!(await isSettled(receiving)), 'the receive waits');
      control.abort(reason);
      t.equal(await receiving.catch((thrown: unknown) => thrown), reason, 'what it rejected with');
      await far.send('kept');
      t.equal((await near.receive({ timeoutMs: 8_000 })).data, 'kept', 'the message');
      const fired = near.receive({ signal: AbortSignal.abort(reason) });
      t.equal(await fired.catch((thrown: unknown) => thrown), reason, 'what a signal that had fired does');
    },
  },
  {
    id: 'abort.2',
    text: "an aborted send rejects with the signal's reason and sends nothing",
    covers: ['R1'],
    async run(t) {
      const near = await t.open(t.small);
      const filled = await t.fill(near);
      const reason = new Error('not any more');
      const control = new AbortController();
      const sending = near.send(t.filler(-1), { signal: control.signal });
      t.ok(!(await isSettled(sending)), 'the send waits');
      control.abort(reason);
      t.equal(await sending.catch((thrown: unknown) => thrown), reason, 'what it rejected with');
      const far = await t.far();
      const seen = await far.receiveCount(filled);
      t.equal(
        seen.map(({ data }) => (data as { n: number }).n),
        range(filled),
        'the messages',
      );
      await t.rejects(far.receive({ timeoutMs: 20 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'abort.3',
    text: 'thousands of receives aborted while messages arrive lose none and double none',
    covers: ['R4', 'R5'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      const count = t.rounds(1_000, 10_000);
      const sending = far.sendNumbered('far', count);
      const got: number[] = [];
      let aborted = 0;
      // On a busy machine few messages come while many receives are aborted.
      const latest = performance.now() + 20_000;
      while (got.length < count || aborted < count) {
        const control = new AbortController();
        const receiving = near.receive({ signal: control.signal, timeoutMs: 10_000 });
        // Sometimes before the message, sometimes in the same turn, sometimes after it.
        if (aborted % 3 === 0) control.abort('now');
        else if (aborted % 3 === 1) queueMicrotask(() => control.abort('soon'));
        else setImmediate(() => control.abort('later'));
        try {
          got.push(((await receiving).data as { n: number }).n);
        } catch (error) {
          if (typeof error !== 'string') throw error;
          aborted += 1;
        }
        if (performance.now() > latest) throw new Error(`only ${got.length} of ${count} messages arrived`);
      }
      await sending;
      t.equal(got, range(count), 'the messages');
    },
  },
  {
    id: 'abort.4',
    text: 'sends aborted while a consumer makes room arrive if and only if they came back',
    covers: ['R1', 'R3', 'R16'],
    async run(t) {
      const near = await t.open(t.small);
      const far = await t.far();
      const filled = await t.fill(near);
      await far.collect();
      const sent: number[] = range(filled);
      const count = t.rounds(300, 5_000);
      for (let n = filled + 1; n <= filled + count; n += 1) {
        const control = new AbortController();
        const sending = near.send(t.filler(n), { signal: control.signal });
        if (n % 2 === 0) setImmediate(() => control.abort('later'));
        else queueMicrotask(() => control.abort('soon'));
        await sending.then(
          () => sent.push(n),
          () => undefined,
        );
      }
      await near.send(t.filler(0));
      await eventually(
        async () => (await far.progress()).seen.some(({ data }) => (data as { n: number }).n === 0),
        'the last message arrived',
      );
      const { seen } = await far.progress();
      t.equal(
        seen.map(({ data }) => (data as { n: number }).n),
        [...sent, 0],
        'the messages',
      );
    },
  },
  {
    id: 'abort.5',
    text: 'waits that timed out or were served leave no timer, no listener and no waiting call behind',
    shapes: 'once',
    async run(t) {
      const near = await t.open();
      const { signal } = new AbortController();
      await near.connect('consumer');
      await near.send('first');
      t.equal((await near.receive({ timeoutMs: 8_000 })).data, 'first', 'the first message');
      const warnings: string[] = [];
      const hear = ({ name }: Error): number => warnings.push(name);
      process.on('warning', hear);
      t.defer(() => process.off('warning', hear));
      const before = await usualTimers();
      const waits = range(200).map(() => near.receive({ timeoutMs: 15, signal }));
      const outcomes = await within(Promise.allSettled(waits), 8_000, 'all timeouts');
      t.ok(
        outcomes.every(({ status }) => status === 'rejected'),
        'all waits timed out',
      );
      const served = range(50).map(() => near.receive({ timeoutMs: 60_000, signal }));
      for (const n of range(50)) await near.send(n, { timeoutMs: 60_000, signal });
      await within(Promise.all(served), 8_000, 'all receives to be served');
      t.equal((await near.stats()).waitingReceives, 0, 'waitingReceives');
      t.equal(getEventListeners(signal, 'abort').length, 0, 'the listeners on the signal');
      // Stress runs have timers of other cases in the same process.
      if (!t.isStress) await eventually(() => timers() <= before, `no timer is left but ${before}`);
      await near.send('whole');
      t.equal((await near.receive({ timeoutMs: 8_000 })).data, 'whole', 'the next message');
      t.ok(!warnings.includes('MaxListenersExceededWarning'), 'one signal may serve many waits');
    },
  },
  {
    id: 'abort.6',
    text: 'of receives that race with a timeout each message reaches exactly one',
    covers: ['R5'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      const count = t.rounds(200, 3_000);
      const sending = far.sendNumbered('far', count);
      const got: number[] = [];
      let misses = 0;
      while (got.length < count) {
        try {
          got.push(((await near.receive({ timeoutMs: misses % 2 })).data as { n: number }).n);
        } catch {
          misses += 1;
          if (misses > 100_000) throw new Error(`only ${got.length} of ${count} messages arrived`);
          await new Promise(setImmediate);
        }
      }
      await sending;
      t.equal(got, range(count), 'the messages');
    },
  },
  {
    id: 'abort.7',
    text: 'a receive that follows an aborted one is woken by what comes later, whenever the first gave up',
    covers: ['R4'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await far.connect('producer');
      for (const round of range(t.rounds(8, 40))) {
        const control = new AbortController();
        const first = near.receive({ signal: control.signal }).catch(() => undefined);
        for (let turn = 1; turn < round; turn += 1) await new Promise(setImmediate);
        control.abort();
        await first;
        // What it had begun is over, and nothing came of it.
        await pause(15);
        const second = near.receive({ timeoutMs: 5_000 });
        await pause(15);
        await far.send(round);
        t.equal((await second).data, round, 'the message');
      }
    },
  },
];
