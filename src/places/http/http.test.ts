// http:// as anybody sees it who speaks HTTP: routes, and the document that describes them. What every place must do is in the
// conformance suite; who may not, and too much, is in strangers.test.ts; the handles of Naru are in link.test.ts.

import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterEach, describe, expect, test } from 'vitest';
import { until } from '../../link/processes.fixture.ts';
import {
  closeAll,
  curl,
  json,
  LISTEN,
  post,
  postJson,
  problem,
  take,
  type Taken,
  use,
} from './client.fixture.ts';
import { ROUTES } from './routes.ts';

afterEach(closeAll);

/** The part of the document that is compared with what is answered. */
interface OpenApi {
  readonly paths: Record<
    string,
    Record<
      string,
      { readonly responses: Record<number, { readonly content?: Record<string, { schema: object }> }> }
    >
  >;
}

describe('with curl alone', () => {
  test('send, receive, ack; the same with the message as the body of a file', async () => {
    const { address } = await use();
    expect(JSON.parse(await curl('-d', '{"id":1}', address))).toMatchObject({ confirm: 'placed' });
    const taken = JSON.parse(await curl('-X', 'POST', `${address}/receive?waitMs=5000`)) as Taken;
    expect(taken.messages).toMatchObject([{ data: { id: 1 }, deliveries: 1 }]);
    const ids = taken.messages.map(({ ack }) => ack);
    expect(JSON.parse(await curl('-d', JSON.stringify({ ids }), `${address}/ack`))).toEqual({ settled: 1 });
    expect(JSON.parse(await curl(address))).toMatchObject({ name: 'jobs', depth: 0, unsettled: 0 });
  });

  test('a request is answered by serve(), and one of serve’s kind by curl', async () => {
    const host = await use();
    const serving = host.serve((request) => ({ twice: (request.data as { n: number }).n * 2 }));
    expect(JSON.parse(await curl('-d', '{"n":21}', `${host.address}/request`))).toEqual({ twice: 42 });
    await serving.stop();
    const asking = host.request({ q: 1 }, { timeoutMs: 10_000 });
    const [request] = (JSON.parse(await curl('-X', 'POST', `${host.address}/receive`)) as Taken).messages;
    expect(request).toMatchObject({ data: { q: 1 }, wantsReply: true });
    await curl('-d', '{"a":2}', `${host.address}/reply/${request?.ack}`);
    expect((await asking).data).toEqual({ a: 2 });
    expect((await host.stats()).place).toMatchObject({ depth: 0, unsettled: 0 });
  });

  test('a stream of events is one event a message, and ends with the mailbox', async () => {
    const host = await use();
    const listening = curl('-N', `${host.address}/events`);
    await until(() => host.peers.consumers === 1, 'curl listens');
    await host.send({ n: 1 });
    await host.send({ n: 2 });
    await host.end();
    const text = await listening;
    expect(text.match(/^event: \w+$/gm)).toEqual(['event: message', 'event: message', 'event: end']);
    expect(text).toMatch(/^data: \{.*"data":\{"n":2\}/m);
    expect((await host.stats()).place.unsettled).toBe(0);
  });
});

describe('sending', () => {
  test('headers travel; what is urgent comes first; bodies are what their content type says', async () => {
    const host = await use();
    await post(host.address, 'plain', { headers: { 'content-type': 'text/plain' } });
    await post(host.address, new Uint8Array([0, 255]), { headers: { 'content-type': 'image/x-thing' } });
    await postJson(
      host.address,
      { urgent: true },
      {
        'Naru-Priority': '9',
        'Naru-Id': 'mine',
        'Naru-Key': 'k',
        'Naru-Type': 't',
        'Naru-Correlation-Id': 'c',
        'Naru-Header-From': 'test',
      },
    );
    const messages = await take(host.address, 'max=10&waitMs=0');
    expect(messages).toMatchObject([
      {
        id: 'mine',
        data: { urgent: true },
        priority: 9,
        key: 'k',
        type: 't',
        correlationId: 'c',
        headers: { from: 'test' },
      },
      { text: 'plain', contentType: 'text/plain' },
      { base64: 'AP8=', contentType: 'image/x-thing' },
    ]);
  });

  test('a list of lines is many messages; one bad line and nothing is sent', async () => {
    const host = await use();
    const headers = { 'content-type': 'application/x-ndjson' };
    const sent = await json(post(host.address, '{"n":1}\n{"n":2}\n\n{"n":3}', { headers }));
    expect(sent).toEqual({ sent: 3, confirm: 'placed' });
    expect(await problem(post(host.address, '{"n":4}\n{', { headers }))).toMatchObject({
      status: 400,
      code: 'NARU_INVALID_MESSAGE',
      detail: expect.stringMatching(/line 2/) as string,
    });
    const messages = await take(host.address, 'max=10&waitMs=0');
    expect(messages.map(({ data }) => data)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  test('an Idempotency-Key sends once: again, at the same time, and with another body', async () => {
    const host = await use();
    const send = (key: string, value: unknown): Promise<Response> =>
      postJson(host.address, value, { 'Idempotency-Key': key });
    const answers = await Promise.all([send('a', 1), send('a', 1), send('a', 1)]);
    const ids = await Promise.all(answers.map(async (answer) => (await json<{ id: string }>(answer)).id));
    expect(new Set(ids).size).toBe(1);
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true')).toHaveLength(2);
    expect(await problem(send('a', 2))).toMatchObject({ status: 409, code: 'NARU_EXISTS' });
    await send('b', 1);
    expect((await host.stats()).place.depth).toBe(2);
  });

  test('a send that failed is not remembered by its key', async () => {
    const host = await use(LISTEN, { capacityMessages: 1 });
    await host.send('first');
    const again = (): Promise<Response> =>
      post(`${host.address}?waitMs=1`, '"x"', { headers: { 'idempotency-key': 'k' } });
    expect(await problem(again())).toMatchObject({ status: 504, code: 'NARU_TIMEOUT' });
    await host.receive();
    expect((await again()).status).toBe(201);
  });

  test('a full mailbox makes senders wait, and no longer than they say', async () => {
    const host = await use(LISTEN, { capacityMessages: 1 });
    await host.send('first');
    const waiting = post(`${host.address}?waitMs=10000`, '"second"');
    expect(await problem(post(`${host.address}?waitMs=20`, '"third"'))).toMatchObject({
      code: 'NARU_TIMEOUT',
    });
    expect((await host.receive()).data).toBe('first');
    expect((await waiting).status).toBe(201);
    expect((await host.receive()).data).toBe('second');
  });

  test('confirm=received answers when a consumer has it', async () => {
    const host = await use();
    const sending = post(`${host.address}?confirm=received`, '1');
    expect((await host.receive({ timeoutMs: 5_000 })).data).toBe(1);
    expect(await json(sending)).toMatchObject({ confirm: 'received' });
  });

  test('what is wrong is said, with the code, and nothing is sent', async () => {
    const host = await use(LISTEN, { maxMessageBytes: 100 });
    const { address } = host;
    const cases: [() => Promise<Response>, number, string][] = [
      [
        () => post(address, 'no json', { headers: { 'content-type': 'application/json' } }),
        400,
        'NARU_INVALID_MESSAGE',
      ],
      [() => post(address, 'x'.repeat(101)), 413, 'NARU_TOO_LARGE'],
      [() => postJson(address, 1, { 'Naru-Priority': '256' }), 400, 'NARU_INVALID_ARGUMENT'],
      [() => postJson(address, 1, { 'Naru-Ttl-Ms': 'soon' }), 400, 'NARU_INVALID_ARGUMENT'],
      [() => post(`${address}?confirm=durable`, '1'), 400, 'NARU_INVALID_ARGUMENT'],
      [() => post(`${address}?wait=1`, '1'), 400, 'NARU_INVALID_ARGUMENT'],
      [() => postJson(address, 1, { 'Idempotency-Key': 'k'.repeat(300) }), 400, 'NARU_INVALID_ARGUMENT'],
      [() => post(`${address}/ack`, '{"ids":"x"}'), 400, 'NARU_INVALID_ARGUMENT'],
      [() => post(`${address}/ack`, 'x'), 400, 'NARU_INVALID_ARGUMENT'],
      [() => post(`${address}/nothing`, '1'), 404, 'NARU_NOT_FOUND'],
      [() => post(`${address}else`, '1'), 404, 'NARU_NOT_FOUND'],
      [() => fetch(address, { method: 'DELETE' }), 405, 'NARU_UNSUPPORTED'],
      [() => post(`${address}/link/guess`, 'x', { headers: { 'naru-offset': '0' } }), 404, 'NARU_NOT_FOUND'],
    ];
    for (const [ask, status, code] of cases) expect(await problem(ask())).toMatchObject({ status, code });
    expect((await host.stats()).place.depth).toBe(0);
  });
});

describe('receiving', () => {
  test('waits until something comes; an empty wait is 204', async () => {
    const host = await use();
    const waiting = take(host.address, 'waitMs=10000');
    expect((await post(`${host.address}/receive?waitMs=20`)).status).toBe(204);
    await host.send('now');
    expect(await waiting).toMatchObject([{ data: 'now' }]);
  });

  test('what is not acked within its lease comes again, marked; extend() keeps it', async () => {
    const host = await use();
    await host.sendMany(['a', 'b']);
    const [a] = await take(host.address, 'leaseMs=50');
    const [b] = await take(host.address, 'leaseMs=200');
    expect((await postJson(`${host.address}/extend?leaseMs=60000`, { ids: [b?.ack] })).status).toBe(200);
    const again = await take(host.address, 'waitMs=5000');
    expect(again).toMatchObject([{ id: a?.id, deliveries: 2 }]);
    expect(await problem(postJson(`${host.address}/ack`, { ids: [a?.ack, b?.ack] }))).toMatchObject({
      status: 409,
      code: 'NARU_SETTLED',
      late: [a?.ack],
    });
    expect((await postJson(`${host.address}/ack`, { ids: [again[0]?.ack] })).status).toBe(200);
    expect((await host.stats()).place).toMatchObject({ depth: 0, unsettled: 0 });
  });

  test('nack gives back, with a delay too; reject drops and counts', async () => {
    const host = await use();
    await host.send('x');
    const [first] = await take(host.address);
    await postJson(`${host.address}/nack`, { ids: [first?.ack], delayMs: 600 });
    expect(await take(host.address)).toEqual([]);
    const [second] = await take(host.address, 'waitMs=5000');
    expect(second).toMatchObject({ deliveries: 2 });
    await postJson(`${host.address}/nack`, { ids: [second?.ack], reject: true });
    const { place } = await host.stats();
    expect(place).toMatchObject({ depth: 0, unsettled: 0 });
  });

  test('a receiver that hangs up while it waits loses nothing', async () => {
    const host = await use();
    for (let round = 0; round < 20; round += 1) {
      const hangUp = new AbortController();
      const waiting = post(`${host.address}/receive?leaseMs=100`, undefined, { signal: hangUp.signal }).catch(
        () => undefined,
      );
      await until(() => host.peers.consumers === 1, 'it waits');
      // The message and the end of the connection meet: it is still there, goes back, or has a lease.
      const sending = host.send(round);
      hangUp.abort();
      await sending;
      const answer = await waiting;
      if (answer !== undefined) await answer.text().catch(() => undefined);
      const [message] = await take(host.address, 'waitMs=5000&ack=auto');
      expect(message).toMatchObject({ data: round });
    }
    expect((await host.stats()).place.depth).toBe(0);
  }, 60_000);

  test('ack=auto settles when the answer is written', async () => {
    const host = await use();
    await host.send('x');
    const [message] = await take(host.address, 'ack=auto&waitMs=0');
    expect(message?.ack).toBeUndefined();
    await until(() => host.peers.consumers === 0, 'its seat is given back');
    expect((await host.stats()).place).toMatchObject({ depth: 0, unsettled: 0 });
  });

  test('many large messages come in answers of bounded size', async () => {
    const host = await use(LISTEN, { codec: 'bytes' });
    await host.sendMany(Array.from({ length: 12 }, () => Buffer.alloc(1_000_000)));
    const counts: number[] = [];
    while (counts.reduce((sum, n) => sum + n, 0) < 12) {
      counts.push((await take(host.address, 'max=100&waitMs=0&ack=auto')).length);
    }
    expect(Math.max(...counts)).toBeLessThanOrEqual(5);
  });

  test('a topic: groups share, each has its own; without a group it is asked for', async () => {
    const host = await use(LISTEN, { deliver: 'all' });
    const { address } = host;
    expect(await problem(post(`${address}/receive`))).toMatchObject({ status: 400 });
    expect(await take(address, 'group=a&waitMs=0')).toEqual([]);
    expect(await take(address, 'group=b&waitMs=0')).toEqual([]);
    await host.sendMany([1, 2]);
    const a = [...(await take(address, 'group=a&waitMs=0')), ...(await take(address, 'group=a&waitMs=0'))];
    expect(a.map(({ data }) => data)).toEqual([1, 2]);
    expect((await take(address, 'group=b&max=5&waitMs=0')).map(({ data }) => data)).toEqual([1, 2]);
  });

  test('events may be settled by hand, and what is not goes back when the stream ends', async () => {
    const host = await use();
    await host.sendMany(['kept', 'given back']);
    const hangUp = new AbortController();
    const stream = await fetch(`${host.address}/events?ack=manual`, { signal: hangUp.signal });
    const reader = stream.body?.getReader();
    let text = '';
    while ((text.match(/^data:/gm) ?? []).length < 2) {
      text += Buffer.from((await reader?.read())?.value ?? []).toString();
    }
    const [ack] = [...text.matchAll(/"ack":"([^"]+)"/g)].map(([, id]) => id);
    expect((await postJson(`${host.address}/ack`, { ids: [ack] })).status).toBe(200);
    hangUp.abort();
    expect(await take(host.address, 'waitMs=5000')).toMatchObject([{ data: 'given back', deliveries: 2 }]);
  });

  test('a mailbox that has ended is gone for receivers', async () => {
    const host = await use();
    await host.send(1);
    const waiting = take(host.address, 'max=5&waitMs=0&ack=auto');
    expect(await waiting).toHaveLength(1);
    const late = post(`${host.address}/receive?waitMs=10000`);
    await until(() => host.peers.consumers === 1, 'it waits');
    await host.end();
    expect(await problem(late)).toMatchObject({ status: 410, code: 'NARU_CLOSED' });
    expect(await problem(post(host.address, '1'))).toMatchObject({ status: 410, code: 'NARU_CLOSED' });
  });
});

describe('requests', () => {
  test('a handler that throws, and an answer that does not come', async () => {
    const host = await use();
    const serving = host.serve(() => {
      throw new Error('out of order');
    });
    expect(await problem(post(`${host.address}/request`, '1'))).toMatchObject({
      status: 502,
      code: 'NARU_REMOTE',
      detail: expect.stringMatching(/out of order/) as string,
    });
    await serving.stop();
    expect(await problem(post(`${host.address}/request?timeoutMs=30`, '1'))).toMatchObject({
      status: 504,
      code: 'NARU_TIMEOUT',
    });
  });

  test('whoever asked has gone: the reply is refused, the request settled', async () => {
    const host = await use();
    const hangUp = new AbortController();
    const asking = post(`${host.address}/request`, '1', { signal: hangUp.signal }).catch(() => undefined);
    const [request] = await take(host.address, 'waitMs=5000');
    hangUp.abort();
    await asking;
    await postJson(`${host.address}/reply/${request?.ack}`, 2);
    expect((await host.stats()).place).toMatchObject({ depth: 0, unsettled: 0 });
  });
});

describe('the document', () => {
  test('is valid OpenAPI, and has every route and nothing else', async () => {
    const host = await use();
    const document = await json<Record<string, unknown>>(fetch(`${host.address}/openapi.json`));
    const validator = new Validator();
    const { valid, errors } = await validator.validate(document);
    expect(errors ?? []).toEqual([]);
    expect(valid).toBe(true);
    const paths = document['paths'] as Record<string, Record<string, unknown>>;
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(described.sort()).toEqual(ROUTES.map(({ method, path }) => `${method} /jobs${path}`).sort());
  });

  test('says what is answered: every status and every body is as it describes', async () => {
    const host = await use();
    const document = await json<OpenApi>(fetch(`${host.address}/openapi.json`));
    const ajv = new Ajv2020({ strict: false, formats: { 'date-time': true } }).addSchema(document, 'api');
    const seen = new Set<string>();
    /** Asks, and compares the answer with the document. */
    const ask = async (
      route: string,
      { path, ...init }: RequestInit & { path?: string } = {},
    ): Promise<unknown> => {
      const [method = '', template = ''] = route.split(' ');
      const answer = await fetch(host.address + (path ?? template), { method, ...init });
      const described = document.paths[`/jobs${template}`]?.[method.toLowerCase()]?.responses[answer.status];
      expect(described, `${route}: ${answer.status} is described`).toBeDefined();
      seen.add(route);
      const type = answer.headers.get('content-type')?.split(';')[0] ?? '';
      const content = described?.content ?? {};
      if (answer.status === 204) return undefined;
      const schema = (content[type] ?? content['*/*'])?.schema;
      expect(schema, `${route}: ${type} is described`).toBeDefined();
      if (!type.endsWith('json')) {
        await answer.body?.cancel();
        return undefined;
      }
      const body: unknown = await answer.json();
      const whole = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"api#/')) as object;
      expect(ajv.validate(whole, body), `${route}: ${ajv.errorsText()}`).toBe(true);
      return body;
    };
    const lines = { 'content-type': 'application/x-ndjson' };
    await ask('POST ', { body: '{"n":1}', headers: { 'naru-key': 'k', 'naru-header-a': 'b' } });
    await ask('POST ', { body: '{"n":2}\n{"n":3}', headers: lines });
    await ask('POST ', { body: '{', headers: lines });
    const first = (await ask('POST /receive')) as Taken;
    await ask('POST /extend', { body: JSON.stringify({ ids: [first.messages[0]?.ack] }) });
    await ask('POST /ack', { body: JSON.stringify({ ids: [first.messages[0]?.ack] }) });
    await ask('POST /ack', { body: JSON.stringify({ ids: [first.messages[0]?.ack] }) });
    const rest = (await ask('POST /receive', { path: '/receive?max=10' })) as Taken;
    await ask('POST /nack', { body: JSON.stringify({ ids: [rest.messages[0]?.ack], reject: true }) });
    await ask('POST /reply/{id}', { path: `/reply/${rest.messages[1]?.ack}`, body: '1' });
    await ask('POST /receive', { path: '/receive?waitMs=0' });
    await ask('POST /request', { path: '/request?timeoutMs=20', body: '1' });
    const serving = host.serve(() => 'answer');
    await ask('POST /request', { body: '1' });
    await serving.stop();
    await ask('GET ');
    await ask('GET /events');
    await ask('GET /openapi.json');
    await ask('POST /link');
    await ask('POST /link/{id}', { path: '/link/x', headers: { 'naru-offset': '0' } });
    expect([...seen].sort()).toEqual(ROUTES.map(({ method, path }) => `${method} ${path}`).sort());
  });
});
