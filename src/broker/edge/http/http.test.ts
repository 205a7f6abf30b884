import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Broker } from 'naru/broker';
import { AmqpLoad } from '../../../cli/amqp-load.ts';
import type { Route } from './route.ts';
import { ROUTES } from './routes/index.ts';

let broker: Broker;
const TAGS = ['management', 'policymaker', 'monitoring', 'administrator'];
/** Which tags are enough for each role: RabbitMQ's own table. */
const ROLES_OF: Readonly<Record<string, readonly string[]>> = {
  user: TAGS,
  management: TAGS,
  policymaker: ['policymaker', 'administrator'],
  monitoring: ['monitoring', 'administrator'],
  administrator: ['administrator'],
};
const GUEST = basic('guest', 'guest');
const ANNA = basic('anna', 'geheim');

function basic(name: string, password = name): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
}

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
        ...TAGS.map((tag) => ({ name: tag, password: tag, tags: tag })),
        { name: 'outside', password: 'outside', tags: 'management' },
        { name: 'nothing', password: 'nothing', tags: 'management' },
        { name: 'away', password: 'away', tags: 'administrator' },
      ],
      vhosts: [{ name: '/' }, { name: 'own' }],
      permissions: [
        ...['guest', ...TAGS].map((user) => ({ user, vhost: '/', configure: '.*', write: '.*', read: '.*' })),
        { user: 'outside', vhost: 'own', configure: '.*', write: '.*', read: '.*' },
        { user: 'nothing', vhost: '/', configure: '^$', write: '^$', read: '^$' },
      ],
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

  /** The path with names that are nowhere, in the virtual host `/`. */
  const pathOf = ({ path, vhost }: Route): string => {
    const first = vhost === undefined ? 'x' : '%2F';
    return `/api/${path.replace('*', first).replaceAll('*', 'x')}`;
  };

  test.each(ROUTES.map((route) => [route.method, route.path, route] as const))(
    '%s /api/%s: tags, virtual hosts and permissions',
    async (method, _, route) => {
      const status = async (name: string): Promise<number> =>
        (await ask(method, pathOf(route), { as: basic(name), body: {} })).status;
      const allowed = ROLES_OF[route.role] ?? [];
      for (const tag of TAGS) {
        if (allowed.includes(tag)) expect([tag, await status(tag)]).not.toEqual([tag, 403]);
        else expect([tag, await status(tag)]).toEqual([tag, 403]);
      }
      if (route.vhost === undefined) return;
      // Of another virtual host: sees nothing. An administrator sees it, but works in it with permissions only.
      expect(await status('outside')).toBe(403);
      expect((await status('away')) === 403).toBe(route.vhost === 'use');
      if (route.needs !== undefined) expect(await status('nothing')).toBe(403);
    },
  );

  test('lists hold what is open to the user', async () => {
    await ask('PUT', '/api/queues/%2F/in-slash', { body: {} });
    await ask('PUT', '/api/queues/own/in-own', { body: {}, as: basic('outside') });
    const names = async (path: string, name: string): Promise<string[]> => {
      const { json } = await ask('GET', path, { as: basic(name) });
      return (json as { name: string }[]).map((one) => one.name).filter((one) => one !== 'aliveness-test');
    };
    expect(await names('/api/queues', 'outside')).toEqual(['in-own']);
    expect(await names('/api/queues', 'management')).toEqual(['in-slash']);
    expect(await names('/api/queues', 'monitoring')).toEqual(['in-slash', 'in-own']);
    expect(await names('/api/vhosts', 'outside')).toEqual(['own']);
    const { json } = await ask('GET', '/api/overview', { as: basic('outside') });
    expect(json).toMatchObject({ object_totals: { queues: 1 } });
  });

  test('the dead letters and the alternate of what is declared need permissions too', async () => {
    await ask('PUT', '/api/permissions/%2F/nothing', {
      body: { configure: '^mine$', write: '^mine$', read: '^mine$' },
    });
    const as = basic('nothing');
    const args = (name: string, value: string): unknown => ({ arguments: { [name]: value } });
    const dead = args('x-dead-letter-exchange', 'theirs');
    expect((await ask('PUT', '/api/queues/%2F/mine', { as, body: dead })).status).toBe(403);
    const alternate = args('alternate-exchange', 'theirs');
    expect((await ask('PUT', '/api/exchanges/%2F/mine', { as, body: alternate })).status).toBe(403);
    expect((await ask('PUT', '/api/queues/%2F/mine', { as, body: {} })).status).toBe(204);
    const message = { routing_key: 'mine', payload: 'x', properties: { user_id: 'guest' } };
    await ask('PUT', '/api/exchanges/%2F/mine', { as, body: {} });
    const forged = await ask('POST', '/api/exchanges/%2F/mine/publish', { as, body: message });
    expect([forged.status, forged.text]).toEqual([400, expect.stringContaining('user_id property set to')]);
  });

  test('one ends one’s own connections, an administrator all', async () => {
    const client = await AmqpLoad.connect(broker.port);
    const name = broker.connections[0]?.name ?? '';
    const path = `/api/connections/${encodeURIComponent(name)}`;
    expect((await ask('GET', path, { as: basic('monitoring') })).status).toBe(200);
    expect((await ask('GET', path, { as: basic('management') })).status).toBe(403);
    expect((await ask('GET', '/api/connections', { as: basic('management') })).json).toEqual([]);
    expect((await ask('DELETE', path, { as: basic('monitoring') })).status).toBe(403);
    expect((await ask('DELETE', path, { as: basic('away') })).status).toBe(204);
    client.close();
    await client.closed;
  });

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

