// tcp://: listening and connecting, TLS, a network that fails, and peers that misbehave. What every place must do is in the
// conformance suite.

import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { generate } from 'selfsigned';
import { afterEach, describe, expect, test } from 'vitest';
import { codeOf, freePort } from '../../link/calls.fixture.ts';
import { FaultProxy } from '../../link/fault-proxy.fixture.ts';
import { Peers, until } from '../../link/processes.fixture.ts';
import { watchStalledAcks } from '../../link/stalled-acks.fixture.ts';
import type { Mailbox } from '../../mailbox/mailbox.ts';
import { open } from '../../open.ts';
import { FrameType, FrameWriter } from '../../wire/frames.ts';
import { encodePreamble } from '../../wire/splitter.ts';

const LISTEN = 'tcp://127.0.0.1:0?listen';
const peers = new Peers();
const opened: Mailbox[] = [];
const sockets: Socket[] = [];
const proxies: FaultProxy[] = [];

afterEach(async () => {
  await peers.end();
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(opened.splice(0).map((mailbox) => mailbox.close({ flushMs: 0 })));
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
});

async function use(url: string, options: Parameters<typeof open>[1] = {}): Promise<Mailbox> {
  const mailbox = await open(url, options);
  opened.push(mailbox);
  return mailbox;
}

function portOf(mailbox: Mailbox): number {
  return Number(/:(\d+)(\?|$)/.exec(mailbox.address)?.[1]);
}

async function proxyTo(mailbox: Mailbox): Promise<FaultProxy> {
  const proxy = await FaultProxy.to(portOf(mailbox));
  proxies.push(proxy);
  return proxy;
}

/** A plain connection to a listener; what it hears is gathered. */
async function plain(port: number): Promise<{ socket: Socket; heard: () => string; closed: () => boolean }> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  let text = '';
  let isClosed = false;
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isClosed = true;
  });
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return { socket, heard: () => text, closed: () => isClosed };
}

/** Bytes of frames, put together by hand. */
function frames(write: (writer: FrameWriter) => void): Buffer {
  const parts: Buffer[] = [encodePreamble(1, 0)];
  const writer = new FrameWriter({ emit: (bytes) => parts.push(bytes), wake: () => undefined });
  write(writer);
  writer.flush();
  return Buffer.concat(parts);
}

const hello = (stated: object = {}): Buffer =>
  frames((writer) => writer.text(FrameType.hello, JSON.stringify({ identity: 'test', stated })));

describe('listening and connecting', () => {
  test('port 0 picks a free port, and the address leads there; IPv6 too', async () => {
    for (const url of [LISTEN, 'tcp://[::1]:0?listen', 'tcp://localhost:0?listen']) {
      const host = await use(url);
      expect(portOf(host)).toBeGreaterThan(0);
      const guest = await use(host.address);
      await guest.send(url);
      expect((await host.receive({ timeoutMs: 5_000 })).data).toBe(url);
    }
  });

  test('who connects first waits for the listener', async () => {
    const port = await freePort();
    const connecting = use(`tcp://127.0.0.1:${port}`);
    await use(`tcp://127.0.0.1:${port}?listen`);
    await (await connecting).send('hello');
  });

  test('nobody listens: opening fails within its time', async () => {
    const port = await freePort();
    const opening = use(`tcp://127.0.0.1:${port}`, { timeoutMs: 200 });
    await expect(opening).rejects.toMatchObject({
      code: 'NARU_TIMEOUT',
      message: expect.stringMatching(/within 200 ms; the last attempt: .*ECONNREFUSED/) as string,
    });
  });

  test('wrong URLs and taken ports are told', async () => {
    for (const url of [
      'tcp://127.0.0.1',
      'tcp://127.0.0.1:0',
      'tcp://:5',
      'tcp://h:5/path',
      'tcp://h:5?listen=x',
      'tcp://h:5?heartbeatMs=-1',
      `${LISTEN}&tls`,
    ]) {
      expect(await codeOf(use(url)), url).toBe('NARU_INVALID_ARGUMENT');
    }
    const host = await use(LISTEN);
    expect(await codeOf(use(`${host.address}?listen`))).toBe('NARU_EXISTS');
    expect(await codeOf(use(host.address, { create: 'new' }))).toBe('NARU_EXISTS');
    expect(await codeOf(use(host.address, { capacityMessages: 3 }))).toBe('NARU_EXISTS');
  });

  test('a listener keeps the process alive, an idle connection does not', async () => {
    const host = peers.start({ url: LISTEN, act: 'open-and-end' });
    const { address } = await host.hears((said) => said['ready'] === true);
    const guest = peers.start({ url: address, act: 'open-and-end' });
    expect(await guest.exited).toBe(0);
    expect(host.child.exitCode).toBeNull();
  });

  test('more connections than allowed are refused with NARU_LIMIT; the others go on', async () => {
    const host = await use(`${LISTEN}&maxConnections=2`);
    const a = await use(host.address);
    const b = await use(host.address);
    expect(await codeOf(use(host.address))).toBe('NARU_LIMIT');
    await a.send(1);
    expect((await b.receive({ timeoutMs: 5_000 })).data).toBe(1);
    await a.close();
    await until(() => host.peers.producers === 0, 'a has left');
    const c = await use(host.address);
    await c.send(2);
  });
});

