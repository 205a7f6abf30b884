// http:// and those who may not, or ask too much: tokens, pages of browsers, limits, slow ones, ports.

import { afterEach, describe, expect, test } from 'vitest';
import { until } from '../../link/processes.fixture.ts';
import { open } from '../../open.ts';
import { closeAll, codeOf, curl, LISTEN, plain, portOf, post, problem, take, use } from './client.fixture.ts';
import { ROUTES } from './routes.ts';

afterEach(closeAll);

describe('tokens and strangers', () => {
  const TOKEN = 'a-token-that-nobody-may-see';

  test('no token, another one, the right one; in the URL or as an option; never in a message', async () => {
    const host = await use(`http://:${TOKEN}@127.0.0.1:0/jobs?listen`);
    expect(host.address).not.toContain(TOKEN);
    expect(JSON.stringify(host)).not.toContain(TOKEN);
    for (const authorization of [
      undefined,
      'Bearer wrong',
      `Basic ${btoa(`:${TOKEN}`)}`,
      `Bearer ${TOKEN}x`,
    ]) {
      for (const { method, path } of ROUTES) {
        const url = host.address + path.replace('{id}', 'x');
        const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
        const answer = await fetch(url, { method, headers });
        expect(answer.status, `${method} ${path}`).toBe(401);
        expect(answer.headers.get('www-authenticate')).toBe('Bearer');
        expect(await answer.text()).not.toContain(TOKEN);
      }
    }
    const good = await post(host.address, '1', { headers: { authorization: `Bearer ${TOKEN}` } });
    expect(good.status).toBe(201);
    for (const url of [host.address, host.address.replace('://', '://:wrong@')]) {
      const error: unknown = await open(url).catch((failure: unknown) => failure);
      expect(error).toMatchObject({ code: 'NARU_DENIED' });
      expect(String(error)).not.toMatch(/wrong@|a-token/);
    }
    const byOption = await use(host.address, { key: TOKEN });
    expect((await byOption.receive({ timeoutMs: 5_000 })).data).toBe(1);
    const byUrl = await use(host.address.replace('://', `://:${TOKEN}@`));
    await byUrl.send(2);
    expect((await host.receive()).data).toBe(2);
  });

  test('without a token: no page of a browser, no other name of the host, no open door', async () => {
    const host = await use();
    const headers = { origin: 'https://evil.example' };
    expect(await problem(post(host.address, '1', { headers }))).toMatchObject({
      status: 403,
      code: 'NARU_DENIED',
    });
    const rebound = await curl('-H', 'Host: evil.example', host.address);
    expect(JSON.parse(rebound)).toMatchObject({ status: 403, code: 'NARU_DENIED' });
    expect((await fetch(host.address.replace('127.0.0.1', 'localhost'))).status).toBe(200);
    expect(await codeOf(open('http://0.0.0.0:0/jobs?listen'))).toBe('NARU_INVALID_ARGUMENT');
    const anybody = await use('http://0.0.0.0:0/jobs?listen&anonymous');
    const named = ['-H', 'Host: queue.example', `http://127.0.0.1:${portOf(anybody)}/jobs`];
    expect(JSON.parse(await curl(...named))).toMatchObject({ name: 'jobs' });
    await use('http://:token@0.0.0.0:0/jobs?listen');
  });

  test('wrong URLs are told', async () => {
    for (const url of [
      'http://127.0.0.1:1',
      'http://127.0.0.1:0/jobs',
      'http://127.0.0.1/jobs?listen',
      'http://:5/jobs',
      'http://127.0.0.1:1/a b',
      'http://127.0.0.1:0/jobs?listen&mount',
      'http://h:1/jobs?mount',
      'http://127.0.0.1:1/jobs?maxPolls=0',
      'http://user@127.0.0.1:1/jobs',
      'http://:bad%20token@127.0.0.1:1/jobs',
      'https://127.0.0.1:0/jobs?listen',
    ]) {
      expect(await codeOf(open(url)), url).toBe('NARU_INVALID_ARGUMENT');
    }
    expect(await codeOf(open(LISTEN, { tls: {} }))).toBe('NARU_INVALID_ARGUMENT');
    expect(await codeOf(open(`${LISTEN}&format=raw`))).toBe('NARU_UNSUPPORTED');
    expect(await codeOf(open(LISTEN, { create: 'never' }))).toBe('NARU_NOT_FOUND');
  });
});