describe('health checks look at something', () => {
  const check = (name: string): Promise<Answer> => ask('GET', `/api/health/checks/${name}`);

  test('alarms', async () => {
    broker.block('no space');
    for (const name of ['alarms', 'local-alarms']) {
      const { status, json } = await check(name);
      expect(status).toBe(503);
      expect(json).toMatchObject({ status: 'failed', reason: 'There are alarms: no space' });
    }
    broker.unblock();
    expect((await check('alarms')).json).toEqual({ status: 'ok' });
  });

  test('listeners', async () => {
    expect((await check(`port-listener/${broker.port}`)).status).toBe(200);
    expect(await check('port-listener/1')).toMatchObject({ status: 503, json: { missing: 1 } });
    expect((await check('port-listener/x')).status).toBe(400);
    expect((await check('protocol-listener/amqp')).status).toBe(200);
    expect((await check('protocol-listener/mqtt')).status).toBe(503);
    expect((await check('protocol-listener/amqps')).status).toBe(503);
  });

  test.each([
    'virtual-hosts',
    'storage',
    'is-in-service',
    'ready-to-serve-clients',
    'node-is-quorum-critical',
  ])('%s', async (name) => {
    expect(await check(name)).toMatchObject({ status: 200, json: { status: 'ok' } });
  });

  test('one that does not exist is not well', async () => {
    expect((await check('anything')).status).toBe(404);
  });
});

describe('bindings by their key', () => {
  test('are found and deleted, with arguments too', async () => {
    await ask('PUT', '/api/queues/%2F/bound', { body: {} });
    const path = '/api/bindings/%2F/e/amq.headers/q/bound';
    for (const body of [
      { routing_key: 'a b/c' },
      { routing_key: '' },
      { arguments: { 'x-match': 'any', n: 1 } },
    ]) {
      expect((await ask('POST', path, { body })).status).toBe(204);
    }
    const { json } = await ask('GET', path);
    const keys = (json as { properties_key: string }[]).map((one) => one.properties_key);
    expect(keys.slice(0, 2)).toEqual(['a%20b%2Fc', '~']);
    for (const key of keys) {
      expect((await ask('GET', `${path}/${encodeURIComponent(key)}`)).status).toBe(200);
      expect((await ask('DELETE', `${path}/${key}`)).status).toBe(204);
    }
    expect((await ask('GET', path)).json).toEqual([]);
    expect((await ask('DELETE', `${path}/${keys[0]}`)).status).toBe(404);
  });

  test('declaring again must mean the same', async () => {
    await ask('PUT', '/api/queues/%2F/same', { body: { arguments: { 'x-max-length': 5 } } });
    expect(
      (await ask('PUT', '/api/queues/%2F/same', { body: { arguments: { 'x-max-length': 5 } } })).status,
    ).toBe(204);
    const other = await ask('PUT', '/api/queues/%2F/same', { body: { arguments: { 'x-max-length': 6 } } });
    expect([other.status, other.text]).toEqual([
      400,
      expect.stringContaining("inequivalent arg 'x-max-length'"),
    ]);
    expect((await ask('PUT', '/api/exchanges/%2F/amq.topic', { body: { type: 'fanout' } })).status).toBe(400);
    expect((await ask('PUT', `/api/queues/%2F/${'n'.repeat(256)}`, { body: {} })).status).toBe(400);
  });
});

