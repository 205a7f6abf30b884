// naru send: its modes, its options, and what it says when it cannot.

import { existsSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Sandbox, until } from './command.fixture.ts';
import { SHARED_PLACES, startReceiver } from './places.fixture.ts';

describe.each(SHARED_PLACES)('through %s', (place) => {
  test('each argument is a message, with the headers of all', async () => {
    await using sandbox = new Sandbox();
    const receiver = await startReceiver(sandbox, place, ['--count', '2', '--json']);
    const args = ['--header', 'tenant=a', '--header', 'note=x=y', '--type', '7', '--ttl', '60000'];
    const sent = await sandbox.run(['send', receiver.url, 'one', '--', '-two']);
    expect(sent.code).toBe(0);
    const first = await receiver.done;
    expect(jsonLines(first.stdout).map(({ body }) => body)).toEqual(['one', '-two']);
    const second = await startReceiver(sandbox, place, ['--count', '1', '--json']);
    expect((await sandbox.run(['send', second.url, ...args, 'three'])).code).toBe(0);
    expect(jsonLines((await second.done).stdout)[0]).toMatchObject({
      headers: { tenant: 'a', note: 'x=y' },
      type: '7',
      ttlMs: 60_000,
      deliveries: 1,
      body: 'three',
    });
  });

  test('JSON lines are checked, and those before a wrong one are sent', async () => {
    await using sandbox = new Sandbox();
    const receiver = await startReceiver(sandbox, place, ['--count', '2']);
    const sent = await sandbox.run(['send', receiver.url, '--json-lines'], {
      stdin: '{"id":1}\r\n\n [2] \n{broken\n{"id":4}\n',
    });
    expect(sent.code).toBe(1);
    expect(sent.stderr).toMatch(
      /^naru: NARU_INVALID_MESSAGE: line 4 of standard input is no JSON: [^\n]+\n$/,
    );
    expect((await receiver.done).stdout.toString()).toBe('{"id":1}\n[2]\n');
  });

  test('a message that is too long is refused with the limit, before it fills the memory', async () => {
    await using sandbox = new Sandbox();
    const receiver = await startReceiver(sandbox, place, []);
    const file = sandbox.path('long');
    writeFileSync(file, Buffer.alloc(40 * 1024 * 1024, 'x'));
    for (const mode of ['--lines', '--bytes']) {
      const sent = await sandbox.run(['send', receiver.url, mode], { stdin: { file } });
      expect(sent.code).toBe(1);
      expect(sent.stderr).toMatch(/^naru: NARU_TOO_LARGE: .*takes \d+ a message/);
    }
  });

  test('--end finishes the receivers', async () => {
    await using sandbox = new Sandbox();
    const receiver = await startReceiver(sandbox, place, []);
    expect((await sandbox.run(['send', receiver.url, '--end', 'a', 'b'])).code).toBe(0);
    const received = await receiver.done;
    expect(received).toMatchObject({ code: 0 });
    expect(received.stdout.toString()).toBe('a\nb\n');
  });

  test('--rate spreads the messages', async () => {
    await using sandbox = new Sandbox();
    const receiver = await startReceiver(sandbox, place, ['--count', '21', '--json']);
    const stdin = Array.from({ length: 21 }, (_, i) => `${i}\n`).join('');
    expect((await sandbox.run(['send', receiver.url, '--rate', '50'], { stdin })).code).toBe(0);
    const times = jsonLines((await receiver.done).stdout).map(({ time }) => Number(time));
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(350);
  });
});

test.skipIf(!SHARED_PLACES.includes('shm'))(
  'what is sent to shared memory stays until it is received',
  async () => {
    await using sandbox = new Sandbox();
    expect((await sandbox.run(['send', 'shm://later', 'kept'])).code).toBe(0);
    const doctor = await sandbox.run(['doctor', '--clean', '--json']);
    expect(JSON.parse(doctor.stdout.toString())).toMatchObject({
      ok: true,
      removed: [],
      mailboxes: [{ name: 'later', state: 'live', depth: 1 }],
    });
    const received = await sandbox.run(['receive', 'shm://later', '--count', '1']);
    expect(received.stdout.toString()).toBe('kept\n');
  },
);

test('a sender that holds the mailbox itself waits until somebody has received', async () => {
  await using sandbox = new Sandbox();
  const sender = sandbox.start(['send', sandbox.socketUrl, 'a', 'b', 'c']);
  await until(() => existsSync(sandbox.path('mailbox.sock')));
  const receiver = await sandbox.run(['receive', sandbox.socketUrl, '--count', '3']);
  expect(receiver.stdout.toString()).toBe('a\nb\nc\n');
  expect(await sender.done).toMatchObject({ code: 0, stderr: '' });
});

test('a sender that holds the mailbox and is interrupted says how many were not delivered', async () => {
  await using sandbox = new Sandbox();
  const sender = sandbox.start(['send', sandbox.socketUrl, 'a', 'b', 'c']);
  await until(() => existsSync(sandbox.path('mailbox.sock')));
  const peek = await sandbox.run(['receive', sandbox.socketUrl, '--count', '1', '--ack', 'none']);
  expect(peek.stdout.toString()).toBe('a\n');
  sender.child.kill('SIGINT');
  const sent = await sender.done;
  expect(sent.code).toBe(130);
  expect(sent.stderr).toMatch(/NARU_NO_CONSUMER: .*3 messages were not delivered/);
});

test('a sender waits for a listener until its time is over', async () => {
  await using sandbox = new Sandbox();
  const { url, child, done } = await startReceiver(sandbox, 'tcp', []);
  child.kill('SIGTERM');
  await done;
  const sent = await sandbox.run(['send', url, '--timeout', '300', 'x']);
  expect(sent.code).toBe(1);
  expect(sent.stderr).toMatch(/^naru: NARU_(TIMEOUT|DISCONNECTED): /);
});

test('a mailbox that no other process can reach is refused', async () => {
  await using sandbox = new Sandbox();
  const sent = await sandbox.run(['send', 'memory://here', 'x']);
  expect(sent.code).toBe(1);
  expect(sent.stderr).toMatch(/^naru: NARU_UNSUPPORTED: .*crossProcess/);
});

function jsonLines(bytes: Buffer): Record<string, unknown>[] {
  return bytes
    .toString('utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
