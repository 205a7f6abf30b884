import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Broker } from 'naru/broker';
import { ROUTES } from './routes.ts';

let broker: Broker;
const GUEST = `Basic ${Buffer.from('guest:guest').toString('base64')}`;
const ANNA = `Basic ${Buffer.from('anna:geheim').toString('base64')}`;

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly json: unknown;
  readonly headers: Readonly<Record<string, unknown>>;
}

interface Ask {
  readonly body?: unknown;
  readonly raw?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly as?: string;
}

function ask(method: string, path: string, { body, raw, headers, as = GUEST }: Ask = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const request = httpRequest(
      {
        host: '127.0.0.1',
        port: broker.httpPort,
        method,
        path,
        headers: {
          ...(as === '' ? {} : { authorization: as }),
          ...(text === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString();
          const isJson = (response.headers['content-type'] ?? '').includes('json') && answer !== '';
          const json: unknown = isJson ? JSON.parse(answer) : undefined;
          resolve({ status: response.statusCode ?? 0, text: answer, json, headers: response.headers });
        });
      },
    );
    request.on('error', reject);
    request.end(text);
  });
}

beforeAll(async () => {
  broker = await Broker.start({
    port: 0,
    httpPort: 0,
    definitions: {
      users: [
        { name: 'guest', password: 'guest', tags: 'administrator' },
        { name: 'anna', password: 'geheim', tags: '' },
      ],
      permissions: [{ user: 'guest', vhost: '/', configure: '.*', write: '.*', read: '.*' }],
    },
  });
});

afterAll(() => broker.stop());

describe('who may call what', () => {
  test.each(ROUTES.map(({ method, path, role }) => [method, path, role] as const))(
    '%s /api/%s needs a login, and then the role %s',
    async (method, path, role) => {
      const url = `/api/${path.replaceAll('*', 'x')}`;
      expect((await ask(method, url, { as: '' })).status).toBe(401);
      expect((await ask(method, url, { as: 'Basic eDp5' })).status).toBe(401);
      expect((await ask(method, url, { as: ANNA })).status).toBe(role === 'user' ? 200 : 403);
    },
  );

  test('who is not known learns nothing of the routes', async () => {
    expect((await ask('GET', '/api/nothing', { as: '' })).status).toBe(401);
    expect((await ask('GET', '/api/nothing')).status).toBe(404);
    expect((await ask('POST', '/api/overview')).status).toBe(405);
  });

  test('pages of other sites, and names that point here, are refused', async () => {
    expect((await ask('GET', '/health', { headers: { host: 'evil.example' } })).status).toBe(403);
    const headers = { origin: 'https://evil.example' };
    expect((await ask('PUT', '/api/vhosts/x', { headers })).status).toBe(403);
    const form = { 'content-type': 'text/plain' };
    expect((await ask('PUT', '/api/queues/%2F/x', { raw: '{}', headers: form })).status).toBe(415);
  });

  test('bodies that are too large or no JSON', async () => {
    expect((await ask('PUT', '/api/queues/%2F/x', { raw: '{' })).status).toBe(400);
    expect((await ask('PUT', '/api/queues/%2F/x', { raw: '[]' })).status).toBe(400);
    const large = { raw: `"${'x'.repeat(1_100_000)}"` };
    expect((await ask('PUT', '/api/queues/%2F/x', large)).status).toBe(413);
  });
});

describe('without a login', () => {
  test('health and metrics', async () => {
    expect((await ask('GET', '/health', { as: '' })).json).toEqual({ status: 'ok' });
    broker.block('no space');
    expect((await ask('GET', '/health', { as: '' })).json).toEqual({ status: 'blocked', reason: 'no space' });
    broker.unblock();
    const { text } = await ask('GET', '/metrics', { as: '' });
    expect(text).toMatch(
      /^# HELP rabbitmq_connections .*\n# TYPE rabbitmq_connections gauge\nrabbitmq_connections 0$/m,
    );
  });
});

