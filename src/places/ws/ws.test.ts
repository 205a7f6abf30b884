// ws://: who may connect, what is refused, a network and hosts that fail, and peers that misbehave. What every place must do is in
// the conformance suite; what every link must do, in places/tcp/tcp.test.ts; browsers are in browser/*.engine.test.ts.

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { afterEach, describe, expect, test } from 'vitest';
import { codeOf, freePort } from '../../link/calls.fixture.ts';
import { FaultProxy } from '../../link/fault-proxy.fixture.ts';
import { Peers, until } from '../../link/processes.fixture.ts';
import type { Mailbox } from '../../mailbox/mailbox.ts';
import { open } from '../../open.ts';
import { encodePreamble } from '../../wire/splitter.ts';
import { loadWs, type WebSocket } from './client.ts';

const LISTEN = 'ws://127.0.0.1:0/box?listen';
const KEY = 'a key of sixteen bytes or more';
const peers = new Peers();
const opened: Mailbox[] = [];
const proxies: FaultProxy[] = [];
const sockets: { terminate(): void }[] = [];

afterEach(async () => {
  await peers.end();
  for (const socket of sockets.splice(0)) socket.terminate();
  await Promise.all(opened.splice(0).map((mailbox) => mailbox.close({ flushMs: 0 })));
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
});

async function use(url: string, options: Parameters<typeof open>[1] = {}): Promise<Mailbox> {
  const mailbox = await open(url, options);
  opened.push(mailbox);
  return mailbox;
}

function portOf(address: string): number {
  return Number(/:(\d+)(?=\/)/.exec(address)?.[1]);
}

async function proxyTo(mailbox: Mailbox): Promise<FaultProxy> {
  const proxy = await FaultProxy.to(portOf(mailbox.address));
  proxies.push(proxy);
  return proxy;
}

/** What a listener answers to plain text. */
async function answerTo(port: number, ...lines: string[]): Promise<string> {
  const socket: Socket = connect(port, '127.0.0.1');
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  let text = '';
  for await (const bytes of socket) {
    text += String(bytes);
    if (text.includes('\r\n\r\n')) break;
  }
  return text.split('\r\n')[0] ?? '';
}

/** The head of a browser's request. */
function upgrade(path: string, host: string, origin: string): string[] {
  return [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}`,
    `Origin: ${origin}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ];
}

/** A bare WebSocket to a listener, with what it hears. */
async function bare(
  address: string,
): Promise<{ socket: WebSocket; heard: () => string; closed: () => boolean }> {
  const { WebSocket } = await loadWs();
  const socket = new WebSocket(address, {});
  sockets.push(socket);
  let text = '';
  let isClosed = false;
  socket.on('message', (bytes) => {
    text += bytes.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isClosed = true;
  });
  await new Promise<void>((resolve) => {
    socket.on('open', resolve);
  });
  return { socket, heard: () => text, closed: () => isClosed };
}

