// The browser's side against a real listener, run by Node with the WebSocket of ws, which has the interface of browsers. In Chromium:
// chromium.engine.test.ts. What the bundle holds is looked at here, too.

import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { codeOf, freePort } from '../link/calls.fixture.ts';
import { FaultProxy } from '../link/fault-proxy.fixture.ts';
import { Peers, until } from '../link/processes.fixture.ts';
import type { Mailbox } from '../mailbox/mailbox.ts';
import { open as openHere } from '../open.ts';
import { loadWs } from '../places/ws/client.ts';
import { type BrowserMailbox, type BrowserOptions, open } from './index.ts';

const LISTEN = 'ws://127.0.0.1:0/box?listen';
const KEY = 'a key of sixteen bytes or more';
const peers = new Peers();
const hosts: Mailbox[] = [];
const pages: BrowserMailbox[] = [];
const proxies: FaultProxy[] = [];

beforeAll(async () => {
  const { WebSocket } = await loadWs();
  Object.defineProperty(globalThis, 'WebSocket', { value: WebSocket, configurable: true });
});

afterEach(async () => {
  await peers.end();
  await Promise.all(pages.splice(0).map((page) => page.close({ flushMs: 0 })));
  await Promise.all(hosts.splice(0).map((host) => host.close({ flushMs: 0 })));
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
});

async function listen(options: Parameters<typeof openHere>[1] = {}, more = ''): Promise<Mailbox> {
  const host = await openHere(`${LISTEN}${more}`, options);
  hosts.push(host);
  return host;
}

async function visit(url: string, options: BrowserOptions = {}): Promise<BrowserMailbox> {
  const page = await open(url, options);
  pages.push(page);
  return page;
}

