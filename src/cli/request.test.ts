// naru request and naru serve: answers, errors of the command, and ending.

import { describe, expect, test } from 'vitest';
import { Sandbox } from './command.fixture.ts';
import { SHARED_PLACES, startHost } from './places.fixture.ts';

describe.each(SHARED_PLACES)('through %s', (place) => {
  test('what the command writes is the answer, byte for byte', async () => {
    await using sandbox = new Sandbox();
    const server = await startHost(sandbox, place, 'serve', ['--exec', 'tr a-z A-Z']);
    const asked = await sandbox.run(['request', server.url, 'hello', '--timeout', '10000']);
    expect(asked).toMatchObject({ code: 0, stderr: '' });
    expect(asked.stdout.toString()).toBe('HELLO\n');
    const body = Buffer.from([0, 10, 13, 97, 255]);
    const exact = await sandbox.run(['request', server.url, '--bytes', '--timeout', '10000'], {
      stdin: body,
    });
    expect(exact.stdout.toString('hex')).toBe(Buffer.from([0, 10, 13, 65, 255]).toString('hex'));
    server.child.kill('SIGTERM');
    expect((await server.done).code).toBe(0);
  });

  test('an exit code other than 0 is an error at the requester', async () => {
    await using sandbox = new Sandbox();
    const server = await startHost(sandbox, place, 'serve', [
      '--exec',
      'echo out of stock >&2; exit 4',
      '--count',
      '1',
    ]);
    const asked = await sandbox.run(['request', server.url, 'one', '--timeout', '10000']);
    expect(asked.code).toBe(1);
    expect(asked.stderr).toMatch(/^naru: NARU_REMOTE: .*exit code 4: out of stock\n$/);
    expect((await server.done).code).toBe(0);
  });

  test('a request that nobody answers times out with exit code 1', async () => {
    await using sandbox = new Sandbox();
    const server = await startHost(sandbox, place, 'serve', ['--exec', 'exec sleep 60']);
    const asked = await sandbox.run(['request', server.url, 'one', '--timeout', '300']);
    expect(asked.code).toBe(1);
    expect(asked.stderr).toMatch(/^naru: NARU_TIMEOUT: /);
    server.child.kill('SIGTERM');
    expect((await server.done).code).toBe(0);
  });
});