describe('listening and connecting', () => {
  test('port 0 picks a free port, and the address leads there; IPv6 and paths too', async () => {
    for (const url of [LISTEN, 'ws://[::1]:0?listen', 'ws://localhost:0/a/ä%20b?listen']) {
      const host = await use(url);
      const guest = await use(host.address);
      await guest.send(url);
      expect((await host.receive({ timeoutMs: 5_000 })).data).toBe(url);
    }
  });

  test('who connects first waits for the listener', async () => {
    const port = await freePort();
    const connecting = use(`ws://127.0.0.1:${port}/box`);
    await use(`ws://127.0.0.1:${port}/box?listen`);
    await (await connecting).send('hello');
  });

  test('nobody listens, or something else does: opening fails within its time and says so', async () => {
    const port = await freePort();
    await expect(use(`ws://127.0.0.1:${port}`, { timeoutMs: 1_500 })).rejects.toMatchObject({
      code: 'NARU_TIMEOUT',
      message: expect.stringMatching(/the last attempt: .*ECONNREFUSED/) as string,
    });
    const other = createServer((socket) => {
      socket.on('error', () => undefined).resume();
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
    await new Promise<void>((resolve) => {
      other.listen(port, '127.0.0.1', resolve);
    });
    await expect(use(`ws://127.0.0.1:${port}`, { timeoutMs: 1_500 })).rejects.toMatchObject({
      code: 'NARU_TIMEOUT',
      message: expect.stringMatching(/there is no WebSocket there \(HTTP 200\)/) as string,
    });
    await new Promise((resolve) => {
      other.close(resolve);
    });
  });

  test('wrong URLs, options and ports that are taken are told', async () => {
    for (const url of [
      'ws://',
      'ws://127.0.0.1:0',
      'ws://h:5?listen=x',
      'ws://h:5?heartbeatMs=-1',
      'ws://h:5?origins=https://a.example',
      'ws://user:password-of-sixteen@h:5',
      'ws://127.0.0.1:0?listen&origins=https://a.example/path',
      'wss://127.0.0.1:0?listen',
    ]) {
      expect(await codeOf(use(url)), url).toBe('NARU_INVALID_ARGUMENT');
    }
    expect(await codeOf(use(LISTEN, { key: 'short' }))).toBe('NARU_INVALID_ARGUMENT');
    expect(await codeOf(use(LISTEN, { tls: {} }))).toBe('NARU_INVALID_ARGUMENT');
    expect(await codeOf(use(LISTEN, { owner: 'system' }))).toBe('NARU_UNSUPPORTED');
    await expect(use(LISTEN, { needs: ['durable'] })).rejects.toMatchObject({
      code: 'NARU_UNSUPPORTED',
      message: expect.stringMatching(/durable.*file:\/\//) as string,
    });
    const host = await use(LISTEN);
    expect(await codeOf(use(`${host.address}?listen`))).toBe('NARU_EXISTS');
    expect(await codeOf(use(host.address, { create: 'new' }))).toBe('NARU_EXISTS');
    expect(await codeOf(use(host.address, { capacityMessages: 3 }))).toBe('NARU_EXISTS');
    expect(await codeOf(use(host.address.replace('/box', '/other')))).toBe('NARU_NOT_FOUND');
  });

  test('more connections than allowed are refused with NARU_LIMIT; the others go on', async () => {
    const host = await use(`${LISTEN}&maxConnections=2`);
    const a = await use(host.address);
    const b = await use(host.address);
    expect(await codeOf(use(host.address))).toBe('NARU_LIMIT');
    await a.send(1);
    expect((await b.receive({ timeoutMs: 5_000 })).data).toBe(1);
  });

  test('without the package ws the command that installs it is told', async () => {
    const hook = `import{register}from'node:module';register('data:text/javascript,'+encodeURIComponent(
      'export function resolve(name,context,next){if(name==="ws")throw Object.assign(new Error("Cannot find package \\'ws\\'"),'
      +'{code:"ERR_MODULE_NOT_FOUND"});return next(name,context)}'))`;
    const peer = peers.start(
      { url: LISTEN, act: 'hold' },
      { env: { ...process.env, NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(hook)}` } },
    );
    const { refused, text } = await peer.hears((said) => said['refused'] !== undefined);
    expect(refused).toBe('NARU_PACKAGE_MISSING');
    expect(text).toContain('npm install "ws@^8.18.0"');
  });
});

describe('who may connect', () => {
  test('pages of this machine and of the same host may; others only when they are named', async () => {
    const host = await use(`${LISTEN}&origins=https://shop.example,null`);
    const port = portOf(host.address);
    const here = `127.0.0.1:${port}`;
    const answers: readonly [string, string, number][] = [
      ['http://localhost:3000', here, 101],
      ['http://127.0.0.1:3000', here, 101],
      ['http://[::1]:3000', here, 101],
      ['https://shop.example', here, 101],
      ['null', here, 101],
      ['https://evil.example', here, 403],
      ['https://shop.example.evil.example', here, 403],
      ['http://shop.example', here, 403],
      // The name of a stranger that leads here (DNS rebinding).
      [`http://evil.example:${port}`, `evil.example:${port}`, 403],
      // A page that came from the same address, say of a container.
      [`http://10.0.0.5:${port}`, `10.0.0.5:${port}`, 101],
      ['file://', here, 403],
    ];
    for (const [origin, name, status] of answers) {
      const answer = await answerTo(port, ...upgrade('/box', name, origin));
      expect(answer, `${origin} at ${name}`).toContain(` ${status} `);
    }
    expect(await answerTo(port, ...upgrade('/other', here, 'http://localhost'))).toContain(' 404 ');
    expect(await answerTo(port, 'GET /box HTTP/1.1', 'Host: x')).toContain(' 426 ');
    expect(await answerTo(port, 'GET /favicon.ico HTTP/1.1', 'Host: x')).toContain(' 404 ');
  });

  test('a key is asked for at the hello; a wrong one and none are NARU_DENIED and shown nowhere', async () => {
    const host = await use(LISTEN, { key: KEY });
    const guest = await use(host.address, { key: KEY });
    await guest.send('hello');
    expect((await host.receive({ timeoutMs: 5_000 })).data).toBe('hello');
    await use(host.address.replace('//', `//:${encodeURIComponent(KEY)}@`));
    const wrong = await use(host.address, { key: 'canary-canary-canary' }).catch((error: unknown) => error);
    expect(wrong).toMatchObject({ code: 'NARU_DENIED' });
    expect(`${(wrong as Error).stack} ${JSON.stringify(wrong)}`).not.toMatch(/canary|sixteen/);
    await expect(use(host.address)).rejects.toMatchObject({
      code: 'NARU_DENIED',
      message: expect.stringMatching(/asks for a key/) as string,
    });
    expect((await host.stats()).place.extra['brokenConnections']).toBe(2);
  });

  test('a key may stand in a file that nobody else can read', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'naru-ws-'));
    try {
      const file = join(folder, 'key');
      writeFileSync(file, `${KEY}\n`, { mode: 0o600 });
      const host = await use(`${LISTEN}&keyFile=${file}`);
      const guest = await use(host.address);
      await guest.send(1);
      await use(host.address.replace(/\?.*/, ''), { key: KEY });
      chmodSync(file, 0o644);
      expect(await codeOf(use(host.address))).toBe('NARU_DENIED');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('wss: messages travel encrypted, and only a certificate that is trusted is accepted', async () => {
    const made = await generate([{ name: 'commonName', value: 'localhost' }], {
      keySize: 2048,
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
    });
    const tls = { cert: made.cert, key: made.private };
    const host = await use('wss://127.0.0.1:0/box?listen', { tls });
    expect(host.address).toMatch(/^wss:/);
    const guest = await use(host.address, { tls: { ca: tls.cert } });
    await guest.sendMany(Array.from({ length: 1_000 }, (_, n) => n));
    for (let n = 0; n < 1_000; n += 1) expect((await host.receive({ timeoutMs: 5_000 })).data).toBe(n);
    expect(await codeOf(use(host.address))).toBe('NARU_DENIED');
  });
});

describe('what fails', () => {
  test('a stream cut into single bytes changes nothing', async () => {
    const host = await use(LISTEN);
    const proxy = await proxyTo(host);
    proxy.pieceBytes = 1;
    const guest = await use(`ws://127.0.0.1:${proxy.port}/box`);
    const sent = Array.from({ length: 30 }, (_, n) => ({ n, text: 'ä'.repeat(n) }));
    for (const data of sent) await guest.send(data);
    for (const data of sent) expect((await guest.receive({ timeoutMs: 5_000 })).data).toEqual(data);
  });

  test('a half-open connection is found dead by both sides, and what it held comes again', async () => {
    const host = await use(`${LISTEN}&heartbeatMs=100`);
    const proxy = await proxyTo(host);
    const guest = await use(`ws://127.0.0.1:${proxy.port}/box?heartbeatMs=100`, { settle: 'manual' });
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
    proxy.isStalled = false;
    await guest.send('back');
    expect((await host.receive({ timeoutMs: 5_000 })).data).toBe('back');
  });

  test('a listener that says nothing: opening fails within its time', async () => {
    const host = await use(LISTEN);
    for (const stallAfter of [0, 1]) {
      const proxy = await proxyTo(host);
      proxy.stallAfter = stallAfter;
      proxy.isStalled = stallAfter === 0;
      const started = performance.now();
      expect(await codeOf(use(`ws://127.0.0.1:${proxy.port}/box`, { timeoutMs: 200 }))).toBe('NARU_TIMEOUT');
      expect(performance.now() - started).toBeLessThan(3_000);
    }
  });

  test('a host that is killed twenty times and started again: every send ends, consumers resume, nothing comes twice unmarked', {
    timeout: 120_000,
  }, async () => {
    const url = `ws://127.0.0.1:${await freePort()}/box`;
    const start = () => peers.start({ url: `${url}?listen`, act: 'hold' });
    let host = start();
    const producer = await use(url, { role: 'producer' });
    const consumer = await use(url, { role: 'consumer' });
    const outcomes = { placed: 0, unknown: 0 };
    const seen = new Set<number>();
    const over = new AbortController();
    let sent = 0;
    const sending = (async () => {
      while (!over.signal.aborted) {
        const batch = Array.from({ length: 20 }, () => producer.send((sent += 1), { timeoutMs: 30_000 }));
        for (const result of await Promise.allSettled(batch)) {
          if (result.status === 'fulfilled') outcomes.placed += 1;
          else {
            expect((result.reason as { code?: string }).code).toBe('NARU_OUTCOME_UNKNOWN');
            outcomes.unknown += 1;
          }
        }
      }
    })();
    const consuming = (async () => {
      for await (const message of consumer.messages()) {
        const n = message.data as number;
        if (n === -1) break;
        if (seen.has(n)) expect(message.redelivered, `message ${n} came twice`).toBe(true);
        seen.add(n);
      }
    })();
    for (let kill = 0; kill < 20; kill += 1) {
      const before = seen.size;
      await until(() => seen.size > before + 100, `messages flow after kill ${kill}`);
      await host.kill();
      host = start();
    }
    const before = seen.size;
    await until(() => seen.size > before + 100, 'messages flow after the last kill');
    over.abort();
    await sending;
    expect(outcomes.placed + outcomes.unknown).toBe(sent);
    await producer.send(-1);
    await consuming;
    expect(seen.size).toBeGreaterThan(2_000);
  });
});

describe('backpressure', () => {
  test('a consumer that does not read takes no more than its window, whatever is sent', async () => {
    const host = await use(LISTEN, { codec: 'bytes' });
    const guest = await use(host.address, { codec: 'bytes', settle: 'manual' });
    const iterator = guest.messages()[Symbol.asyncIterator]();
    const first = iterator.next();
    await host.sendMany(Array.from({ length: 40 }, () => Buffer.alloc(1_000_000)));
    await first;
    const { place } = await host.stats();
    expect(place.unsettled).toBeLessThan(12);
    await iterator.return?.();
  });

  test('a slow consumer of a topic that drops gets the newest, and the gap is counted', async () => {
    const host = await use(LISTEN, { deliver: 'all', full: 'drop-oldest', capacityMessages: 4 });
    const slow = await use(host.address, { prefetch: 1, role: 'consumer' });
    let dropped = 0;
    slow.on('drop', ({ count }) => {
      dropped += count;
    });
    await host.send(0);
    expect((await slow.receive({ timeoutMs: 5_000 })).data).toBe(0);
    for (let n = 1; n <= 1_000; n += 1) await host.send(n);
    const got: number[] = [];
    while (got.at(-1) !== 1_000) got.push((await slow.receive({ timeoutMs: 5_000 })).data as number);
    expect(got.length).toBeLessThanOrEqual(8);
    await until(() => dropped + got.length === 1_000, 'all that did not come was counted');
  });

  test('a message that is too large is refused where it is sent', async () => {
    const host = await use(LISTEN, { codec: 'bytes', maxMessageBytes: 100_000 });
    const guest = await use(host.address, { codec: 'bytes' });
    await guest.send(Buffer.alloc(100_000, 7));
    expect(await codeOf(guest.send(Buffer.alloc(100_001)))).toBe('NARU_TOO_LARGE');
    expect(
      Buffer.from((await host.receive({ timeoutMs: 5_000 })).body).equals(Buffer.alloc(100_000, 7)),
    ).toBe(true);
  });
});

describe('peers that misbehave', () => {
  test('are cut off, told why where they can understand it, and counted; others do not notice', async () => {
    const host = await use(LISTEN);
    const guest = await use(host.address);
    const long = Buffer.concat([encodePreamble(1, 0), Buffer.from([255, 255, 255, 255])]);
    const cases: readonly [string, Buffer, boolean, RegExp][] = [
      ['text', Buffer.from('hello'), false, /NARU/],
      ['other bytes', Buffer.from('hello there'), true, /does not speak the protocol/],
      ['another version', encodePreamble(9, 0), true, /version 9/],
      ['a huge frame', long, true, /allowed are/],
      ['a huge message', Buffer.alloc(65_537), true, /NARU/],
    ];
    for (const [name, bytes, binary, answer] of cases) {
      const { socket, heard, closed } = await bare(host.address);
      socket.send(bytes, { binary });
      await until(closed, `${name}: cut off`);
      expect(heard(), name).toMatch(answer);
    }
    await guest.send('fine');
    expect((await guest.receive({ timeoutMs: 5_000 })).data).toBe('fine');
    const { extra } = (await host.stats()).place;
    expect(extra['brokenConnections']).toBe(cases.length);
    expect(extra['connections']).toBe(1);
  });

  test('that say nothing, or are slow to ask, are cut off after five seconds', async () => {
    const host = await use(LISTEN);
    const port = portOf(host.address);
    const started = performance.now();
    const closed = async (socket: Socket): Promise<void> => {
      await new Promise((resolve) => {
        socket
          .on('error', () => undefined)
          .on('close', resolve)
          .resume();
      });
    };
    const silent = connect(port, '127.0.0.1');
    const slow = connect(port, '127.0.0.1');
    slow.write('GET /box HTTP/1.1\r\nHost: ');
    const drip = setInterval(() => slow.write('x'), 100);
    const mute = await bare(host.address);
    await Promise.all([closed(silent), closed(slow)]);
    clearInterval(drip);
    await until(mute.closed, 'who sends no hello is cut off');
    expect(performance.now() - started).toBeGreaterThan(4_900);
    expect(performance.now() - started).toBeLessThan(9_000);
  });

  test('a flood of announced lengths and garbage leaves memory where it was and a canary singing', {
    timeout: 60_000,
  }, async () => {
    const host = peers.start({ url: LISTEN, act: 'hold' });
    const { address } = await host.hears((said) => said['ready'] === true);
    const canary = await use(address as string);
    const port = portOf(address as string);
    await canary.send(0);
    const before = residentKiB(host.pid);
    for (let round = 0; round < 10; round += 1) {
      const flood = Array.from({ length: 40 }, (_, i) => {
        const socket = connect(port, '127.0.0.1');
        socket.on('error', () => undefined);
        if (i % 2 === 0) socket.write(Buffer.alloc(200_000, i));
        else {
          socket.write(`${upgrade('/box', 'localhost', 'http://localhost').join('\r\n')}\r\n\r\n`);
          // A masked frame that announces 2^40 bytes.
          socket.write(Buffer.from([0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4]));
          socket.write(Buffer.alloc(100_000, 7));
        }
        return socket;
      });
      await canary.send(round, { timeoutMs: 5_000 });
      for (const socket of flood) socket.destroy();
    }
    expect(residentKiB(host.pid) - before).toBeLessThan(64 * 1024);
  });
});

function residentKiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
}