describe('TLS', () => {
  const certificate = async (): Promise<{ cert: string; key: string }> => {
    const made = await generate([{ name: 'commonName', value: 'localhost' }], {
      keySize: 2048,
      extensions: [
        {
          name: 'subjectAltName',
          altNames: [
            { type: 2, value: 'localhost' },
            { type: 7, ip: '127.0.0.1' },
          ],
        },
      ],
    });
    return { cert: made.cert, key: made.private };
  };

  test('messages travel encrypted, and only a certificate that is trusted is accepted', async () => {
    const tls = await certificate();
    const host = await use(LISTEN, { tls });
    expect(host.address).toContain('?tls');
    const guest = await use(host.address, { tls: { ca: tls.cert } });
    await guest.sendMany(Array.from({ length: 1_000 }, (_, n) => n));
    for (let n = 0; n < 1_000; n += 1) expect((await host.receive({ timeoutMs: 5_000 })).data).toBe(n);
    expect(await codeOf(use(host.address))).toBe('NARU_DENIED');
    expect(await codeOf(use(host.address, { tls: { ca: (await certificate()).cert } }))).toBe('NARU_DENIED');
  });

  test('who must show a certificate and has none is cut off; plain bytes break only their own connection', async () => {
    const tls = await certificate();
    const host = await use(LISTEN, { tls: { ...tls, ca: tls.cert, requestCert: true } });
    expect(await codeOf(use(host.address, { tls: { ca: tls.cert }, timeoutMs: 700 }))).toMatch(/NARU_/);
    const { socket, closed } = await plain(portOf(host));
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await until(closed, 'the plain connection is closed');
    const guest = await use(host.address, { tls: { ...tls, ca: tls.cert } });
    await guest.send(1);
  });
});

