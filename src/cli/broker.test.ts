import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Sandbox, type Running } from './command.fixture.ts';

const canTrace = spawnSync('strace', ['-f', '-qq', '-o', '/dev/null', 'true']).status === 0;

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox[Symbol.asyncDispose]());

interface Ready {
  readonly ready: boolean;
  readonly amqp: number;
  readonly http: number;
  readonly pid: number;
}

const FREE = ['--port', '0', '--http-port', '0'];

/** What the port answers to bytes that are no AMQP. */
function greet(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\n'));
    socket.on('data', (bytes) => resolve(bytes.toString('latin1')));
    socket.on('error', reject);
  });
}

function get(port: number, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asked.on('error', reject);
    asked.end();
  });
}

interface Asked {
  readonly http: number;
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

/** Calls the management API as guest. */
function api({
  http: port,
  method,
  path,
  body,
}: Asked): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const options = { host: '127.0.0.1', port, method, path, auth: 'guest:guest', headers };
    const asked = request(options, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => resolve({ status: response.statusCode, text }));
    });
    asked.on('error', reject);
    asked.end(JSON.stringify(body));
  });
}

describe('naru broker', () => {
  test('says in one line of JSON that it is ready; a clean SIGTERM is 0', async () => {
    const running = sandbox.start(['broker', '--json', ...FREE]);
    const [line] = await running.wrote(/^\{.*\}\n/);
    const ready = JSON.parse(line) as Ready;
    expect(ready).toMatchObject({ ready: true, pid: running.child.pid });
    expect(await greet(ready.amqp)).toBe('AMQP\0\0\x09\x01');
    expect(await get(ready.http, '/health')).toBe(200);
    running.child.kill('SIGTERM');
    const { code, stdout } = await running.done;
    expect([code, stdout.toString()]).toEqual([0, line]);
  });

  test('SIGINT is 130, and --no-http has no HTTP', async () => {
    const running = sandbox.start(['broker', '--json', '--port', '0', '--no-http']);
    const [line] = await running.wrote(/^\{.*\}\n/);
    expect((JSON.parse(line) as Ready).http).toBe(0);
    running.child.kill('SIGINT');
    expect((await running.done).code).toBe(130);
  });

  test('definitions are there; what was only in memory is named and counted at the end', async () => {
    const file = sandbox.path('definitions.json');
    const queues = [{ name: 'orders', vhost: '/', durable: true }];
    writeFileSync(file, JSON.stringify({ queues }));
    const running = sandbox.start(['broker', '--json', ...FREE, '--definitions', file]);
    const [line] = await running.wrote(/^\{.*\}\n/);
    const { http } = JSON.parse(line) as Ready;
    const body = { routing_key: 'orders', payload: 'x', properties: {} };
    await api({ http, method: 'POST', path: '/api/exchanges/%2F/amq.default/publish', body });
    running.child.kill('SIGTERM');
    const { code, stderr } = await running.done;
    expect(code).toBe(0);
    expect(stderr).toContain("1 messages of queue 'orders' in vhost '/' were in memory only and are gone");
  });

  test('its folder is its own; doctor reads it; --keep-transient keeps what only memory has', async () => {
    const data = sandbox.path('data');
    const start = async (...more: string[]): Promise<[Ready, Running]> => {
      const running = sandbox.start(['broker', '--json', '--data', data, ...FREE, ...more]);
      const [line] = await running.wrote(/^\{.*\}\n/);
      return [JSON.parse(line) as Ready, running];
    };
    const [{ http }, first] = await start('--keep-transient', '--sync', 'os');
    const put = { http, method: 'PUT', path: '/api/queues/%2F/q', body: { durable: false } };
    expect((await api(put)).status).toBe(204);
    const message = { routing_key: 'q', payload: 'kept', properties: {} };
    await api({ http, method: 'POST', path: '/api/exchanges/%2F/amq.default/publish', body: message });
    const second = await sandbox.run(['broker', '--json', '--data', data, ...FREE]);
    expect([second.code, second.stderr]).toEqual([1, expect.stringContaining('NARU_EXISTS')]);
    first.child.kill('SIGTERM');
    expect((await first.done).code).toBe(0);
    const verified = await sandbox.run(['doctor', '--verify', data]);
    expect([verified.code, verified.stdout.toString()]).toEqual([
      0,
      expect.stringContaining('closed properly'),
    ]);
    const [ready, third] = await start();
    const got = await api({
      http: ready.http,
      method: 'POST',
      path: '/api/queues/%2F/q/get',
      body: { count: 1, ackmode: 'ack_requeue_true', encoding: 'auto' },
    });
    expect(got.text).toContain('"payload":"kept"');
    third.child.kill('SIGTERM');
    const { stderr } = await third.done;
    expect(stderr).toContain("1 messages of queue 'q' in vhost '/' were in memory only and are gone");
  });

  test('a data folder whose definitions are damaged ends it with 71, naming the file', async () => {
    const data = sandbox.path('data');
    const first = sandbox.start(['broker', '--json', '--data', data, ...FREE]);
    await first.wrote(/^\{.*\}\n/);
    first.child.kill('SIGTERM');
    await first.done;
    const file = join(data, 'definitions.snap');
    const bytes = readFileSync(file);
    const at = bytes.length - 10;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    const second = await sandbox.run(['broker', '--json', '--data', data, ...FREE]);
    expect([second.code, second.stderr]).toEqual([71, expect.stringContaining('definitions.snap')]);
  });

  test.skipIf(!canTrace)(
    `a disk that fails ends it with 70${canTrace ? '' : ' (skipped: needs strace)'}`,
    async () => {
      // A start needs fewer syncs, each by the one thread there is.
      const inject = ['-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO:when=6+'];
      const trace = ['strace', '-f', '-qq', '-o', '/dev/null', ...inject];
      const running = sandbox.start(['broker', '--json', '--data', sandbox.path('data'), ...FREE], {
        wrapper: ['env', 'UV_THREADPOOL_SIZE=1', ...trace],
      });
      const [line] = await running.wrote(/^\{.*\}\n/);
      const { http } = JSON.parse(line) as Ready;
      // An answer never comes: the broker is gone first.
      const put = (name: string): Promise<unknown> =>
        api({ http, method: 'PUT', path: `/api/queues/%2F/${name}`, body: { durable: true } });
      await put('a')
        .then(() => put('b'))
        .then(() => put('c'))
        .then(() => put('d'))
        .catch(() => undefined);
      const { code, stderr } = await running.done;
      expect([code, stderr]).toEqual([70, expect.stringContaining('NARU_STORAGE')]);
    },
  );

  test('a port that is taken fails with 1, wrong usage with 2, a bad configuration with 78', async () => {
    const first = sandbox.start(['broker', '--json', ...FREE]);
    const [line] = await first.wrote(/^\{.*\}\n/);
    const { amqp } = JSON.parse(line) as Ready;
    const taken = await sandbox.run(['broker', '--json', '--port', String(amqp), '--no-http']);
    expect([taken.code, taken.stderr]).toEqual([1, expect.stringContaining('NARU_EXISTS')]);
    expect((await sandbox.run(['broker', '--port', 'x'])).code).toBe(2);
    expect((await sandbox.run(['broker', '--sync', 'always'])).code).toBe(2);
    expect((await sandbox.run(['broker', '--memory', '--data', 'x'])).code).toBe(2);
    expect((await sandbox.run(['broker', '--definitions', sandbox.path('none.json')])).code).toBe(78);
    const file = sandbox.path('wrong.json');
    writeFileSync(file, '{"queues": 5}');
    const wrong = await sandbox.run(['broker', '--memory', ...FREE, '--definitions', file]);
    expect([wrong.code, wrong.stderr]).toEqual([78, expect.stringContaining('queues is no list')]);
    expect((await sandbox.run(['broker', '--tls-port', '0'])).code).toBe(78);
  });
});
