// zmq:// when things go wrong: peers that are killed, networks that fall silent, strangers that send garbage, what is missing.

import { once } from 'node:events';
import { connect } from 'node:net';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FaultProxy } from '../../link/fault-proxy.fixture.ts';
import { codeOf, errorOf, eventually, numbers, texts, ZmqStage } from './peers.fixture.ts';

const ANY = 'zmq://127.0.0.1:0';
const portOf = (address: string): number => Number(/:(\d+)\?/.exec(address)?.[1]);

describe('zmq:// and faults:', () => {
  let stage: ZmqStage;
  beforeEach(() => {
    stage = new ZmqStage();
  });
  afterEach(() => stage.end());

  test('the consumer is killed with SIGKILL 20 times: each time it is seen within a second, and the next one is served', async () => {
    const push = await stage.open(`${ANY}?pattern=push&bind`);
    const body = `
      const pull = await open(url, { codec: 'text' });
      for await (const { data } of pull) console.log(data);`;
    for (let round = 1; round <= 20; round += 1) {
      const child = stage.naru(push.address, body);
      await push.ready({ consumers: 1, timeoutMs: 20_000 });
      await push.send(`round ${round}`);
      expect(await child.line()).toBe(`round ${round}`);
      child.process.kill('SIGKILL');
      const started = performance.now();
      await eventually('its death is seen', () => push.peers.consumers === 0);
      expect(performance.now() - started).toBeLessThan(1_000);
      // Nothing is queued for the dead.
      expect(await codeOf(() => push.send('nobody', { timeoutMs: 0 }))).toBe('NARU_TIMEOUT');
    }
  }, 60_000);

  test('the end that bound is killed with SIGKILL 20 times and comes back on its port: the consumer goes on by itself', async () => {
    const first = await stage.open(`${ANY}?pattern=push&bind`);
    const url = `${first.address.replace('pattern=pull', 'pattern=push')}&bind`;
    const opening = stage.open(first.address);
    const pull = await opening;
    let lost = 0;
    let back = 0;
    pull.on('disconnect', () => {
      lost += 1;
    });
    pull.on('reconnect', () => {
      back += 1;
    });
    await first.close();
    for (let round = 1; round <= 20; round += 1) {
      const child = stage.naru(
        url,
        `const push = await open(url, { codec: 'text' });
         await push.send('round ${round}');
         console.log('sent');
         setInterval(() => undefined, 1_000);`,
      );
      expect(await child.line()).toBe('sent');
      expect(await texts(pull, 1)).toEqual([`round ${round}`]);
      child.process.kill('SIGKILL');
      await child.end();
    }
    await eventually('the last one is seen to go', () => lost === 21);
    expect(back).toBe(20);
  }, 60_000);

  test('a network that falls silent is seen by its heartbeat, and used again when it speaks', async () => {
    const pull = await stage.open(`${ANY}?pattern=pull&bind&heartbeatMs=100`);
    const proxy = await FaultProxy.to(portOf(pull.address));
    const push = await stage.open(`zmq://127.0.0.1:${proxy.port}?pattern=push&heartbeatMs=100`);
    await push.send('before');
    expect(await texts(pull, 1)).toEqual(['before']);
    proxy.isStalled = true;
    await eventually('both ends see it', () => push.peers.consumers === 0 && pull.peers.producers === 0);
    expect(await codeOf(() => push.send('x', { timeoutMs: 20 }))).toBe('NARU_TIMEOUT');
    proxy.isStalled = false;
    proxy.reset();
    await push.ready({ consumers: 1, timeoutMs: 8_000 });
    await push.send('after');
    expect(await texts(pull, 1)).toEqual(['after']);
    await proxy.close();
  });

  test('bytes that come one by one are messages like others', async () => {
    const pull = await stage.open(`${ANY}?pattern=pull&bind&format=envelope`);
    const proxy = await FaultProxy.to(portOf(pull.address));
    proxy.pieceBytes = 1;
    const push = await stage.open(`zmq://127.0.0.1:${proxy.port}?pattern=push&format=envelope`);
    await push.sendMany(numbers(1, 50), { headers: { a: 'b' } });
    expect(await texts(pull, 50)).toEqual(numbers(1, 50));
    await proxy.close();
  });

  test('garbage on the port harms nobody and counts as no peer', async () => {
    const pull = await stage.open(`${ANY}?pattern=pull&bind`);
    for (const bytes of [Buffer.alloc(64, 0xff), Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(0)]) {
      const socket = connect(portOf(pull.address), '127.0.0.1');
      socket
        .on('error', () => undefined)
        .resume()
        .end(bytes);
      await once(socket, 'close');
    }
    const push = await stage.open(pull.address);
    await push.send('fine');
    expect(await texts(pull, 1)).toEqual(['fine']);
    // libzmq tells of a peer over a way of its own, which can be slower than the peer's first message.
    await expect.poll(() => pull.peers.producers, { timeout: 8_000 }).toBe(1);
  });

  test('raw bytes where envelopes are expected are counted and told, not delivered', async () => {
    const pull = await stage.open(`${ANY}?pattern=pull&bind&format=envelope`);
    const errors: string[] = [];
    pull.on('error', ({ error }) => errors.push(error.message));
    const raw = await stage.open(pull.address.replace('&format=envelope', ''));
    const push = await stage.open(pull.address);
    await raw.sendMany(['', 'Z', 'Z\u0001\u0000\u0000\u0000\u0000\u0000\u0000garbage']);
    await eventually('they were counted', async () => {
      await pull.receive({ timeoutMs: 0 }).catch(() => undefined);
      return errors.length === 3;
    });
    await push.send('good', { headers: { a: 'b' } });
    expect((await pull.receive({ timeoutMs: 8_000 })).headers).toEqual({ a: 'b' });
    expect((await pull.stats()).place.dropped['undecodable']).toBe(3);
  });

  test('a slow consumer: what waits is bounded on both sides, and memory with it', async () => {
    const push = await stage.open(`${ANY}?pattern=push&bind&depth=10`, { codec: 'bytes', maxWaiting: 100 });
    await stage.open(`${push.address}&depth=10`, { codec: 'bytes', role: 'consumer' });
    await push.ready({ consumers: 1, timeoutMs: 8_000 });
    const body = Buffer.alloc(1_000_000);
    const outcomes: string[] = [];
    const sends = Array.from({ length: 200 }, () =>
      push.send(body).then(
        () => outcomes.push('accepted'),
        (error: Error & { code: string }) => outcomes.push(error.code),
      ),
    );
    await expect.poll(() => outcomes).toContain('NARU_OVERLOADED');
    // Ten on each side, and what the sockets of the kernel hold.
    expect(outcomes.filter((one) => one === 'accepted').length).toBeLessThan(60);
    expect(push.peers.consumers).toBe(1);
    await push.close({ flushMs: 0 });
    await Promise.all(sends);
  });

  test('a message over the limit never leaves', async () => {
    const push = await stage.open(`${ANY}?pattern=push&bind&size=10`);
    expect(await codeOf(() => push.send('x'.repeat(11)))).toBe('NARU_TOO_LARGE');
  });

  test('a path that is taken is NARU_EXISTS; what a dead process left there is not', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'naru-zmq-'));
    const url = `zmq+ipc://${folder}/s?pattern=pull&bind`;
    const child = stage.naru(
      url,
      `await open(url); console.log('open'); setInterval(() => undefined, 1_000);`,
    );
    expect(await child.line()).toBe('open');
    expect(await codeOf(() => stage.open(url))).toBe('NARU_EXISTS');
    child.process.kill('SIGKILL');
    await child.end();
    const pull = await stage.open(url);
    await (await stage.open(pull.address)).send('here');
    expect(await texts(pull, 1)).toEqual(['here']);
    writeFileSync(join(folder, 'file'), 'precious');
    expect(await codeOf(() => stage.open(`zmq+ipc://${folder}/file?pattern=pull&bind`))).toBe('NARU_EXISTS');
    rmSync(folder, { recursive: true, force: true });
  });

  test('without the package: NARU_PACKAGE_MISSING, with the npm command', async () => {
    const hook = `export const resolve = (name, context, next) => {
      if (name !== 'zeromq') return next(name, context);
      throw Object.assign(new Error("Cannot find package 'zeromq'"), { code: 'ERR_MODULE_NOT_FOUND' });
    };`;
    const child = stage.naru(
      `${ANY}?pattern=pull&bind`,
      `import { register } from 'node:module';
       register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hook)}));
       await open(url).catch(({ code, message }) => console.log(code, message));`,
    );
    const line = await child.line();
    expect(line).toContain('NARU_PACKAGE_MISSING');
    expect(line).toContain('npm install "zeromq@^6.8"');
  });

  test('what has no meaning here is refused before a socket is made', async () => {
    const wrong: readonly (readonly [string, string])[] = [
      [`${ANY}?bind`, 'NARU_INVALID_ARGUMENT'],
      [`${ANY}?pattern=stream&bind`, 'NARU_INVALID_ARGUMENT'],
      [`${ANY}?pattern=push`, 'NARU_INVALID_ARGUMENT'],
      ['zmq://host?pattern=push', 'NARU_INVALID_ARGUMENT'],
      [`${ANY}?pattern=pull&bind&topic=a`, 'NARU_INVALID_ARGUMENT'],
      [`${ANY}?pattern=pub&bind&topic=a.*`, 'NARU_INVALID_ARGUMENT'],
      [`${ANY}?pattern=push&bind&heartbeatMs=x`, 'NARU_INVALID_ARGUMENT'],
      [`${ANY}?pattern=push&bind&other=1`, 'NARU_INVALID_ARGUMENT'],
      [`${ANY}?pattern=push&bind&role=consumer`, 'NARU_UNSUPPORTED'],
      [`${ANY}?pattern=push&bind&deliver=all`, 'NARU_UNSUPPORTED'],
      [`${ANY}?pattern=pub&bind&deliver=one`, 'NARU_UNSUPPORTED'],
      [`${ANY}?pattern=push&bind&capacity=1MiB`, 'NARU_UNSUPPORTED'],
      [`${ANY}?pattern=push&bind&survives=restart`, 'NARU_UNSUPPORTED'],
      ['zmq://user:s3cret@127.0.0.1:0?pattern=push&bind', 'NARU_UNSUPPORTED'],
      ['zmq+ipc://name?pattern=push&bind', 'NARU_INVALID_ARGUMENT'],
      [`zmq+ipc:///${'x'.repeat(108)}?pattern=push&bind`, 'NARU_INVALID_ARGUMENT'],
      ['zmq://127.0.0.1:5?pattern=push&create=new', 'NARU_EXISTS'],
    ];
    for (const [url, code] of wrong) {
      const error = await errorOf(() => stage.open(url));
      expect(error, url).toMatchObject({ code });
      expect(error.message).not.toContain('s3cret');
    }
  });

  test('a thousand handles leave no descriptor', async () => {
    const count = (): number => readdirSync('/proc/self/fd').length;
    const round = async (): Promise<void> => {
      const pull = await stage.open(`${ANY}?pattern=pull&bind`);
      const push = await stage.open(pull.address);
      await push.send('x');
      expect(await texts(pull, 1)).toEqual(['x']);
      await Promise.all([push.close(), pull.close()]);
    };
    await round();
    const before = count();
    for (let n = 0; n < 500; n += 1) await round();
    await eventually('libzmq has closed them', () => count() <= before + 4);
  }, 60_000);
});