describe('a network that fails', () => {
  test('a stream cut into single bytes changes nothing', async () => {
    const host = await use(LISTEN);
    const proxy = await proxyTo(host);
    proxy.pieceBytes = 1;
    const guest = await use(`tcp://127.0.0.1:${proxy.port}`);
    const sent = Array.from({ length: 50 }, (_, n) => ({ n, text: 'ä'.repeat(n) }));
    for (const data of sent) await guest.send(data, { headers: { n: String(data.n) } });
    for (const data of sent) {
      const message = await guest.receive({ timeoutMs: 5_000 });
      expect([message.data, message.headers['n']]).toEqual([data, String(data.n)]);
    }
  });

  test('resets while everything runs: nothing placed is lost, nothing comes twice unmarked', {
    timeout: 60_000,
  }, async () => {
    const host = await use(LISTEN);
    const proxy = await proxyTo(host);
    const url = `tcp://127.0.0.1:${proxy.port}`;
    const producer = await use(url, { role: 'producer' });
    const consumer = await use(url, { role: 'consumer' });
    const placed: number[] = [];
    const seen = new Map<number, number>();
    const total = 3_000;
    const sending = (async () => {
      for (let n = 0; n < total; n += 1) {
        try {
          await producer.send(n);
          placed.push(n);
        } catch (error) {
          if ((error as { code?: string }).code !== 'NARU_OUTCOME_UNKNOWN') throw error;
        }
        if (n % 500 === 250) proxy.reset();
      }
    })();
    const consuming = (async () => {
      for await (const message of consumer.messages({ timeoutMs: 2_000 })) {
        const n = message.data as number;
        if (seen.has(n)) expect(message.redelivered, `message ${n} came twice`).toBe(true);
        seen.set(n, (seen.get(n) ?? 0) + 1);
      }
    })().catch((error: unknown) => {
      if ((error as { code?: string }).code !== 'NARU_TIMEOUT') throw error;
    });
    await sending;
    await consuming;
    expect(placed.filter((n) => !seen.has(n))).toEqual([]);
    expect(proxy.connections).toBeGreaterThan(6);
  });

  test('a half-open connection is found dead by both sides, and what it held comes again', async () => {
    const host = await use(`${LISTEN}&heartbeatMs=100`);
    const proxy = await proxyTo(host);
    const guest = await use(`tcp://127.0.0.1:${proxy.port}?heartbeatMs=100`, { settle: 'manual' });
    const events: string[] = [];
    guest.on('disconnect', () => events.push('disconnect'));
    host.on('orphan', ({ role }) => events.push(`orphan ${role}`));
    await host.send('held');
    expect((await guest.receive({ timeoutMs: 5_000 })).data).toBe('held');
    const started = performance.now();
    proxy.isStalled = true;
    const again = await host.receive({ timeoutMs: 5_000 });
    expect([again.data, again.redelivered]).toEqual(['held', true]);
    await until(() => events.includes('disconnect'), 'the guest sees it too');
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(events).toContain('orphan consumer');
    proxy.isStalled = false;
    await guest.send('back');
    expect((await host.receive({ timeoutMs: 5_000 })).data).toBe('back');
  });

  test('a host that goes silent while it is greeted or gives a seat: opening fails within its time', async () => {
    const host = await use(LISTEN);
    for (const role of ['producer', 'consumer'] as const) {
      for (const stallAfter of [1, 2, 3]) {
        const proxy = await proxyTo(host);
        proxy.stallAfter = stallAfter;
        const started = performance.now();
        const opening = open(`tcp://127.0.0.1:${proxy.port}`, { role, timeoutMs: 200 });
        const code = await codeOf(opening.then((mailbox) => mailbox.close()));
        // A seat that was granted may be all it needs: then it is open.
        if (stallAfter === 1) expect(code).toBe('NARU_TIMEOUT');
        expect(performance.now() - started).toBeLessThan(3_000);
      }
    }
  });

  test('a pending receive waits through a loss; the loss keeps trying until the listener is back', async () => {
    const host = await use(LISTEN);
    const port = portOf(host);
    const guest = await use(host.address);
    const receiving = guest.receive({ timeoutMs: 15_000 });
    await host.close({ flushMs: 0 });
    const next = await use(`tcp://127.0.0.1:${port}?listen`);
    await next.send('again');
    expect((await receiving).data).toBe('again');
  });

  test('a subscriber of a topic that comes back is not given again what was retained', async () => {
    const host = await use(LISTEN, { deliver: 'all', retain: 10 });
    const proxy = await proxyTo(host);
    await host.sendMany([1, 2]);
    const guest = await use(`tcp://127.0.0.1:${proxy.port}`);
    expect([
      (await guest.receive({ timeoutMs: 5_000 })).data,
      (await guest.receive({ timeoutMs: 5_000 })).data,
    ]).toEqual([1, 2]);
    const back = new Promise<void>((resolve) => {
      guest.on('reconnect', () => resolve());
    });
    proxy.reset();
    await back;
    await host.send(3);
    expect((await guest.receive({ timeoutMs: 5_000 })).data).toBe(3);
  });

  test('retained messages may take the room of credit that was lent: those wait, and none is lost', async () => {
    const host = await use(LISTEN, { deliver: 'all', retain: 8, capacityMessages: 8 });
    const first = await use(host.address, { role: 'consumer', settle: 'manual' });
    const producer = await use(host.address, { role: 'producer' });
    await producer.sendMany([1, 2, 3, 4]);
    const late = await use(host.address, { role: 'consumer', group: 'late' });
    const sending = producer.sendMany([5, 6, 7, 8, 9, 10, 11, 12]);
    for (let n = 1; n <= 12; n += 1) {
      expect((await late.receive({ timeoutMs: 5_000 })).data).toBe(n);
      const message = await first.receive({ timeoutMs: 5_000 });
      expect(message.data).toBe(n);
      await message.ack();
    }
    await sending;
  });

  test('a first call while the listener is away ends with its limits, and so does close()', async () => {
    const host = await use(LISTEN);
    const guest = await use(host.address, { needs: ['reply'] });
    const lost = new Promise<void>((resolve) => {
      guest.on('disconnect', () => resolve());
    });
    await host.close({ flushMs: 0 });
    await lost;
    expect(await codeOf(guest.receive({ timeoutMs: 50 }))).toBe('NARU_TIMEOUT');
    expect(await codeOf(guest.send('x', { timeoutMs: 50 }))).toBe('NARU_TIMEOUT');
    expect(await codeOf(guest.sendMany(['x'], { timeoutMs: 50 }))).toBe('NARU_TIMEOUT');
    expect(await codeOf(guest.request('x', { timeoutMs: 50 }))).toBe('NARU_TIMEOUT');
    const abort = AbortSignal.timeout(50);
    const reason: unknown = await guest.receive({ signal: abort }).catch((error: unknown) => error);
    expect(reason).toBe(abort.reason);
    const consumption = guest.consume(() => undefined);
    await consumption.stop();
    expect(await guest.close()).toEqual({ undelivered: 0 });
  });

  test('a message settled after its connection was lost tells that it comes again', async () => {
    const host = await use(LISTEN);
    const proxy = await proxyTo(host);
    const guest = await use(`tcp://127.0.0.1:${proxy.port}`, { settle: 'manual' });
    await host.send('x');
    const message = await guest.receive({ timeoutMs: 5_000 });
    proxy.reset();
    const back = new Promise<void>((resolve) => {
      guest.on('reconnect', () => resolve());
    });
    await back;
    expect(await codeOf(message.ack())).toBe('NARU_DISCONNECTED');
    const again = await guest.receive({ timeoutMs: 5_000 });
    expect(again.redelivered).toBe(true);
    await again.ack();
  });
});