describe('the management API', () => {
  test('declares, binds, publishes, gets, purges, deletes', async () => {
    expect((await ask('PUT', '/api/exchanges/%2F/e', { body: { type: 'topic' } })).status).toBe(204);
    expect(
      (await ask('PUT', '/api/queues/%2F/q', { body: { arguments: { 'x-max-length': 5 } } })).status,
    ).toBe(204);
    expect((await ask('POST', '/api/bindings/%2F/e/e/q/q', { body: { routing_key: 'a.#' } })).status).toBe(
      204,
    );
    const message = {
      routing_key: 'a.b',
      payload: 'hello',
      payload_encoding: 'string',
      properties: { headers: { n: 1 } },
    };
    expect((await ask('POST', '/api/exchanges/%2F/e/publish', { body: message })).json).toEqual({
      routed: true,
    });
    expect((await ask('GET', '/api/queues/%2F/q')).json).toMatchObject({
      name: 'q',
      messages: 1,
      arguments: { 'x-max-length': 5 },
    });
    expect((await ask('GET', '/api/queues/%2F/q/bindings')).json).toMatchObject([
      { source: '' },
      { source: 'e' },
    ]);
    const get = { count: 5, ackmode: 'ack_requeue_true', encoding: 'auto' };
    const expected = {
      payload: 'hello',
      routing_key: 'a.b',
      redelivered: false,
      properties: { headers: { n: 1 } },
    };
    expect((await ask('POST', '/api/queues/%2F/q/get', { body: get })).json).toMatchObject([expected]);
    expect((await ask('POST', '/api/queues/%2F/q/get', { body: get })).json).toMatchObject([
      { redelivered: true },
    ]);
    expect((await ask('DELETE', '/api/queues/%2F/q/contents')).status).toBe(204);
    expect((await ask('POST', '/api/queues/%2F/q/get', { body: get })).json).toEqual([]);
    expect((await ask('DELETE', '/api/queues/%2F/q')).status).toBe(204);
    expect((await ask('GET', '/api/queues/%2F/q')).status).toBe(404);
    expect((await ask('DELETE', '/api/exchanges/%2F/amq.direct')).status).toBe(403);
    expect((await ask('DELETE', '/api/exchanges/%2F/e')).status).toBe(204);
  });

  test('virtual hosts, users, permissions, definitions', async () => {
    expect((await ask('PUT', '/api/vhosts/shop')).status).toBe(204);
    expect(
      (await ask('PUT', '/api/users/bert', { body: { password: 'x', tags: 'monitoring' } })).status,
    ).toBe(204);
    const all = { configure: '.*', write: '.*', read: '.*' };
    expect((await ask('PUT', '/api/permissions/shop/bert', { body: all })).status).toBe(204);
    expect((await ask('PUT', '/api/permissions/shop/bert', { body: { ...all, read: '(' } })).status).toBe(
      400,
    );
    const { json } = await ask('GET', '/api/definitions');
    expect(json).toMatchObject({
      vhosts: [{ name: '/' }, { name: 'shop' }],
      permissions: [{}, { user: 'bert' }],
    });
    expect((await ask('DELETE', '/api/vhosts/shop')).status).toBe(204);
    expect((await ask('DELETE', '/api/users/bert')).status).toBe(204);
    expect((await ask('POST', '/api/definitions', { body: json })).status).toBe(204);
    expect((await ask('GET', '/api/permissions/shop/bert')).json).toMatchObject(all);
  });

  test.each([
    'overview',
    'nodes',
    'connections',
    'channels',
    'consumers',
    'exchanges',
    'bindings',
    'aliveness-test/%2F',
    'health/checks/alarms',
    'whoami',
  ])('%s answers', async (path) => {
    expect(await ask('GET', `/api/${path}`)).toMatchObject({ status: 200 });
  });

  test('the page shows names as text', async () => {
    await ask('PUT', `/api/queues/%2F/${encodeURIComponent('<script>alert(1)</script>')}`, { body: {} });
    const { text, headers } = await ask('GET', '/');
    expect(text).toContain('&#60;script&#62;');
    expect(text).not.toContain('<script');
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect((await ask('GET', '/', { as: '' })).status).toBe(401);
  });
});
