// The life of mailboxes and handles: create, attach, connect, close, unlink; addresses and relations.

import { inspect } from 'node:util';
import { MessageChannel } from 'node:worker_threads';
import type { Rule } from '../rule.ts';
import { eventually, isSettled, within } from '../waiting.ts';

export const lifecycle: readonly Rule[] = [
  {
    id: 'life.1',
    text: 'the first to open a mailbox creates it; who opens its address attaches to the same mailbox',
    async run(t) {
      const near = await t.open();
      t.equal(near.created, true, 'created of the first handle');
      const far = await t.far();
      t.equal(far.created, false, 'created of the second handle');
      await near.send('to the same');
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'to the same', 'the message');
      await far.send('and back');
      await far.close();
      t.equal((await near.receive({ timeoutMs: 8_000 })).data, 'and back', 'the message');
    },
  },
  {
    id: 'life.2',
    text: 'an address given by one peer can be opened by another',
    async run(t) {
      const first = await t.far();
      const second = await t.site().far({}, await t.anotherPeer());
      await first.send(1);
      t.equal((await second.receive({ timeoutMs: 8_000 })).data, 1, 'the message');
    },
  },
  {
    id: 'life.3',
    text: 'create "new" on an existing mailbox is NARU_EXISTS and leaves it alone',
    async run(t) {
      const near = await t.open();
      await near.send('safe');
      await t.rejects(t.far({ create: 'new' }), 'NARU_EXISTS');
      const far = await t.far();
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'safe', 'the message');
    },
  },
  {
    id: 'life.4',
    text: 'an explicit option that differs from what exists is NARU_EXISTS; what is not stated is adopted',
    async run(t) {
      await t.open({ capacityBytes: 2 * 1024 * 1024 });
      const error = await t.rejects(t.far({ capacityBytes: 4 * 1024 * 1024 }), 'NARU_EXISTS');
      t.ok(/4194304|4 MiB/.test(error.message), `the error names what was asked for (${error.message})`);
      await t.far({ capacityBytes: 2 * 1024 * 1024 });
      await t.far();
    },
  },
  {
    id: 'life.5',
    text: 'close() is idempotent and tells the same result each time; the handle refuses everything afterwards',
    covers: ['R9'],
    shapes: 'once',
    async run(t) {
      const near = await t.open();
      await near.send(1);
      const first = await near.close({ flushMs: 50 });
      t.equal(await near.close(), first, 'the result of the second close()');
      await t.rejects(near.send(2), 'NARU_CLOSED');
      await t.rejects(near.receive(), 'NARU_CLOSED');
      await t.rejects(near.sendMany([1]), 'NARU_CLOSED');
      await t.rejects(near.receiveMany(1), 'NARU_CLOSED');
      await t.rejects(() => near.messages(), 'NARU_CLOSED');
      await t.rejects(() => near.ready({ consumers: 1 }), 'NARU_CLOSED');
      await t.rejects(near.connect('producer'), 'NARU_CLOSED');
      await near[Symbol.asyncDispose]();
    },
  },
  {
    id: 'life.6',
    text: 'close() wakes every waiting receive of its handle with NARU_CLOSED',
    covers: ['R9'],
    shapes: 'once',
    async run(t) {
      const near = await t.open();
      await near.connect('consumer');
      const waits = [near.receive(), near.receive({ timeoutMs: 60_000 }), near.receiveMany(5)];
      const refused = waits.map((wait) => t.rejects(wait, 'NARU_CLOSED'));
      t.ok(!(await isSettled(Promise.race(waits))), 'the receives wait');
      await within(near.close(), 5_000, 'close()');
      await Promise.all(refused);
    },
  },
  {
    id: 'life.7',
    text: 'close() gives waiting sends flushMs, then rejects them with NARU_CLOSED and counts them as undelivered',
    covers: ['R9'],
    async run(t) {
      const near = await t.open(t.small);
      const filled = await t.fill(near);
      const waits = [near.send(t.filler(-1)), near.send(t.filler(-2))];
      const refused = waits.map((wait) => t.rejects(wait, 'NARU_CLOSED'));
      const { undelivered } = await within(near.close({ flushMs: 20 }), 8_000, 'close()');
      await Promise.all(refused);
      t.ok(undelivered >= 2, `the two waiting sends are counted (undelivered is ${undelivered})`);
      t.ok(undelivered <= filled + 2, 'nothing is counted twice');
    },
  },
  {
    id: 'life.8',
    text: 'close() lets waiting sends go on while there is time, and then nothing is undelivered',
    covers: ['R9'],
    async run(t) {
      const keeper = await t.open(t.small);
      const near = await t.open();
      const filled = await t.fill(near);
      const waits = [near.send(t.filler(filled + 1)), near.send(t.filler(filled + 2))];
      const closing = near.close({ flushMs: 8_000 });
      const far = await t.far();
      const seen = await far.receiveCount(filled + 2);
      t.equal(seen.length, filled + 2, 'the messages');
      await within(Promise.all(waits), 8_000, 'the waiting sends');
      t.equal((await within(closing, 8_000, 'close()')).undelivered, 0, 'undelivered');
      await keeper.close();
    },
  },
  {
    id: 'life.9',
    text: 'unlink() destroys the mailbox for everybody: waiting and later calls of others reject with NARU_CLOSED',
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await far.connect('consumer');
      await far.begin('receive');
      await near.unlink();
      const { error } = await within(far.finish(), 8_000, 'the waiting receive of the other');
      t.equal(error, 'NARU_CLOSED', 'what the waiting receive rejected with');
      await t.rejects(far.send(1, { timeoutMs: 2_000 }), 'NARU_CLOSED');
      await t.rejects(near.send(1), 'NARU_CLOSED');
    },
  },
  {
    id: 'life.10',
    text: 'after unlink() the same URL is a new, empty mailbox',
    async run(t) {
      const near = await t.open();
      await near.send('old');
      await near.unlink();
      t.site().forget();
      const again = await t.far();
      t.equal(again.created, true, 'created');
      await t.rejects(again.receive({ timeoutMs: 30 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'life.11',
    text: 'a handle cannot be cloned to another thread: it says to send the address instead',
    shapes: 'once',
    async run(t) {
      const near = await t.open();
      const { port1, port2 } = new MessageChannel();
      try {
        for (const clone of [
          () => structuredClone(near),
          () => port1.postMessage(near),
          () => port1.postMessage({ inside: [near] }),
        ]) {
          const error = await t.rejects(clone, 'NARU_INVALID_ARGUMENT');
          t.ok(error.message.includes('address'), `the error says what to do (${error.message})`);
        }
      } finally {
        port1.close();
        port2.close();
      }
      t.ok(inspect(near).includes('Mailbox('), 'a handle can still be shown');
      t.ok(JSON.stringify(near).includes(near.identity), 'a handle still has a JSON form');
    },
  },
  {
    id: 'life.12',
    text: 'relation 1:1 refuses a second producer and a second consumer with NARU_LIMIT, and frees the seat on leaving',
    covers: ['R12'],
    async run(t) {
      const near = await t.open({ relation: '1:1', role: 'producer' });
      const far = await t.far();
      await t.rejects(far.connect('producer'), 'NARU_LIMIT');
      await t.rejects(far.send(1), 'NARU_LIMIT');
      await far.connect('consumer');
      const third = await t.open();
      await t.rejects(third.connect('consumer'), 'NARU_LIMIT');
      await near.send('held');
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'held', 'the message');
      await near.disconnect('producer');
      await eventually(
        () =>
          far.send('taken over').then(
            () => true,
            () => false,
          ),
        'the seat came free',
      );
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'taken over', 'the message');
    },
  },
  {
    id: 'life.13',
    text: 'relation N:1 takes many producers and one consumer; relation 1:N the other way round',
    needs: ['multiProducer', 'multiConsumer'],
    covers: ['R12'],
    async run(t) {
      const many = t.site('many');
      const one = await many.open({ relation: 'N:1' });
      const other = await many.far();
      await one.connect('producer');
      await other.connect('producer');
      await other.connect('consumer');
      await t.rejects(one.connect('consumer'), 'NARU_LIMIT');
      const few = t.site('few');
      const first = await few.open({ relation: '1:N' });
      const second = await few.far();
      await first.connect('consumer');
      await second.connect('consumer');
      await second.connect('producer');
      await t.rejects(first.connect('producer'), 'NARU_LIMIT');
    },
  },
  {
    id: 'life.14',
    text: 'a seat can be left and taken again on a live handle',
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      for (let round = 1; round <= 3; round += 1) {
        await near.connect('producer');
        await far.connect('consumer');
        await near.send(round);
        t.equal((await far.receive({ timeoutMs: 8_000 })).data, round, 'the message');
        await near.disconnect('producer');
        await far.disconnect('consumer');
        await near.disconnect('producer');
      }
      await near.send('at first use');
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'at first use', 'the message');
    },
  },
  {
    id: 'life.15',
    text: 'a waiting call rejects with NARU_CLOSED when its seat is given back',
    shapes: 'once',
    async run(t) {
      const near = await t.open();
      const refused = t.rejects(near.receive(), 'NARU_CLOSED');
      await near.connect('consumer');
      await near.disconnect('consumer');
      await refused;
    },
  },
  {
    id: 'life.16',
    text: 'opening a URL with an unknown parameter or a wrong value is NARU_INVALID_ARGUMENT',
    shapes: 'once',
    async run(t) {
      const { url } = t.site();
      const join = url.includes('?') ? '&' : '?';
      for (const query of ['colour=blue', 'role=emperor', 'maxWaiting=-1', 'flushMs=soon', 'codec=xml']) {
        await t.rejects(t.openUrl(`${url}${join}${query}`), 'NARU_INVALID_ARGUMENT');
      }
      await t.rejects(t.openUrl(url, { needs: ['magic' as never] }), 'NARU_INVALID_ARGUMENT');
      await t.rejects(t.openUrl(url, { role: 'emperor' as never }), 'NARU_INVALID_ARGUMENT');
    },
  },
  {
    id: 'life.18',
    text: 'a place writes nothing to standard output and standard error (in every case, this one included)',
    covers: ['R10'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await far.send(1);
      await near.receive({ timeoutMs: 8_000 });
      await near.unlink();
      await t.rejects(far.send(1, { timeoutMs: 2_000 }), 'NARU_CLOSED');
      t.equal(far.peer.output, '', 'the output of the peer');
    },
  },
  {
    id: 'life.17',
    text: "an aborted open() rejects with the signal's reason and leaves nothing",
    shapes: 'once',
    async run(t) {
      const reason = new Error('changed my mind');
      const { url } = t.site();
      const early = await t
        .openUrl(url, { signal: AbortSignal.abort(reason) })
        .catch((error: unknown) => error);
      t.equal(early, reason, 'what open() rejected with');
      const near = await t.open();
      t.equal(near.created, true, 'created of the handle opened afterwards');
    },
  },
];