describe('long lists', () => {
  test('come in pages when that is asked for', async () => {
    for (let i = 0; i < 5; i += 1)
      await ask('PUT', `/api/queues/own/page-${i}`, { as: basic('outside'), body: {} });
    const page = async (query: string): Promise<unknown> =>
      (await ask('GET', `/api/queues/own?${query}`)).json;
    expect(await page('page=2&page_size=2&name=page-')).toMatchObject({
      items: [{ name: 'page-2' }, { name: 'page-3' }],
      page: 2,
      page_size: 2,
      page_count: 3,
      item_count: 2,
      filtered_count: 5,
    });
    expect(await page('page=9')).toMatchObject({ items: [] });
    expect(await page('page_size=2')).toHaveLength(6);
    for (const wrong of ['page=0', 'page=x', 'page=1&page_size=501'])
      expect((await ask('GET', `/api/queues/own?${wrong}`)).status).toBe(400);
  });
});

describe('a password', () => {
  test('is in no answer, error or metric', async () => {
    const secret = 'c4n4ry-p4ssw0rd';
    const answers = [
      await ask('PUT', '/api/users/secretive', { body: { password: secret, tags: 'administrator' } }),
      await ask('GET', '/api/users/secretive'),
      await ask('GET', '/api/definitions'),
      await ask('GET', '/api/whoami', { as: basic('secretive', secret) }),
      await ask('GET', '/api/whoami', { as: basic('secretive', `${secret}-wrong`) }),
      await ask('PUT', '/api/users/secretive', { raw: `{"password":"${secret}"` }),
      await ask('POST', '/api/definitions', { body: { users: [{ name: 5, password: secret }] } }),
      await ask('POST', '/api/definitions', {
        body: { users: [{ name: 'x', password_hash: secret, hashing_algorithm: 'md5' }] },
      }),
      await ask('GET', '/metrics'),
      await ask('GET', '/'),
    ];
    expect(answers.map(({ status }) => status)).toEqual([204, 200, 200, 200, 401, 400, 400, 400, 200, 200]);
    expect(answers.map(({ text }) => text).join('\n')).not.toContain(secret);
  });
});

describe('without a login', () => {
  test('health and metrics', async () => {
    expect((await ask('GET', '/health', { as: '' })).json).toMatchObject({
      status: 'ok',
      storage: { kind: 'memory' },
    });
    broker.block('no space');
    expect((await ask('GET', '/health', { as: '' })).json).toMatchObject({
      status: 'blocked',
      reason: 'no space',
    });
    broker.unblock();
    const { text } = await ask('GET', '/metrics', { as: '' });
    expect(text).toMatch(
      /^# HELP rabbitmq_connections .*\n# TYPE rabbitmq_connections gauge\nrabbitmq_connections 0$/m,
    );
  });
});

