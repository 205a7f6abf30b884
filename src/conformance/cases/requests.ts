// Request and reply: many in flight, errors brought home, and nobody who waits for ever.

import type { Rule } from '../rule.ts';
import { eventually, pause, within } from '../waiting.ts';

export const requests: readonly Rule[] = [
  {
    id: 'requests.1',
    text: 'each of 100 requests in flight gets its own answer',
    needs: ['reply'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await far.serve('echo');
      const questions = Array.from({ length: t.rounds(100, 5_000) }, (_, i) => ({ question: i }));
      const answers = await Promise.all(questions.map((question) => near.request(question)));
      t.equal(
        answers.map(({ data }) => data),
        questions,
        'the answers',
      );
      t.equal((await near.stats()).pendingRequests, 0, 'stats().pendingRequests');
    },
  },
  {
    id: 'requests.2',
    text: 'both sides may ask each other over mailboxes of their own',
    needs: ['reply'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      near.serve(({ data }) => ({ answered: data }));
      t.equal((await far.request('hello')).data, { answered: 'hello' }, 'the answer');
      const back = await t.site('back').far();
      await back.serve('echo');
      const asking = await t.site('back').open();
      t.equal((await asking.request('hello back')).data, 'hello back', 'the answer of the other way');
    },
  },
  {
    id: 'requests.3',
    text: 'an error of the handler rejects the request with NARU_REMOTE and its text; the server goes on',
    needs: ['reply'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await far.serve('fail');
      for (const data of ['first', 'second']) {
        const error = await t.rejects(near.request(data), 'NARU_REMOTE');
        t.ok(error.message.includes(`cannot serve "${data}"`), `the text of the handler (${error.message})`);
      }
    },
  },
  {
    id: 'requests.4',
    text: 'a request without an answer rejects with NARU_TIMEOUT in its time; a late answer harms nobody',
    needs: ['reply'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await far.serve('silent');
      await t.rejects(near.request('anybody?', { timeoutMs: 60 }), 'NARU_TIMEOUT');
      t.equal((await near.stats()).pendingRequests, 0, 'stats().pendingRequests');
    },
  },
  {
    id: 'requests.5',
    text: "an aborted request rejects with the signal's reason",
    needs: ['reply'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await far.serve('silent');
      const reason = new Error('not needed any more');
      const control = new AbortController();
      const asking = near.request('anybody?', { signal: control.signal });
      setTimeout(() => control.abort(reason), 20);
      const error = await asking.catch((thrown: unknown) => thrown);
      t.equal(error, reason, 'what it rejected with');
    },
  },
  {
    id: 'requests.6',
    text: 'reply() to a message that is no request is NARU_INVALID_ARGUMENT',
    needs: ['reply'],
    shapes: 'once',
    async run(t) {
      const near = await t.open();
      await near.send('statement');
      const message = await near.receive({ timeoutMs: 8_000 });
      await t.rejects(message.reply('answer'), 'NARU_INVALID_ARGUMENT');
    },
  },
  {
    id: 'requests.7',
    text: 'close() rejects the requests that wait with NARU_CLOSED',
    needs: ['reply'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await far.serve('silent');
      const asking = t.rejects(near.request('anybody?'), 'NARU_CLOSED');
      await eventually(async () => (await near.stats()).pendingRequests === 1, 'the request is on its way');
      await within(near.close({ flushMs: 50 }), 8_000, 'close()');
      await asking;
    },
  },
  {
    id: 'requests.8',
    text: 'a requester that was killed does not keep the server from answering others',
    needs: ['reply', 'multiProducer'],
    shapes: ['worker', 'child'],
    async run(t) {
      const near = await t.open();
      const arrived: unknown[] = [];
      let release = (): void => undefined;
      const gate = new Promise<void>((resolve) => {
        release = resolve;
      });
      near.serve(
        async ({ data }) => {
          arrived.push(data);
          if (data === 'from the dead') await gate;
          return data;
        },
        { concurrency: 4 },
      );
      const doomed = await t.anotherPeer();
      const asking = await t.site().far({}, doomed);
      const lost = asking.request('from the dead').catch(() => undefined);
      await eventually(() => arrived.length === 1, 'the request arrived');
      await doomed.kill();
      await lost;
      release();
      const far = await t.far();
      t.equal((await far.request('alive', { timeoutMs: 8_000 })).data, 'alive', 'the answer to another');
    },
  },
  {
    id: 'requests.9',
    text: 'a request carries its headers to the handler, and its answer comes with the correlation id',
    needs: ['reply', 'headers'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      near.serve(({ headers }) => headers);
      const answer = await far.request('headers?', { headers: { tenant: 'blue' } });
      t.equal(answer.data, { tenant: 'blue' }, 'what the handler saw');
      t.ok(typeof answer.correlationId === 'string', 'the answer has a correlation id');
    },
  },
  {
    id: 'requests.10',
    text: 'server and requester that sleep are woken, neither looks now and then: 20 requests, with pauses, take less than 3 s',
    needs: ['reply'],
    covers: ['R3', 'R4'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      await far.serve('echo');
      await near.request(0);
      const started = performance.now();
      for (let n = 1; n <= 20; n += 1) {
        await pause(5);
        t.equal((await near.request(n)).data, n, 'the answer');
      }
      const took = performance.now() - started;
      t.ok(took < 3_000, `20 requests took ${took.toFixed(0)} ms`);
    },
  },
];
