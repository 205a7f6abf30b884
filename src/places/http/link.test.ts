// http:// for handles of Naru when things go wrong: nobody listens, the host is killed, connections break, stall or come in bytes, and
// what is sent to the link's routes by hand.

import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { generate } from 'selfsigned';
import { afterEach, describe, expect, test } from 'vitest';
import { freePort } from '../../link/calls.fixture.ts';
import { FaultProxy } from '../../link/fault-proxy.fixture.ts';
import { type Peer, Peers, until } from '../../link/processes.fixture.ts';
import type { Mailbox } from '../../mailbox/mailbox.ts';
import { open } from '../../open.ts';
import { encodePreamble } from '../../wire/splitter.ts';
import { closeAll, codeOf, LISTEN, plain, portOf, post, problem, use } from './client.fixture.ts';

const peers = new Peers();
const proxies: FaultProxy[] = [];

afterEach(async () => {
  await peers.end();
  await closeAll();
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
});

async function proxyTo(mailbox: Mailbox): Promise<FaultProxy> {
  const proxy = await FaultProxy.to(portOf(mailbox));
  proxies.push(proxy);
  return proxy;
}

const event = (mailbox: Mailbox, name: 'disconnect' | 'reconnect'): Promise<void> =>
  new Promise((resolve) => {
    mailbox.on(name, () => resolve());
  });

