// A mailbox in somebody else's server: node:http, Express and Fastify, real ones, with curl's kind of requests and with handles of Naru.

import { createServer, type RequestListener, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import fastify from 'fastify';
import { afterEach, describe, expect, test } from 'vitest';
import { until } from '../../link/processes.fixture.ts';
import type { Mailbox } from '../../mailbox/mailbox.ts';
import { closeAll, codeOf, json, post, postJson, problem, take, use } from './client.fixture.ts';
import { handlerOf, type HttpHandler } from './index.ts';

/** The part of Express that is used; the package has no types of its own. */
interface ExpressApp extends RequestListener {
  use(handler: unknown): void;
  use(path: string, handler: HttpHandler): void;
  get(path: string, handler: (request: object, response: { send(text: string): void }) => void): void;
}
const express = createRequire(import.meta.url)('express') as {
  (): ExpressApp;
  json(): unknown;
};

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  await closeAll();
  await Promise.all(closing.splice(0).map((close) => close()));
});

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(
    () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  );
  return (server.address() as AddressInfo).port;
}

/** Each mounts the mailbox below /queues and has a route of its own. @returns the URL of /queues */
const SERVERS: Record<string, (mailbox: Mailbox) => Promise<string>> = {
  async 'node:http'(mailbox) {
    const handler = handlerOf(mailbox, { base: '/queues' });
    const port = await listen(
      createServer((request, response) => handler(request, response, () => response.end('own'))),
    );
    return `http://127.0.0.1:${port}/queues`;
  },
  async Express(mailbox) {
    const app = express();
    app.use('/queues', handlerOf(mailbox));
    app.get('/queues/other', (_request, response) => response.send('own'));
    return `http://127.0.0.1:${await listen(createServer(app))}/queues`;
  },
  async 'Express after express.json()'(mailbox) {
    const app = express();
    app.use(express.json());
    app.use('/queues', handlerOf(mailbox));
    app.get('/queues/other', (_request, response) => response.send('own'));
    return `http://127.0.0.1:${await listen(createServer(app))}/queues`;
  },
  async Fastify(mailbox) {
    const app = fastify({ forceCloseConnections: true });
    const handler = handlerOf(mailbox, { base: '/queues' });
    await app.register((scope, _options, done) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser('*', (_request, _payload, parsed) => parsed(null));
      scope.all('/queues/jobs*', (request, reply) => {
        reply.hijack();
        handler(request.raw, reply.raw);
      });
      done();
    });
    app.get('/queues/other', () => 'own');
    closing.push(() => app.close());
    return `${await app.listen({ port: 0, host: '127.0.0.1' })}/queues`;
  },
};

describe.each(Object.entries(SERVERS))('%s', (_name, serve) => {
  test('requests, streams, handles of Naru and the server’s own routes', async () => {
    const jobs = await use('http:///jobs?mount');
    const queues = await serve(jobs);
    const url = `${queues}/jobs`;
    await postJson(url, { id: 1 });
    const [message] = await take(url, 'waitMs=5000');
    expect(message).toMatchObject({ data: { id: 1 } });
    expect(await json(postJson(`${url}/ack`, { ids: [message?.ack] }))).toEqual({ settled: 1 });
    expect(await (await fetch(`${queues}/other`)).text()).toBe('own');
    expect(await problem(post(`${url}/nothing`))).toMatchObject({ status: 404 });

    const guest = await use(url);
    const serving = guest.serve((request) => ({ twice: (request.data as { n: number }).n * 2 }));
    expect(await json(postJson(`${url}/request`, { n: 21 }))).toEqual({ twice: 42 });
    await serving.stop();
    await guest.send(Buffer.alloc(100_000, 'x').toString());
    expect(((await jobs.receive({ timeoutMs: 5_000 })).data as string).length).toBe(100_000);

    const hangUp = new AbortController();
    const stream = await fetch(`${url}/events`, { signal: hangUp.signal });
    const reader = stream.body?.getReader();
    await until(() => jobs.peers.consumers >= 1, 'it listens');
    await jobs.send('news');
    let text = '';
    while (!text.includes('"news"')) text += Buffer.from((await reader?.read())?.value ?? []).toString();
    hangUp.abort();

    const document = await json<{ paths: object }>(fetch(`${url}/openapi.json`));
    expect(Object.keys(document.paths)).toContain('/queues/jobs/receive');
    await guest.close();
  });
});

test('a token guards a mounted mailbox, too', async () => {
  const jobs = await use('http:///jobs?mount', { key: 'a-token' });
  const url = await SERVERS['node:http']?.(jobs);
  expect(await problem(post(`${url}/jobs`, '1'))).toMatchObject({ status: 401, code: 'NARU_DENIED' });
  const guest = await use(`${url}/jobs`, { key: 'a-token' });
  await guest.send('in');
  expect((await jobs.receive()).data).toBe('in');
});

test('without a token pages of browsers are refused; names of the host are the server’s business', async () => {
  const jobs = await use('http:///jobs?mount');
  const url = await SERVERS['node:http']?.(jobs);
  const headers = { origin: 'https://evil.example' };
  expect(await problem(post(`${url}/jobs`, '1', { headers }))).toMatchObject({ status: 403 });
});

test('a name is mounted once; what is not mounted has no handler, and a closed one answers no more', async () => {
  const jobs = await use('http:///jobs?mount');
  expect(await codeOf(use('http:///jobs?mount'))).toBe('NARU_EXISTS');
  const url = await SERVERS['node:http']?.(jobs);
  await jobs.close();
  expect(await problem(post(`${url}/jobs`, '1'))).toMatchObject({ status: 410, code: 'NARU_CLOSED' });
  expect(() => handlerOf(jobs)).toThrow(/no mailbox is mounted/);
  const again = await use('http:///jobs?mount');
  expect(handlerOf(again)).toBeTypeOf('function');
});