describe('limits', () => {
  test('what is too large is refused before it is sent, where curl asks first', async () => {
    const host = await use(LISTEN, { maxMessageBytes: 1_000 });
    const { socket, heard } = await plain(portOf(host));
    socket.write(
      'POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999\r\nExpect: 100-continue\r\n\r\n',
    );
    await until(() => heard().includes('NARU_TOO_LARGE'), 'it is refused');
    expect(heard()).not.toMatch(/100 Continue/);
    const asks = await plain(portOf(host));
    asks.socket.write(
      'POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n',
    );
    await until(() => asks.heard().includes('100 Continue'), 'it may go on');
    asks.socket.write('42');
    await until(() => asks.heard().includes('201 Created'), 'it is sent');
  });

  test('a body without an end is cut off at the limit', async () => {
    const host = await use(LISTEN, { maxMessageBytes: 10_000 });
    const { socket, heard, closed } = await plain(portOf(host));
    socket.write('POST /jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n');
    const drip = setInterval(() => socket.write(`1000\r\n${'x'.repeat(4_096)}\r\n`), 1);
    await until(() => heard().includes('NARU_TOO_LARGE'), 'it is refused');
    await until(closed, 'it is cut off');
    clearInterval(drip);
  });

  test('slow ones are cut off: heads and bodies that take too long', async () => {
    const host = await use(`${LISTEN}&requestTimeoutMs=300`);
    const head = await plain(portOf(host));
    const body = await plain(portOf(host));
    body.socket.write('POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n');
    const drip = setInterval(() => {
      head.socket.write('X');
      body.socket.write('1');
    }, 50);
    await until(() => head.closed() && body.closed(), 'both are cut off');
    clearInterval(drip);
    expect((await post(host.address, '1')).status).toBe(201);
  });

  test('long heads and many headers are refused', async () => {
    const host = await use();
    const { socket, heard } = await plain(portOf(host));
    socket.write(`GET /jobs HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
    await until(() => heard().includes('431'), 'it is refused');
    expect((await fetch(host.address)).status).toBe(200);
  });

  test('no more wait than may', async () => {
    const host = await use(`${LISTEN}&maxPolls=2`);
    const waiting = [take(host.address, 'waitMs=10000'), take(host.address, 'waitMs=10000')];
    await until(() => host.peers.consumers === 1, 'they wait');
    let refused = await post(`${host.address}/receive?waitMs=0`);
    // The second may still be on its way.
    while (refused.status === 204) refused = await post(`${host.address}/receive?waitMs=0`);
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.json()).toMatchObject({ code: 'NARU_OVERLOADED', retryable: true });
    await host.sendMany([1, 2]);
    await Promise.all(waiting);
  });

  test('a reader of events that does not read costs what its connection holds, and no more', async () => {
    const host = await use(LISTEN, {
      deliver: 'all',
      codec: 'bytes',
      capacityBytes: 4_000_000,
      full: 'drop-oldest',
    });
    const { socket } = await plain(portOf(host));
    socket.pause();
    socket.write('GET /jobs/events HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await until(() => host.peers.consumers === 1, 'it listens');
    for (let n = 0; n < 100; n += 1) await host.send(Buffer.alloc(500_000, n));
    const { place } = await host.stats();
    expect(place.depthBytes).toBeLessThanOrEqual(4_000_000);
    expect(place.dropped['full']).toBeGreaterThan(50);
    socket.destroy();
    await until(() => host.peers.consumers === 0, 'it is gone');
  });

  test('an answer that nobody hears any more gives its messages back at once', async () => {
    const host = await use(LISTEN, { codec: 'bytes' });
    const { socket } = await plain(portOf(host));
    socket.pause();
    socket.write(
      'POST /jobs/receive?leaseMs=600000 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n',
    );
    await until(() => host.peers.consumers === 1, 'it waits');
    // More than a socket of the kernel takes.
    await host.send(Buffer.alloc(16_000_000));
    let unsettled = 0;
    while (unsettled === 0) ({ unsettled } = (await host.stats()).place);
    socket.destroy();
    const again = await host.receive({ timeoutMs: 10_000 });
    expect(again.body.length).toBe(16_000_000);
  });
});

describe('ports', () => {
  test('two mailboxes share a port, and each goes on its own', async () => {
    const a = await use('http://127.0.0.1:0/a?listen');
    const b = await use(`http://127.0.0.1:${portOf(a)}/b/c?listen`);
    await post(a.address, '"for a"');
    await post(b.address, '"for b"');
    expect([(await a.receive()).data, (await b.receive()).data]).toEqual(['for a', 'for b']);
    expect(await codeOf(open(`http://127.0.0.1:${portOf(a)}/a?listen`))).toBe('NARU_EXISTS');
    const { address } = a;
    await a.close();
    expect((await fetch(address)).status).toBe(404);
    expect((await fetch(b.address)).status).toBe(200);
    await b.close();
    expect(await codeOf(fetch(b.address))).toMatchObject({ message: 'fetch failed' });
  });

  test('a port of another process is taken', async () => {
    const host = await use('tcp://127.0.0.1:0?listen');
    expect(await codeOf(open(`http://127.0.0.1:${/:(\d+)$/.exec(host.address)?.[1]}/a?listen`))).toBe(
      'NARU_EXISTS',
    );
  });
});