describe('opening', () => {
  test('who connects first waits for the listener', async () => {
    const port = await freePort();
    const connecting = use(`http://127.0.0.1:${port}/jobs`);
    const host = await use(`http://127.0.0.1:${port}/jobs?listen`);
    await (await connecting).send('hello');
    expect((await host.receive()).data).toBe('hello');
  });

  test('nobody listens: opening fails within its time, and says why', async () => {
    const opening = use(`http://127.0.0.1:${await freePort()}/jobs`, { timeoutMs: 1_000 });
    await expect(opening).rejects.toMatchObject({
      code: 'NARU_TIMEOUT',
      message: expect.stringMatching(/the last attempt: .*ECONNREFUSED/) as string,
    });
  });

  test('another server, another mailbox, one that exists', async () => {
    const other = createHttpServer((_request, response) => response.end('hello'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    const strange = await codeOf(open(`http://127.0.0.1:${port}/jobs`, { timeoutMs: 300 }));
    other.close();
    expect(strange).toBe('NARU_TIMEOUT');
    const host = await use();
    expect(await codeOf(open(`${host.address}x`))).toBe('NARU_NOT_FOUND');
    expect(await codeOf(open(host.address, { create: 'new' }))).toBe('NARU_EXISTS');
    expect(await codeOf(open(host.address, { capacityMessages: 1 }))).toBe('NARU_EXISTS');
  });

  test('over TLS, by a certificate that is trusted; by another not', async () => {
    const pems = await generate([{ name: 'commonName', value: 'localhost' }], {
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
    const host = await use('https://127.0.0.1:0/jobs?listen', {
      tls: { cert: pems.cert, key: pems.private },
    });
    expect(host.address).toMatch(/^https:/);
    const guest = await use(host.address, { tls: { ca: pems.cert } });
    await guest.send('secret');
    expect((await host.receive()).data).toBe('secret');
    expect(await codeOf(open(host.address, { timeoutMs: 2_000 }))).toBe('NARU_DENIED');
  });

  test('more handles than may be connected', async () => {
    const host = await use(`${LISTEN}&maxConnections=2`);
    const first = await use(host.address);
    await use(host.address);
    expect(await codeOf(open(host.address))).toBe('NARU_LIMIT');
    await first.close();
    await until(() => host.peers.producers === 0, 'it is gone');
    await use(host.address);
  });
});

describe('a network that fails', () => {
  test('single bytes at a time change nothing', async () => {
    const host = await use();
    const proxy = await proxyTo(host);
    proxy.pieceBytes = 1;
    const guest = await use(`http://127.0.0.1:${proxy.port}/jobs`);
    await guest.sendMany(Array.from({ length: 20 }, (_, n) => n));
    for (let n = 0; n < 20; n += 1) expect((await guest.receive({ timeoutMs: 10_000 })).data).toBe(n);
  });

  test('connections that break: the handle comes back, and every send has an outcome', async () => {
    const host = await use(LISTEN, { dedup: 10_000 });
    const proxy = await proxyTo(host);
    const guest = await use(`http://127.0.0.1:${proxy.port}/jobs`);
    const received = new Set<unknown>();
    const receiving = (async () => {
      for await (const { data } of host) received.add(data);
    })();
    const placed: number[] = [];
    let next = 0;
    for (let round = 0; round < 10; round += 1) {
      const sending = Array.from({ length: 50 }, async () => {
        const n = (next += 1);
        const code = await codeOf(guest.send(n, { id: String(n), timeoutMs: 15_000 }));
        if (typeof code === 'object') placed.push(n);
        else expect(code).toBe('NARU_OUTCOME_UNKNOWN');
      });
      await Promise.race(sending);
      const back = event(guest, 'reconnect');
      proxy.reset();
      await back;
      await Promise.all(sending);
    }
    await guest.send('last');
    await until(() => received.has('last'), 'everything came');
    expect(placed.filter((n) => !received.has(n))).toEqual([]);
    await host.end();
    await receiving;
  }, 60_000);

  test('half-open: silence is seen, waiting receives and sends go on over a new connection', async () => {
    const host = await use(`${LISTEN}&heartbeatMs=100`);
    const proxy = await proxyTo(host);
    const guest = await use(`http://127.0.0.1:${proxy.port}/jobs?heartbeatMs=100`);
    await guest.send('first');
    expect((await host.receive()).data).toBe('first');
    const receiving = guest.receive({ timeoutMs: 20_000 });
    const back = event(guest, 'reconnect');
    const lost = event(guest, 'disconnect');
    proxy.isStalled = true;
    const unknown = codeOf(guest.send('on its way', { timeoutMs: 20_000 }));
    await lost;
    proxy.reset();
    proxy.isStalled = false;
    await back;
    expect(['NARU_OUTCOME_UNKNOWN', 'object']).toContain(
      typeof (await unknown) === 'object' ? 'object' : await unknown,
    );
    await host.send('for the guest');
    const first = (await receiving).data;
    expect(['for the guest', 'on its way']).toContain(first);
  }, 60_000);

  test.each([
    { what: 'before it was passed on', passesOn: false },
    { what: 'before its answer came back', passesOn: true },
  ])(
    'a connection that ends as it is used again, $what: nothing is lost and nothing comes twice',
    async ({ passesOn }) => {
      const host = await use();
      const breaker = new KeepAliveBreaker(portOf(host), passesOn);
      const guest = await use(`http://127.0.0.1:${await breaker.listen()}/jobs`);
      guest.on('disconnect', ({ reason }) => expect.unreachable(reason));
      for (let n = 0; n < 100; n += 1) await guest.send(n);
      for (let n = 0; n < 100; n += 1) expect((await host.receive({ timeoutMs: 5_000 })).data).toBe(n);
      expect((await host.stats()).place.depth).toBe(0);
      expect(breaker.broken).toBeGreaterThan(20);
      await guest.close();
      await breaker.close();
    },
  );
});

/** Ends a connection over which a piece was answered at the moment when the next piece comes. */
class KeepAliveBreaker {
  readonly #server = createServer((near) => this.#onConnection(near));
  readonly #port: number;
  readonly #passesOn: boolean;
  broken = 0;

  constructor(port: number, passesOn: boolean) {
    this.#port = port;
    this.#passesOn = passesOn;
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  #onConnection(near: Socket): void {
    const far = connect(this.#port, '127.0.0.1');
    let isAnswered = false;
    let isBroken = false;
    near.on('data', (bytes: Buffer) => {
      if (isAnswered && !isBroken) {
        isBroken = true;
        this.broken += 1;
        if (!this.#passesOn) {
          near.resetAndDestroy();
          return;
        }
      }
      far.write(bytes);
    });
    far.on('data', (bytes: Buffer) => {
      if (isBroken) near.resetAndDestroy();
      else near.write(bytes);
      isAnswered ||= bytes.includes(' 204 ');
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', () => other.destroy());
    }
  }
}

describe('a host that dies', () => {
  test('SIGKILL twenty times: producers and consumers come back, what was in its memory is gone, every send has an outcome', async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}/jobs`;
    const startHost = async (): Promise<Peer> => {
      const host = peers.start({ url: `${url}?listen`, act: 'hold' });
      await host.hears((said) => said['ready'] === true || said['refused'] !== undefined);
      return host;
    };
    let host = await startHost();
    const producer = await use(url);
    const consumer = await use(url);
    const received = new Set<unknown>();
    const receiving = (async () => {
      for await (const { data } of consumer) received.add(data);
    })();
    let next = 0;
    for (let round = 0; round < 20; round += 1) {
      const before = received.size;
      const outcomes = Array.from({ length: 20 }, () =>
        codeOf(producer.send((next += 1), { timeoutMs: 20_000 })),
      );
      await Promise.race(outcomes);
      const back = Promise.all([event(producer, 'reconnect'), event(consumer, 'reconnect')]);
      await host.kill();
      host = await startHost();
      await back;
      for (const outcome of await Promise.all(outcomes)) {
        if (typeof outcome !== 'object') expect(outcome).toBe('NARU_OUTCOME_UNKNOWN');
      }
      await producer.send(`round ${round}`, { timeoutMs: 20_000 });
      await until(() => received.has(`round ${round}`), `round ${round} went through`);
      expect(received.size).toBeGreaterThan(before);
    }
    await consumer.close();
    await receiving.catch(() => undefined);
  }, 120_000);

  test('a guest that is killed gives back what it had, marked', async () => {
    const host = await use();
    await host.sendMany([{ id: 'a' }, { id: 'b' }]);
    const guest = peers.start({
      url: host.address,
      act: 'consume',
      idleMs: 20_000,
      options: { settle: 'manual' },
    });
    await guest.hears((said) => said['received'] !== undefined);
    await guest.kill();
    const [a, b] = [await host.receive({ timeoutMs: 5_000 }), await host.receive({ timeoutMs: 5_000 })];
    expect([a.data, b.data]).toEqual([{ id: 'a' }, { id: 'b' }]);
    expect(a.redelivered).toBe(true);
  });
});

describe('the link’s routes, by hand', () => {
  async function link(url: string): Promise<{ id: string; response: Response }> {
    const response = await post(`${url}/link`);
    return { id: response.headers.get('naru-link') ?? '', response };
  }

  test('a piece that came before is passed over; one that is missing ends it', async () => {
    const host = await use();
    const { id, response } = await link(host.address);
    const feed = (offset: number, bytes: Buffer): Promise<Response> =>
      post(`${host.address}/link/${id}`, new Uint8Array(bytes), {
        headers: { 'naru-offset': String(offset) },
      });
    const preamble = encodePreamble(1, 0);
    expect((await feed(0, preamble)).status).toBe(204);
    expect((await feed(0, preamble)).status).toBe(204);
    expect(await problem(feed(100, preamble))).toMatchObject({ status: 400, code: 'NARU_CORRUPT' });
    expect(await problem(post(`${host.address}/link/${id}`, 'x'))).toMatchObject({ status: 400 });
    await response.body?.cancel();
  });

  test('garbage is cut off and counted; pieces over the limit are refused; silence ends after five seconds', async () => {
    const host = await use();
    const garbage = await link(host.address);
    await post(`${host.address}/link/${garbage.id}`, 'GET / HTTP/1.1\r\n\r\n', {
      headers: { 'naru-offset': '0' },
    });
    expect(await garbage.response.text()).toMatch(/does not speak the protocol/);
    const large = await link(host.address);
    const headers = { 'naru-offset': '0' };
    const body = new Uint8Array(1_048_577);
    expect(await problem(post(`${host.address}/link/${large.id}`, body, { headers }))).toMatchObject({
      status: 413,
    });
    await large.response.body?.cancel();
    const silent = await link(host.address);
    await silent.response.text();
    const { extra } = (await host.stats()).place;
    expect(extra['brokenConnections']).toBeGreaterThanOrEqual(2);
    await until(() => host.peers.producers === 0, 'nobody is left');
  });

  test('a handle that does not read costs what its connection holds', async () => {
    const host = await use(LISTEN, { codec: 'bytes' });
    const { socket } = await plain(portOf(host));
    socket.write('POST /jobs/link HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n');
    socket.pause();
    const guest = await use(host.address, { codec: 'bytes', settle: 'manual' });
    const iterator = guest.messages()[Symbol.asyncIterator]();
    const first = iterator.next();
    await host.sendMany(Array.from({ length: 40 }, () => Buffer.alloc(1_000_000)));
    await first;
    const { place } = await host.stats();
    expect(place.unsettled).toBeLessThan(12);
    await iterator.return?.();
  });
});