describe('metrics', () => {
  test('are what Prometheus can read, each name once', async () => {
    await ask('PUT', '/api/queues/%2F/measured', { body: { durable: false } });
    const client = await AmqpLoad.connect(broker.port);
    await client.publish('measured', 3, () => Buffer.from('12345'));
    await client.declare('measured');
    const { text } = await ask('GET', '/metrics', { as: '' });
    expect(text).toMatch(
      /^(# HELP [a-z_]+ .+\n# TYPE ([a-z_]+) (counter|gauge)\n(\2(\{.*\})? -?\d+(\.\d+)?\n)*)+$/,
    );
    const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(text).toMatch(/^rabbitmq_queue_messages_ready [1-9]/m);
    expect(text).toMatch(/^rabbitmq_build_info\{product_name="RabbitMQ",/m);
    client.close();
    await client.closed;
  });

  test('of each queue need a login; names are escaped', async () => {
    const path = '/metrics/per-object';
    expect((await ask('GET', path, { as: '' })).status).toBe(401);
    expect((await ask('GET', path, { as: basic('management') })).status).toBe(403);
    await ask('PUT', `/api/queues/%2F/${encodeURIComponent('a"b\\c')}`, { body: {} });
    const { text } = await ask('GET', path);
    expect(text).toContain('rabbitmq_queue_messages_ready{vhost="/",queue="measured"} 3');
    expect(text).toContain('rabbitmq_queue_messages_ready_bytes{vhost="/",queue="measured"} 15');
    expect(text).toContain('queue="a\\"b\\\\c"');
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

  test('CC and BCC add keys; nobody sees BCC', async () => {
    for (const queue of ['to', 'cc', 'bcc']) await ask('PUT', `/api/queues/%2F/${queue}`, { body: {} });
    const properties = { headers: { CC: ['cc'], BCC: ['bcc'] } };
    const message = { routing_key: 'to', payload: 'x', properties };
    await ask('POST', '/api/exchanges/%2F/amq.default/publish', { body: message });
    const get = { count: 5, ackmode: 'ack_requeue_false', encoding: 'auto' };
    for (const queue of ['to', 'cc', 'bcc']) {
      const got = await ask('POST', `/api/queues/%2F/${queue}/get`, { body: get });
      expect(got.json).toMatchObject([{ payload: 'x', properties: { headers: { CC: ['cc'] } } }]);
      expect(got.text).not.toContain('BCC');
    }
  });

  test('a message for a delayed exchange waits for its time', async () => {
    const type = { type: 'x-delayed-message', arguments: { 'x-delayed-type': 'fanout' } };
    await ask('PUT', '/api/exchanges/%2F/later', { body: type });
    await ask('PUT', '/api/queues/%2F/delayed', { body: {} });
    await ask('POST', '/api/bindings/%2F/e/later/q/delayed', { body: {} });
    const properties = { headers: { 'x-delay': 60_000 }, delivery_mode: 2 };
    const message = { routing_key: '', payload: 'x', properties };
    const published = await ask('POST', '/api/exchanges/%2F/later/publish', { body: message });
    expect(published.json).toEqual({ routed: true });
    expect((await ask('GET', '/api/queues/%2F/delayed')).json).toMatchObject({ messages: 0 });
    broker.advance(60_000);
    expect((await ask('GET', '/api/queues/%2F/delayed')).json).toMatchObject({ messages: 1 });
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
      vhosts: expect.arrayContaining([{ name: 'shop' }]),
      permissions: expect.arrayContaining([expect.objectContaining({ user: 'bert' })]),
    });
    expect((await ask('DELETE', '/api/vhosts/shop')).status).toBe(204);
    expect((await ask('DELETE', '/api/users/bert')).status).toBe(204);
    expect((await ask('POST', '/api/definitions', { body: json })).status).toBe(204);
    expect((await ask('GET', '/api/permissions/shop/bert')).json).toMatchObject(all);
  });

  test.each([
    'overview',
    'nodes',
    'nodes/naru@localhost',
    'cluster-name',
    'extensions',
    'users/without-permissions',
    'users/guest/permissions',
    'vhosts/%2F/permissions',
    'vhosts/%2F/connections',
    'vhosts/%2F/channels',
    'consumers/%2F',
    'exchanges/%2F/amq.topic/bindings/source',
    'exchanges/%2F/amq.topic/bindings/destination',
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
