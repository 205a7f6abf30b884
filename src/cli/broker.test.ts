import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Sandbox } from './command.fixture.ts';

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
    const body = JSON.stringify({ routing_key: 'orders', payload: 'x', properties: {} });
    await new Promise<void>((resolve, reject) => {
      const asked = request(
        {
          host: '127.0.0.1',
          port: http,
          method: 'POST',
          path: '/api/exchanges/%2F/amq.default/publish',
          auth: 'guest:guest',
          headers: { 'content-type': 'application/json' },
        },
        (response) => {
          response.resume();
          response.on('end', () => resolve());
        },
      );
      asked.on('error', reject);
      asked.end(body);
    });
    running.child.kill('SIGTERM');
    const { code, stderr } = await running.done;
    expect(code).toBe(0);
    expect(stderr).toContain("1 messages of queue 'orders' in vhost '/' were in memory only and are gone");
  });

  test('a port that is taken fails with 1, wrong usage with 2, a bad configuration with 78', async () => {
    const first = sandbox.start(['broker', '--json', ...FREE]);
    const [line] = await first.wrote(/^\{.*\}\n/);
    const { amqp } = JSON.parse(line) as Ready;
    const taken = await sandbox.run(['broker', '--json', '--port', String(amqp), '--no-http']);
    expect([taken.code, taken.stderr]).toEqual([1, expect.stringContaining('NARU_EXISTS')]);
    expect((await sandbox.run(['broker', '--port', 'x'])).code).toBe(2);
    expect((await sandbox.run(['broker', '--definitions', sandbox.path('none.json')])).code).toBe(78);
    expect((await sandbox.run(['broker', '--tls-port', '0'])).code).toBe(78);
  });
});