test('consume() waits for no ack before the next message, for all of them at the end, and says which are lost', {
  timeout: 60_000,
}, async () => {
  const host = await use(LISTEN);
  const proxy = await proxyTo(host);
  await watchStalledAcks(host, await use(`tcp://127.0.0.1:${proxy.port}`), proxy);
});

describe('backpressure', () => {
  test('a full mailbox holds exactly its capacity, and senders elsewhere wait', async () => {
    const host = await use(LISTEN, { capacityMessages: 20 });
    const a = await use(host.address);
    const b = await use(host.address);
    let done = 0;
    const sends = [a, b].flatMap((mailbox) =>
      Array.from({ length: 30 }, (_, n) => mailbox.send(n).then(() => (done += 1))),
    );
    await until(() => done === 20, 'twenty are placed');
    expect(await codeOf(a.send('no', { timeoutMs: 30 }))).toBe('NARU_TIMEOUT');
    expect((await host.stats()).place.depth).toBe(20);
    for (let n = 0; n < 60; n += 1) await host.receive({ timeoutMs: 5_000 });
    await Promise.all(sends);
    expect((await host.stats()).place.depth).toBe(0);
  });

  test('a mailbox of few bytes takes large and small messages from several, and none starves', async () => {
    const host = await use(LISTEN, { capacityBytes: 100_000, codec: 'bytes' });
    const guests = await Promise.all([1, 2, 3].map(() => use(host.address, { codec: 'bytes' })));
    const sizes = [99_000, 10, 60_000, 500, 100_000, 1];
    const sending = Promise.all(
      guests.map(async (guest) => {
        for (const size of sizes) await guest.send(Buffer.alloc(size));
      }),
    );
    const got: number[] = [];
    while (got.length < guests.length * sizes.length) {
      got.push((await host.receive({ timeoutMs: 5_000 })).body.length);
    }
    await sending;
    expect(got.sort((x, y) => x - y)).toEqual(guests.flatMap(() => sizes).sort((x, y) => x - y));
    expect(await codeOf((guests[0] as Mailbox).send(Buffer.alloc(100_001)))).toBe('NARU_TOO_LARGE');
  });

  test('a consumer that does not read takes no more than its window', async () => {
    const host = await use(LISTEN, { codec: 'bytes' });
    const guest = await use(host.address, { codec: 'bytes', settle: 'manual' });
    const iterator = guest.messages()[Symbol.asyncIterator]();
    const first = iterator.next();
    await host.sendMany(Array.from({ length: 40 }, () => Buffer.alloc(1_000_000)));
    await first;
    await until(() => host.peers.consumers === 1, 'the consumer is there');
    const { place } = await host.stats();
    expect(place.unsettled).toBeLessThan(12);
    await iterator.return?.();
  });
});