async function proxyTo(host: Mailbox): Promise<FaultProxy> {
  const proxy = await FaultProxy.to(Number(/:(\d+)\//.exec(host.address)?.[1]));
  proxies.push(proxy);
  return proxy;
}

describe('the file for browsers', () => {
  const file = new URL('./naru.js', import.meta.url);
  const text = readFileSync(file, 'utf8');

  test('is one module that imports nothing, of 40,000 bytes at most, 14,500 compressed', () => {
    expect(text).not.toMatch(/\bimport\s*[({"'*]|\bfrom\s*["']|\brequire\(|node:/);
    expect(text.length).toBeLessThanOrEqual(40_000);
    expect(gzipSync(text, { level: 9 }).length).toBeLessThanOrEqual(14_500);
  });

  test('runs without anything of Node', async () => {
    const { createContext, runInContext } = await import('node:vm');
    const bare = {
      TextEncoder,
      TextDecoder,
      URL,
      AbortSignal,
      AbortController,
      crypto,
      console,
      setTimeout,
      clearTimeout,
    };
    const script = text.replace(/export\s*\{[^}]*\};?/, '').replace(/\/\/# sourceMappingURL=.*/, '');
    expect(() => runInContext(script, createContext(bare))).not.toThrow();
  });
});

describe('a page as a producer', () => {
  test('sends what Node receives, in order, with headers', async () => {
    const host = await listen();
    const page = await visit(host.address, { role: 'producer' });
    const headers = { 'x-from': 'page', ümlaut: '✓' };
    const receipt = await page.send({ n: 0 }, { headers, type: 't', priority: 3, id: 'mine' });
    expect(receipt.toJSON()).toEqual({ id: 'mine', reached: 'placed' });
    const first = await host.receive({ timeoutMs: 5_000 });
    expect([first.data, { ...first.headers }, first.type, first.priority, first.id]).toEqual([
      { n: 0 },
      headers,
      't',
      3,
      'mine',
    ]);
    await Promise.all(Array.from({ length: 3_000 }, (_, n) => page.send(n).catch(() => undefined)));
    let last = -1;
    for (let count = 0; count < 1_000; count += 1) {
      const { data } = await host.receive({ timeoutMs: 5_000 });
      expect(data as number).toBeGreaterThan(last);
      last = data as number;
    }
  });

  test('large and empty bodies arrive whole; too large is refused before it is sent', async () => {
    const host = await listen({ codec: 'bytes', maxMessageBytes: 3_000_000 });
    const page = await visit(host.address, { codec: 'bytes' });
    for (const size of [0, 1, 65_535, 65_536, 65_537, 3_000_000]) {
      const body = new Uint8Array(size).map((_, index) => index * 7);
      const sending = page.send(body);
      const got = await host.receive({ timeoutMs: 5_000 });
      expect(Buffer.from(got.body).equals(Buffer.from(body)), String(size)).toBe(true);
      await sending;
      await host.send(body);
      const back = await page.receive({ timeoutMs: 5_000 });
      expect(Buffer.from(back.body).equals(Buffer.from(body)), `${size} back`).toBe(true);
    }
    expect(await codeOf(page.send(new Uint8Array(3_000_001)))).toBe('NARU_TOO_LARGE');
  });

  test('waits while the mailbox is full, with limits; so many may wait', async () => {
    const host = await listen({ capacityMessages: 3 });
    const page = await visit(host.address);
    for (let n = 0; n < 3; n += 1) await page.send(n);
    expect(await codeOf(page.send('no', { timeoutMs: 30 }))).toBe('NARU_TIMEOUT');
    const abort = AbortSignal.timeout(30);
    expect(await page.send('no', { signal: abort }).catch((error: unknown) => error)).toBe(abort.reason);
    const waiting = Array.from({ length: 1_000 }, (_, n) => page.send(n + 3));
    expect(await codeOf(page.send('too many'))).toBe('NARU_OVERLOADED');
    for (let n = 0; n < 1_003; n += 1) expect((await host.receive({ timeoutMs: 5_000 })).data).toBe(n);
    await Promise.all(waiting);
  });

  test('confirm "received" waits for a consumer', async () => {
    const host = await listen();
    const page = await visit(host.address);
    let isReceived = false;
    const sending = page.send('x', { confirm: 'received' }).then(({ reached }) => {
      isReceived = true;
      return reached;
    });
    await until(() => host.peers.producers === 1, 'it is sent');
    expect(isReceived).toBe(false);
    await host.receive({ timeoutMs: 5_000 });
    expect(await sending).toBe('received');
  });

  test('data that its codec cannot carry is NARU_INVALID_MESSAGE', async () => {
    const host = await listen();
    const page = await visit(host.address);
    expect(await codeOf(page.send(undefined))).toBe('NARU_INVALID_MESSAGE');
    expect(await codeOf(page.send(new Uint8Array(1)))).toBe('NARU_INVALID_MESSAGE');
    expect(await codeOf(visit(host.address, { codec: 'v8' as 'json' }))).toBe('NARU_INVALID_ARGUMENT');
  });
});

describe('a page as a consumer', () => {
  test('a loop gets everything once, settled; leaving it gives the current one back unmarked', async () => {
    const host = await listen();
    await host.sendMany(Array.from({ length: 500 }, (_, n) => n));
    const page = await visit(host.address, { role: 'consumer' });
    const got: unknown[] = [];
    for await (const message of page) {
      got.push(message.data);
      if (got.length === 400) break;
    }
    for (let n = 399; n < 500; n += 1) {
      const message = await page.receive({ timeoutMs: 5_000 });
      expect([message.data, message.redelivered]).toEqual([n, false]);
    }
    expect(got).toEqual(Array.from({ length: 400 }, (_, n) => n));
    expect(await codeOf(page.receive({ timeoutMs: 20 }))).toBe('NARU_TIMEOUT');
    await host.send('last');
    expect((await host.receive({ timeoutMs: 5_000 })).data).toBe('last');
    expect((await host.stats()).place.unsettled).toBe(0);
  });

  test('settling by hand: ack, nack, reject, and twice', async () => {
    const host = await listen();
    const page = await visit(host.address, { settle: 'manual' });
    await host.sendMany(['a', 'b', 'c']);
    const [a, b, c] = [await page.receive(), await page.receive(), await page.receive()];
    await a.ack();
    expect(await codeOf(a.ack())).toBe('NARU_SETTLED');
    await b.nack();
    await c.reject();
    const again = await page.receive({ timeoutMs: 5_000 });
    expect([again.data, again.redelivered, again.deliveries]).toEqual(['b', true, 2]);
    await again.ack();
    expect((await host.stats()).place.unsettled).toBe(0);
  });

  test('a message that cannot be decoded is rejected, told, and the loop goes on', async () => {
    const host = await listen({ codec: 'bytes' });
    const page = await visit(host.address);
    const errors: string[] = [];
    page.on('error', ({ error }) => errors.push(error.code));
    await host.send(Buffer.from('{'));
    await host.send(Buffer.from('"fine"'));
    for await (const message of page) {
      expect(message.data).toBe('fine');
      break;
    }
    expect(errors).toEqual(['NARU_INVALID_MESSAGE']);
  });

  test('the end of the mailbox ends the loop; so does close()', async () => {
    const host = await listen();
    const page = await visit(host.address);
    const other = await visit(host.address);
    const got: unknown[] = [];
    const loop = (async () => {
      for await (const { data } of page) got.push(data);
    })();
    const closing = (async () => {
      for await (const { data } of other) got.push(data);
    })();
    await until(() => host.peers.consumers === 2, 'both are there');
    await other.close();
    await closing;
    await host.sendMany([1, 2]);
    await host.end();
    await loop;
    expect(got).toEqual([1, 2]);
    expect(await codeOf(page.receive())).toBe('NARU_CLOSED');
    expect(await codeOf(other.send(1))).toBe('NARU_CLOSED');
  });

  test('requests both ways; errors of the handler come home', async () => {
    const host = await listen();
    const page = await visit(host.address);
    const serving = host.serve(({ data }) => {
      if (data === 'fail') throw new Error('no luck');
      return { got: data };
    });
    expect(await page.request(7, { timeoutMs: 5_000 })).toEqual({ data: { got: 7 } });
    await expect(page.request('fail', { timeoutMs: 5_000 })).rejects.toMatchObject({
      code: 'NARU_REMOTE',
      message: expect.stringMatching(/no luck/) as string,
    });
    await serving.stop();
    const asking = host.request('to the page', { timeoutMs: 5_000 });
    const request = await page.receive({ timeoutMs: 5_000 });
    await request.reply(`${String(request.data)}: yes`);
    expect((await asking).data).toBe('to the page: yes');
  });
});

describe('a slow page', () => {
  test('with full drop-oldest the newest wins, and what was passed over is counted exactly', async () => {
    const host = await listen({ deliver: 'all', full: 'drop-oldest', capacityMessages: 1 });
    const page = await visit(host.address, { role: 'consumer' });
    let gaps = 0;
    page.on('gap', ({ count }) => {
      gaps += count;
    });
    await host.send(1);
    expect((await page.receive({ timeoutMs: 5_000 })).data).toBe(1);
    let sent = 1;
    const got: number[] = [];
    const loop = (async () => {
      for await (const message of page) {
        const n = message.data as number;
        got.push(n);
        // Slow: the producer sends hundreds meanwhile.
        await until(() => sent === 2_000 || sent >= n + 300, 'more is sent');
        if (n === 2_000) break;
      }
    })();
    while (sent < 2_000) {
      await host.send((sent += 1));
      if (sent % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await loop;
    expect(got.length).toBeLessThan(40);
    expect(gaps).toBe(2_000 - 1 - got.length);
  });

  test('takes no more than its window of a queue, and no more bytes than 4 MiB and a message', async () => {
    const host = await listen({ codec: 'bytes' });
    const page = await visit(host.address, { codec: 'bytes', prefetch: 32, role: 'consumer' });
    await host.sendMany(Array.from({ length: 60 }, () => Buffer.alloc(1_000_000)));
    const loop = page.messages();
    await loop.next();
    await until(() => true, 'a turn');
    expect((await host.stats()).place.unsettled).toBeLessThan(12);
    await loop.return();
    const small = await listen();
    const other = await visit(small.address, { prefetch: 8, role: 'consumer' });
    await small.sendMany(Array.from({ length: 500 }, (_, n) => n));
    const slow = other.messages();
    for (let n = 0; n < 20; n += 1) await slow.next();
    expect((await small.stats()).place.unsettled).toBeLessThanOrEqual(10);
    await slow.return();
  });
});

describe('what fails', () => {
  test('nobody listens, a wrong path, a wrong key, wrong arguments', async () => {
    const port = await freePort();
    await expect(visit(`ws://127.0.0.1:${port}`, { timeoutMs: 150 })).rejects.toMatchObject({
      code: 'NARU_TIMEOUT',
      message: expect.stringMatching(/within 150 ms; the last attempt: .*nobody listens/) as string,
    });
    const host = await listen({ key: KEY });
    expect(await codeOf(visit(host.address))).toBe('NARU_DENIED');
    expect(await codeOf(visit(host.address, { key: 'another key of many bytes' }))).toBe('NARU_DENIED');
    await (await visit(host.address, { key: KEY })).send(1);
    expect(await codeOf(visit(`${host.address}/other`, { key: KEY, timeoutMs: 100 }))).toBe('NARU_TIMEOUT');
    const abort = AbortSignal.timeout(50);
    expect(await visit(`ws://127.0.0.1:${port}`, { signal: abort }).catch((error: unknown) => error)).toBe(
      abort.reason,
    );
    for (const url of ['http://x', 'ws://user@host/', 'ws://h/?key=x', 'ws://']) {
      expect(await codeOf(visit(url)), url).toBe('NARU_INVALID_ARGUMENT');
    }
    expect(await codeOf(visit(host.address, { prefetch: 0 }))).toBe('NARU_INVALID_ARGUMENT');
  });

  test('a host that is killed twenty times and started again: sends end, loops resume', {
    timeout: 120_000,
  }, async () => {
    const url = `ws://127.0.0.1:${await freePort()}/box`;
    const start = () => peers.start({ url: `${url}?listen`, act: 'hold' });
    let host = start();
    const producer = await visit(url, { role: 'producer' });
    const consumer = await visit(url, { role: 'consumer' });
    const over = new AbortController();
    const seen = new Set<number>();
    const outcomes = { placed: 0, unknown: 0 };
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
      for await (const message of consumer) {
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
    over.abort();
    await sending;
    expect(outcomes.placed + outcomes.unknown).toBe(sent);
    await producer.send(-1);
    await consuming;
  });

  test('a half-open connection is found dead by both sides; what it held comes again', async () => {
    const host = await listen({}, '&heartbeatMs=100');
    const proxy = await proxyTo(host);
    const page = await visit(`ws://127.0.0.1:${proxy.port}/box`, { heartbeatMs: 100, settle: 'manual' });
    const events: string[] = [];
    page.on('disconnect', () => events.push('disconnect'));
    page.on('reconnect', () => events.push('reconnect'));
    await host.send('held');
    const held = await page.receive({ timeoutMs: 5_000 });
    proxy.isStalled = true;
    const again = await host.receive({ timeoutMs: 5_000 });
    expect([again.data, again.redelivered]).toEqual(['held', true]);
    await until(() => events.includes('disconnect'), 'the page sees it too');
    expect(await codeOf(held.ack())).toBe('NARU_DISCONNECTED');
    proxy.isStalled = false;
    await page.send('back');
    expect((await host.receive({ timeoutMs: 5_000 })).data).toBe('back');
    expect(events).toEqual(['disconnect', 'reconnect']);
  });

  test('a subscriber that comes back gets what is new, and the gap of what it missed', async () => {
    const host = await listen({ deliver: 'all', retain: 1 });
    const proxy = await proxyTo(host);
    await host.send('snapshot');
    const page = await visit(`ws://127.0.0.1:${proxy.port}/box`, { role: 'consumer' });
    expect((await page.receive({ timeoutMs: 5_000 })).data).toBe('snapshot');
    const gaps: number[] = [];
    page.on('gap', ({ count }) => gaps.push(count));
    proxy.isDown = true;
    proxy.reset();
    await until(() => !page.connected && host.peers.consumers === 0, 'it is gone');
    await host.sendMany([1, 2, 3]);
    proxy.isDown = false;
    await until(() => page.connected, 'it is back');
    await host.send('new');
    expect((await page.receive({ timeoutMs: 5_000 })).data).toBe('new');
    expect(gaps).toEqual([3]);
  });

  test('a stream cut into single bytes changes nothing', async () => {
    const host = await listen();
    const proxy = await proxyTo(host);
    proxy.pieceBytes = 1;
    const page = await visit(`ws://127.0.0.1:${proxy.port}/box`);
    for (let n = 0; n < 20; n += 1) await page.send({ n, text: 'ä'.repeat(n) });
    for (let n = 0; n < 20; n += 1)
      expect((await page.receive({ timeoutMs: 5_000 })).data).toEqual({ n, text: 'ä'.repeat(n) });
  });

  test('close() waits for receipts, and says what was not confirmed', async () => {
    const host = await listen({ capacityMessages: 1 });
    const page = await visit(host.address);
    const one = page.send(1);
    expect(await page.close()).toEqual({ undelivered: 0 });
    await one;
    const other = await visit(host.address);
    const lost = codeOf(other.send(2));
    expect(await other.close({ flushMs: 50 })).toEqual({ undelivered: 1 });
    expect(await lost).toBe('NARU_CLOSED');
  });

  test('a host that sends nonsense is left, with a reason', async () => {
    const { WebSocketServer } = (await loadWs()) as unknown as {
      WebSocketServer: new (
        options: object,
      ) => {
        on(event: 'connection', listener: (socket: { send(data: unknown): void }) => void): void;
        on(event: 'listening', listener: () => void): void;
        address(): AddressInfo;
        close(): void;
        readonly clients: Set<{ terminate(): void }>;
      };
    };
    const frame = (type: number, text: string): Buffer => {
      const bytes = Buffer.alloc(5 + Buffer.byteLength(text));
      bytes.writeUInt32LE(bytes.length - 4, 0);
      bytes[4] = type;
      bytes.write(text, 5);
      return bytes;
    };
    const preamble = Buffer.from([0x4e, 0x41, 0x52, 0x55, 1, 0, 0, 0]);
    for (const [answer, code] of [
      ['text', 'NARU_CORRUPT'],
      [Buffer.from('HTTP/1.1 200 OK'), 'NARU_CORRUPT'],
      [Buffer.from([0x4e, 0x41, 0x52, 0x55, 9, 0, 0, 0]), 'NARU_UNSUPPORTED'],
      [Buffer.concat([preamble, Buffer.from([255, 255, 255, 255])]), 'NARU_CORRUPT'],
      [Buffer.concat([preamble, frame(1, '{')]), 'NARU_CORRUPT'],
      [Buffer.concat([preamble, frame(1, '{"settings":{}}')]), 'NARU_CORRUPT'],
    ] as const) {
      const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
      await new Promise<void>((resolve) => {
        server.on('listening', resolve);
      });
      server.on('connection', (socket) => socket.send(answer));
      expect(
        await codeOf(visit(`ws://127.0.0.1:${server.address().port}`, { timeoutMs: 3_000 })),
        String(answer),
      ).toBe(code);
      for (const socket of server.clients) socket.terminate();
      server.close();
    }
  });
});
