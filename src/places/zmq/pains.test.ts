// The pains of ZeroMQ, row by row as in the reference on messaging APIs (§7): each is either impossible here, or an error.

import { readdirSync, readlinkSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FaultProxy } from '../../link/fault-proxy.fixture.ts';
import { zmqError } from './errors.ts';
import { codeOf, errorOf, eventually, numbers, texts, ZmqStage } from './peers.fixture.ts';

const ANY = 'zmq://127.0.0.1:0';

describe('pains of ZeroMQ:', () => {
  let stage: ZmqStage;
  beforeEach(() => {
    stage = new ZmqStage();
  });
  afterEach(() => stage.end());

  describe('slow joiner, first messages lost:', () => {
    test('a subscriber is open when it is subscribed: what is published at once arrives whole, ten times', async () => {
      for (let round = 0; round < 10; round += 1) {
        const pub = await stage.open(`${ANY}?pattern=pub&bind&format=envelope`);
        const sub = await stage.open(pub.address);
        const sent = pub.sendMany(numbers(1, 500));
        expect(await texts(sub, 500)).toEqual(numbers(1, 500));
        await sent;
        await Promise.all([pub.close(), sub.close()]);
      }
    });

    test('ready() of a publisher waits for subscribers that know nothing of Naru, and those that subscribe late', async () => {
      const pub = await stage.open(`${ANY}?pattern=pub&bind`);
      expect(await codeOf(() => pub.ready({ consumers: 1, timeoutMs: 50 }))).toBe('NARU_TIMEOUT');
      const sub = await stage.open(pub.address);
      await pub.ready({ consumers: 1, timeoutMs: 8_000 });
      await pub.sendMany(numbers(1, 500));
      expect(await texts(sub, 500)).toEqual(numbers(1, 500));
    });

    test('a publisher that connects is open when somebody has subscribed', async () => {
      const sub = await stage.open(`${ANY}?pattern=sub&bind`);
      const pub = await stage.open(sub.address);
      await pub.send('the first');
      expect(await texts(sub, 1)).toEqual(['the first']);
    });
  });

  describe('dropped without a word where nobody is:', () => {
    test('a publisher without subscribers counts and tells each message; nobody "fail" is NARU_NO_CONSUMER', async () => {
      const pub = await stage.open(`${ANY}?pattern=pub&bind`);
      let dropped = 0;
      pub.on('drop', ({ count }) => {
        dropped += count;
      });
      await pub.sendMany(['a', 'b', 'c']);
      expect(dropped).toBe(3);
      expect((await pub.stats()).place.dropped['nobody']).toBe(3);
      const strict = await stage.open(`${ANY}?pattern=pub&bind`, { nobody: 'fail' });
      expect(await codeOf(() => strict.send('x'))).toBe('NARU_NO_CONSUMER');
    });

    test('an answer to a requester that is gone is NARU_PEER_GONE', async () => {
      const rep = await stage.open(`${ANY}?pattern=rep&bind`);
      const req = await stage.open(rep.address);
      const asking = req.request('?').catch(() => undefined);
      const message = await rep.receive({ timeoutMs: 8_000 });
      await req.close({ flushMs: 0 });
      await asking;
      await eventually('the requester has gone', () => rep.peers.producers === 0);
      expect(await codeOf(() => message.reply('!'))).toBe('NARU_PEER_GONE');
    });
  });

  describe('what the high-water mark drops:', () => {
    test('a slow subscriber holds the publisher, and misses nothing', async () => {
      const pub = await stage.open(`${ANY}?pattern=pub&bind&format=envelope&depth=100`);
      const sub = await stage.open(`${pub.address}&depth=100`);
      const body = 'x'.repeat(4_000);
      const sending = pub.sendMany(numbers(1, 20_000).map((n) => `${n} ${body}`));
      await eventually('the publisher waits', async () => (await pub.stats()).waitingSends > 0);
      for (let n = 1; n <= 20_000; n += 1) {
        const [text] = await texts(sub, 1);
        expect(String(text).split(' ')[0]).toBe(String(n));
      }
      await sending;
      expect((await sub.stats()).place.extra['missed']).toBe(0);
    });

    test('full "fail" is NARU_FULL, full "drop-newest" counts', async () => {
      for (const full of ['fail', 'drop-newest'] as const) {
        const push = await stage.open(`${ANY}?pattern=push&bind&depth=10`, { full });
        await stage.open(`${push.address}&depth=10`);
        await push.ready({ consumers: 1, timeoutMs: 8_000 });
        const body = 'x'.repeat(100_000);
        const fill = async (): Promise<void> => {
          for (let n = 0; n < 1_000; n += 1) await push.send(body);
        };
        if (full === 'fail') expect(await codeOf(fill)).toBe('NARU_FULL');
        else {
          await fill();
          expect((await push.stats()).dropped['full']).toBeGreaterThan(0);
        }
      }
    });

    test('what is lost on the way is a gap, counted exactly', async () => {
      const pub = await stage.open(`${ANY}?pattern=pub&bind&format=envelope`);
      const proxy = await FaultProxy.to(Number(/:(\d+)\?/.exec(pub.address)?.[1]));
      const sub = await stage.open(pub.address.replace(/:\d+\?/, `:${proxy.port}?`));
      let missed = 0;
      sub.on('gap', ({ count }) => {
        missed += count;
      });
      await pub.send('1');
      expect(await texts(sub, 1)).toEqual(['1']);
      proxy.isDown = true;
      proxy.reset();
      await eventually('the subscriber has gone', () => pub.peers.consumers === 0);
      // A topic without anybody drops; another subscriber makes it publish.
      await stage.open(pub.address);
      await pub.sendMany(['2', '3', '4']);
      proxy.isDown = false;
      await pub.ready({ consumers: 2, timeoutMs: 8_000 });
      await pub.send('5');
      expect(await texts(sub, 1)).toEqual(['5']);
      expect(missed).toBe(3);
      expect((await sub.stats()).place.extra['missed']).toBe(3);
      await proxy.close();
    });
  });

  describe('queued to a dead peer:', () => {
    test('opening what nobody has bound is NARU_TIMEOUT, and says that nobody listens', async () => {
      const push = await stage.open(`${ANY}?pattern=push&bind`);
      const url = push.address.replace('pattern=pull', 'pattern=push');
      await push.close();
      const error = await errorOf(() => stage.open(url, { timeoutMs: 200 }));
      expect(error).toMatchObject({ code: 'NARU_TIMEOUT' });
      expect(error.message).toContain('nobody listens there');
    });

    test('a send waits for somebody, and gives up in its time', async () => {
      const push = await stage.open(`${ANY}?pattern=push&bind`);
      expect(await codeOf(() => push.send('x', { timeoutMs: 50 }))).toBe('NARU_TIMEOUT');
      const sending = push.send('y');
      const pull = await stage.open(push.address);
      await sending;
      expect(await texts(pull, 1)).toEqual(['y']);
    });

    test('another pattern at the other end is told as such', async () => {
      const pull = await stage.open(`${ANY}?pattern=pull&bind`);
      const wrong = pull.address.replace('pattern=push', 'pattern=sub');
      const error = await errorOf(() => stage.open(wrong, { timeoutMs: 500 }));
      expect(error.message).toContain('no ZeroMQ socket of pattern pub');
    });
  });

  describe('sockets that are not closed hang the process:', () => {
    test('close() is bounded, and tells what did not go out', async () => {
      const push = await stage.open(`${ANY}?pattern=push&bind&depth=10`);
      await stage.open(`${push.address}&depth=10`);
      await push.ready({ consumers: 1, timeoutMs: 8_000 });
      const body = 'x'.repeat(100_000);
      const sending = push.sendMany(Array.from({ length: 2_000 }, () => body)).catch(() => undefined);
      await eventually('the send waits', async () => (await push.stats()).waitingSends > 0);
      const started = performance.now();
      const { undelivered } = await push.close({ flushMs: 100 });
      expect(performance.now() - started).toBeLessThan(1_500);
      expect(undelivered).toBeGreaterThan(0);
      await sending;
    });

    test('a program ends though its handles are open, with messages that nobody takes', async () => {
      const body = `
        const push = await open('${ANY}?pattern=push&bind&flushMs=200');
        const pull = await open(push.address);
        await push.sendMany(Array.from({ length: 100 }, () => 'x'));
        console.log('sent');`;
      const child = stage.naru('', body);
      expect(await child.line()).toBe('sent');
      expect(await child.end()).toMatchObject({ code: 0, errors: '' });
    });
  });

  describe('one context, and the order of bind and connect:', () => {
    test('whoever connects first waits for the one that binds; threads of one process meet', async () => {
      const first = await stage.open(`${ANY}?pattern=pull&bind`);
      const url = first.address;
      await first.close();
      const opening = stage.open(url);
      const program = `
        import { open } from '${new URL('../../index.js', import.meta.url).href}';
        import { parentPort, workerData } from 'node:worker_threads';
        const pull = await open(workerData, { codec: 'text' });
        parentPort.postMessage((await pull.receive()).data);
        pull.receive();
        setImmediate(() => process.exit(0));`;
      const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`), {
        workerData: `${url.replace('pattern=push', 'pattern=pull')}&bind`,
      });
      const answer = new Promise((resolve, reject) => {
        worker.once('message', resolve).once('error', reject);
      });
      await (await opening).send('across threads');
      expect(await answer).toBe('across threads');
      // It ends in the midst of a receive, without closing anything.
      expect(await new Promise((resolve) => worker.once('exit', resolve))).toBe(0);
    });
  });

  describe('sockets belong to one thread:', () => {
    test('a handle cannot be sent to another thread; its address opens one there', async () => {
      const pull = await stage.open(`${ANY}?pattern=pull&bind`);
      const { port1 } = new MessageChannel();
      expect(() => port1.postMessage({ pull })).toThrow();
      port1.close();
      expect(pull.address).toMatch(/^zmq:\/\/127\.0\.0\.1:\d+\?pattern=push$/);
    });
  });

  describe('children inherit the context:', () => {
    test('a child process has none of our descriptors', async () => {
      const pull = await stage.open(`${ANY}?pattern=pull&bind`);
      const push = await stage.open(pull.address);
      await push.send('x');
      const own = readdirSync('/proc/self/fd').filter((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`).includes('socket:');
        } catch {
          return false;
        }
      });
      expect(own.length).toBeGreaterThan(1);
      const child = stage.shell('ls -l /proc/self/fd 2>/dev/null | grep -c -e socket: -e eventfd || true');
      expect(await child.line()).toBe('0');
    });
  });

  describe('REQ and REP in lockstep:', () => {
    test('a hundred requests are in flight at once, answered in another order', async () => {
      const rep = await stage.open(`${ANY}?pattern=rep&bind`);
      const waiting: (() => void)[] = [];
      rep.serve(
        async ({ data }) => {
          await new Promise<void>((resolve) => {
            waiting.push(resolve);
            if (waiting.length === 100) for (const go of waiting.toReversed()) go();
          });
          return `re: ${String(data)}`;
        },
        { concurrency: 100 },
      );
      const req = await stage.open(rep.address);
      const answers = await Promise.all(numbers(1, 100).map((n) => req.request(n, { timeoutMs: 8_000 })));
      expect(answers.map(({ data }) => data)).toEqual(numbers(1, 100).map((n) => `re: ${n}`));
    });
  });

  describe('SUB without subscribe, and prefixes that match too much:', () => {
    test('a consumer gets everything unless it says otherwise', async () => {
      const pub = await stage.open(`${ANY}?pattern=pub&bind`);
      const sub = await stage.open(pub.address);
      await pub.ready({ consumers: 1, timeoutMs: 8_000 });
      await pub.sendMany(['', 'a', 'b']);
      expect(await texts(sub, 3)).toEqual(['', 'a', 'b']);
    });

    test('topics are words: prices.* is neither pricesx nor prices.seoul.gold', async () => {
      const sub = await stage.open(`${ANY}?pattern=sub&bind&topic=prices.*`);
      for (const topic of ['pricesx', 'prices.seoul.gold', 'prices.seoul']) {
        const url = sub.address.replace(/topic=.*/, `topic=${topic}`);
        const pub = await stage.open(url);
        await pub.send(topic);
      }
      expect(await texts(sub, 1)).toEqual(['prices.seoul']);
      expect(await codeOf(() => sub.receive({ timeoutMs: 50 }))).toBe('NARU_TIMEOUT');
    });
  });

  describe('EAGAIN for everything:', () => {
    test('each way to fail has a code of its own', async () => {
      const pull = await stage.open(`${ANY}?pattern=pull&bind`);
      const taken = `${pull.address.replace('pattern=push', 'pattern=pull')}&bind`;
      expect(await codeOf(() => stage.open(taken))).toBe('NARU_EXISTS');
      expect(await codeOf(() => stage.open('zmq://192.0.2.1:5555?pattern=pull&bind'))).toBe(
        'NARU_INVALID_ARGUMENT',
      );
      expect(await codeOf(() => pull.receive({ timeoutMs: 10 }))).toBe('NARU_TIMEOUT');
      expect(await codeOf(() => pull.send('x'))).toBe('NARU_UNSUPPORTED');
      await pull.close();
      expect(await codeOf(() => pull.receive())).toBe('NARU_CLOSED');
      const table = {
        EAGAIN: 'NARU_FULL',
        EFSM: 'NARU_INVALID_ARGUMENT',
        ETERM: 'NARU_CLOSED',
        EADDRINUSE: 'NARU_EXISTS',
        EHOSTUNREACH: 'NARU_PEER_GONE',
        EMFILE: 'NARU_LIMIT',
        EACCES: 'NARU_DENIED',
        EPROTONOSUPPORT: 'NARU_UNSUPPORTED',
      };
      for (const [code, ours] of Object.entries(table)) {
        const error = zmqError(Object.assign(new Error('text'), { code }), 'zmq://x', 'zmq');
        expect(error).toMatchObject({ code: ours });
        expect(error.message).toContain(code);
      }
    });
  });

  describe('no confirmation at all:', () => {
    test('a receipt of more than "accepted" is refused at open, with the places that have it', async () => {
      const error = await errorOf(() => stage.open(`${ANY}?pattern=push&bind&confirm=received`));
      expect(error).toMatchObject({ code: 'NARU_UNSUPPORTED' });
      expect(error.message).toContain('shm://');
      const push = await stage.open(`${ANY}?pattern=push&bind`);
      await stage.open(push.address);
      expect(await push.send('x')).toMatchObject({ reached: 'accepted' });
    });
  });
});