describe('request and reply', () => {
  test('answers go home over the same connection; a requester that left is gone', async () => {
    const host = await use(LISTEN);
    const server = await use(host.address);
    const client = await use(host.address);
    const serving = server.serve((request) => ({ got: request.data }));
    expect((await client.request(7, { timeoutMs: 5_000 })).data).toEqual({ got: 7 });
    await serving.stop();
    const asking = client.request('late', { timeoutMs: 5_000 }).catch((error: unknown) => error);
    const request = await server.receive({ timeoutMs: 5_000 });
    await client.close();
    await asking;
    await until(() => host.peers.producers === 0, 'the client has left');
    expect(await codeOf(request.reply('too late'))).toBe('NARU_PEER_GONE');
  });
});

describe('peers that misbehave', () => {
  test('are cut off, told why where they can understand it, and counted; others do not notice', async () => {
    const host = await use(LISTEN);
    const guest = await use(host.address);
    const port = portOf(host);
    const length = (n: number): Buffer => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(n, 0);
      return bytes;
    };
    const send = frames((writer) => writer.bare(FrameType.send)).subarray(8);
    const cases: [string, Buffer, RegExp][] = [
      ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), /does not speak the protocol/],
      ['another version', encodePreamble(9, 0), /version 9/],
      ['a huge frame', Buffer.concat([encodePreamble(1, 0), length(0xffffffff)]), /allowed are/],
      ['an empty frame', Buffer.concat([encodePreamble(1, 0), length(0)]), /allowed are/],
      ['no hello', Buffer.concat([encodePreamble(1, 0), send]), /may not come here/],
      ['a hello that is no JSON', frames((writer) => writer.text(FrameType.hello, '{')), /not a JSON object/],
      ['other options', hello({ capacityMessages: 1 }), /asked 1, is 65536/],
      ['send without a seat', Buffer.concat([hello(), send]), /may not come here/],
      [
        'send without credit',
        Buffer.concat([
          hello(),
          frames((writer) => {
            writer.coded(FrameType.request, 1, 1, '');
            for (let i = 0; i < 2_000; i += 1) {
              writer.send({ body: Buffer.alloc(0), sequence: i, time: 0, fields: undefined }, 16, 0);
            }
          }).subarray(8),
        ]),
        /more than it had credit for/,
      ],
    ];
    for (const [name, bytes, answer] of cases) {
      const { socket, heard, closed } = await plain(port);
      socket.write(bytes);
      await until(closed, `${name}: cut off`);
      expect(heard(), name).toMatch(answer);
    }
    await guest.purge();
    await guest.send('fine');
    expect((await guest.receive({ timeoutMs: 5_000 })).data).toBe('fine');
    expect((await host.stats()).place.extra['brokenConnections']).toBeGreaterThanOrEqual(cases.length);
  });

  test('that say nothing are cut off after five seconds', async () => {
    const host = await use(LISTEN);
    const silent = await plain(portOf(host));
    const slow = await plain(portOf(host));
    const started = performance.now();
    const drip = setInterval(() => slow.socket.write('N'), 100);
    await until(silent.closed, 'the silent one is cut off');
    clearInterval(drip);
    expect(performance.now() - started).toBeGreaterThan(4_900);
    await until(slow.closed, 'the slow one is cut off');
    expect((await host.stats()).place.extra['connections']).toBe(0);
  });

  test('a flood of garbage leaves memory where it was and a canary singing', {
    timeout: 60_000,
  }, async () => {
    const host = peers.start({ url: LISTEN, act: 'hold' });
    const { address } = await host.hears((said) => said['ready'] === true);
    const canary = await use(address as string);
    const port = Number(/:(\d+)/.exec((address as string).slice(6))?.[1]);
    const rss = (): number => residentKiB(host.pid);
    await canary.send(0);
    const before = rss();
    const announced = Buffer.alloc(4);
    announced.writeUInt32LE(16_000, 0);
    for (let round = 0; round < 10; round += 1) {
      const flood = await Promise.all(Array.from({ length: 40 }, () => plain(port)));
      for (const [i, { socket }] of flood.entries()) {
        if (i % 4 === 0) socket.write(Buffer.alloc(200_000, i));
        else if (i % 4 === 1) socket.write(Buffer.concat([encodePreamble(1, 0), Buffer.alloc(100_000, 255)]));
        else if (i % 4 === 2)
          socket.write(Buffer.concat([encodePreamble(1, 0), announced, Buffer.alloc(8_000)]));
        else socket.write(Buffer.concat([hello(), Buffer.alloc(300_000, 7)]));
      }
      await canary.send(round, { timeoutMs: 5_000 });
      for (const { socket } of flood) socket.destroy();
    }
    expect(rss() - before).toBeLessThan(64 * 1024);
    expect((await canary.stats()).place.extra['brokenConnections']).toBeGreaterThan(100);
  });

  test('more connections than descriptors: the listener goes on and recovers', {
    timeout: 60_000,
  }, async () => {
    const script = `ulimit -n 64; exec "$@"`;
    const fixture = new URL('../../link/peer.fixture.js', import.meta.url).pathname;
    const orders = JSON.stringify({ url: LISTEN, act: 'hold' });
    const host = peers.run('/bin/sh', ['-c', script, 'sh', process.execPath, fixture, orders]);
    const { address } = await host.hears((said) => said['ready'] === true);
    const canary = await use(address as string);
    const port = Number(/:(\d+)/.exec((address as string).slice(6))?.[1]);
    const crowd = await Promise.all(Array.from({ length: 150 }, () => plain(port).catch(() => undefined)));
    await canary.send('still here', { timeoutMs: 5_000 });
    for (const one of crowd) one?.socket.destroy();
    const late = await use(address as string, { timeoutMs: 15_000 });
    expect((await late.receive({ timeoutMs: 5_000 })).data).toBe('still here');
  });
});

function residentKiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
}
