// zmq:// when messages come in streams, with pauses, or find hardly ever room: calls to libzmq wait or do not, by turns (outlet.ts, inlet.ts); nobody
// may notice.

import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { numbers, texts, ZmqStage } from './peers.fixture.ts';

const ANY = 'zmq://127.0.0.1:0';

describe('zmq:// and streams:', () => {
  let stage: ZmqStage;
  beforeEach(() => {
    stage = new ZmqStage();
  });
  afterEach(() => stage.end());

  test('after each stream, however long, the next message wakes the consumer', async () => {
    const push = await stage.open(`${ANY}?pattern=push&bind`);
    const pull = await stage.open(push.address);
    let next = 1;
    for (let length = 1; length <= 200; length += 1) {
      const stream = numbers(next, next + length - 1);
      const taking = texts(pull, length);
      await push.sendMany(stream);
      expect(await taking).toEqual(stream);
      next += length;
    }
  }, 60_000);

  test('where there is room for one message, all arrive in order, from a consumer that is quick or slow', async () => {
    const push = await stage.open(`${ANY}?pattern=push&bind&depth=1`);
    const pull = await stage.open(`${push.address}&depth=1`, { role: 'consumer' });
    const sent = numbers(1, 5_000);
    const sending = push.sendMany(sent);
    const got: unknown[] = [];
    for await (const { data } of pull) {
      if (got.push(data) === sent.length) break;
      if (got.length % 3 === 0 || (got.length > 2_000 && got.length < 2_500)) await turn();
    }
    await sending;
    expect(got).toEqual(sent);
  }, 60_000);

  test('a pair that talks both ways at full speed loses nothing', async () => {
    const one = await stage.open(`${ANY}?pattern=pair&bind&depth=50`);
    const other = await stage.open(`${one.address}&depth=50`);
    const sent = numbers(1, 20_000);
    const taking = [one, other].map((end) => texts(end, sent.length));
    await Promise.all([one, other].map((end) => end.sendMany(sent)));
    expect(await Promise.all(taking)).toEqual([sent, sent]);
  }, 60_000);

  test('a flood leaves the event loop its turns, at both ends', async () => {
    const count = 200_000;
    // So deep that no call has to wait for room, or for a message.
    const push = await stage.open(`${ANY}?pattern=push&bind&depth=${count}`);
    const child = stage.naru(
      `${push.address}&depth=${count}`,
      `const pull = await open(url, { codec: 'text', role: 'consumer' });
       let got = 0, turns = 0;
       const tick = () => { turns += 1; if (got < ${count}) setImmediate(tick); };
       tick();
       const iterators = [pull.messages(), pull.messages()];
       await Promise.all(iterators.map(async (messages) => {
         for await (const message of messages) if ((got += 1) === ${count}) await pull.close();
       }));
       console.log(turns);`,
    );
    await push.ready({ consumers: 1, timeoutMs: 20_000 });
    let [sent, turns] = [0, 0];
    const tick = (): void => {
      turns += 1;
      if (sent < count) setImmediate(tick);
    };
    tick();
    // More of them than wait for libzmq at a time.
    const loops = Array.from({ length: 400 }, async () => {
      while (sent < count) {
        sent += 1;
        await push.send('x');
      }
    });
    await Promise.all(loops);
    // A turn takes 10 ms at most, and so many messages take much longer.
    expect(turns).toBeGreaterThan(10);
    expect(Number(await child.line())).toBeGreaterThan(10);
  }, 60_000);
});
