// naru receive: how it ends, what it settles, and what it gives back.

import { closeSync, existsSync, openSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Sandbox, until, type Running } from './command.fixture.ts';
import { SHARED_PLACES, startReceiver } from './places.fixture.ts';

const numbers = (count: number, from = 1): string =>
  Array.from({ length: count }, (_, index) => `${from + index}\n`).join('');

describe.each(SHARED_PLACES)('through %s', (place) => {
  test('SIGINT ends it with 130 and SIGTERM with 0, after writing what it had', async () => {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 0],
    ] as const) {
      await using sandbox = new Sandbox();
      const receiver = await startReceiver(sandbox, place, ['--follow']);
      await sandbox.run(['send', receiver.url, 'a', 'b']);
      await receiver.wrote(/b\n/);
      receiver.child.kill(signal);
      const received = await receiver.done;
      expect(received).toMatchObject({ code, signal: null });
      expect(received.stdout.toString()).toBe('a\nb\n');
    }
  });

  test('--timeout that elapsed is exit code 1 with NARU_TIMEOUT', async () => {
    await using sandbox = new Sandbox();
    const receiver = await startReceiver(sandbox, place, ['--timeout', '200']);
    const received = await receiver.done;
    expect(received.code).toBe(1);
    expect(received.stderr).toMatch(/naru: NARU_TIMEOUT: [^\n]*no message came within 200 ms\n$/);
  });

  test('a closed pipe ends it with 0', async () => {
    await using sandbox = new Sandbox();
    const receiver = await startReceiver(sandbox, place, []);
    await sandbox.run(['send', receiver.url, 'first']);
    await receiver.wrote(/first\n/);
    receiver.child.stdout?.destroy();
    await sandbox.run(['send', receiver.url, 'second']);
    const { code, stderr } = await receiver.done;
    expect(code).toBe(0);
    expect(stderr.replace(/^naru: (listening on|\d+ messages?) .*\n/gm, '')).toBe('');
  });

  test('--exec acks on exit code 0; standard input is the body', async () => {
    await using sandbox = new Sandbox();
    const receiver = await startReceiver(sandbox, place, [
      '--count',
      '2',
      '--exec',
      'tr a-z A-Z; echo " $NARU_DELIVERIES"',
    ]);
    await sandbox.run(['send', receiver.url, 'one', 'two']);
    const received = await receiver.done;
    expect(received.code).toBe(0);
    expect(received.stdout.toString()).toBe('ONE 1\nTWO 1\n');
  });

  test('--exec with a command that ignores its input acks too', async () => {
    await using sandbox = new Sandbox();
    const receiver = await startReceiver(sandbox, place, ['--count', '1', '--exec', 'exec 0<&-; exit 0']);
    await sandbox.run(['send', receiver.url, '--bytes'], { stdin: Buffer.alloc(100_000, 'x') });
    expect((await receiver.done).code).toBe(0);
  });
});

describe.skipIf(!SHARED_PLACES.includes('shm'))('in shared memory', () => {
  const url = 'shm://jobs';

  test('exactly --count messages are taken; the rest is untouched', async () => {
    await using sandbox = new Sandbox();
    await sandbox.run(['send', url], { stdin: numbers(1000) });
    for (const [count, from] of [
      [1, 1],
      [255, 2],
      [257, 257],
      [300, 514],
    ] as const) {
      const { stdout } = await sandbox.run(['receive', url, '--count', String(count)]);
      expect(stdout.toString()).toBe(numbers(count, from));
    }
    const { stdout } = await sandbox.run(['receive', url, '--count', '1', '--json']);
    expect(JSON.parse(stdout.toString())).toMatchObject({ body: '814', deliveries: 1 });
  });

  test('what could not be written goes back, and a full disk is exit code 70', async () => {
    await using sandbox = new Sandbox();
    await sandbox.run(['send', url, 'kept']);
    const full = openSync('/dev/full', 'w');
    const failed = await sandbox.run(['receive', url, '--count', '1'], { stdoutFd: full });
    closeSync(full);
    expect(failed.code).toBe(70);
    expect(failed.stderr).toMatch(/^naru: .*ENOSPC[^\n]*\n$/);
    const { stdout } = await sandbox.run(['receive', url, '--count', '1', '--json']);
    expect(JSON.parse(stdout.toString())).toMatchObject({ body: 'kept', deliveries: 2 });
  });

  test('--ack none settles nothing', async () => {
    await using sandbox = new Sandbox();
    await sandbox.run(['send', url, 'a', 'b']);
    const looked = await sandbox.run(['receive', url, '--ack', 'none', '--count', '2']);
    expect(looked.stdout.toString()).toBe('a\nb\n');
    const { stdout } = await sandbox.run(['receive', url, '--count', '2']);
    expect(stdout.toString()).toBe('a\nb\n');
  });

  test('a message whose command keeps failing stays in the mailbox, and the exit code is 1', async () => {
    await using sandbox = new Sandbox();
    await sandbox.run(['send', url, 'bad']);
    const failed = await sandbox.run(['receive', url, '--exec', 'echo tried; exit 3', '--count', '1']);
    expect(failed.code).toBe(1);
    expect(failed.stdout.toString()).toBe('tried\n'.repeat(5));
    expect(failed.stderr).toMatch(/^naru: NARU_REMOTE: .*failed 5 times.*exit code 3[^\n]*\n$/);
    const { stdout } = await sandbox.run(['receive', url, '--count', '1']);
    expect(stdout.toString()).toBe('bad\n');
  });

  test('SIGINT while nobody reads standard output ends it within 5 s and gives everything back', async () => {
    await using sandbox = new Sandbox();
    await sandbox.run(['send', url], { stdin: `${'x'.repeat(2000)}\n`.repeat(250) });
    const receiver = sandbox.start(['receive', url]);
    receiver.child.stdout?.pause();
    await until(async () => {
      const { stdout } = await sandbox.run(['doctor', '--json']);
      const { mailboxes } = JSON.parse(stdout.toString()) as { mailboxes: { depth: number }[] };
      return mailboxes[0]?.depth === 0;
    });
    const startedAt = performance.now();
    receiver.child.kill('SIGINT');
    await new Promise((resolve) => receiver.child.once('exit', resolve));
    expect(performance.now() - startedAt).toBeLessThan(5_500);
    receiver.child.stdout?.destroy();
    expect((await receiver.done).code).toBe(130);
    const { stdout } = await sandbox.run(['receive', url, '--count', '250']);
    expect(stdout.byteLength).toBe(250 * 2001);
  });

  test('--json shows a body that is no UTF-8 as base64', async () => {
    await using sandbox = new Sandbox();
    await sandbox.run(['send', url], { stdin: Buffer.from([0xff, 0, 10]) });
    const { stdout } = await sandbox.run(['receive', url, '--count', '1', '--json']);
    expect(JSON.parse(stdout.toString())).toMatchObject({ body: '/wA=', encoding: 'base64' });
  });
});

describe.each(['unix', 'tcp'])('four receivers of one mailbox on %s', (place) => {
  test('get every message once together', async () => {
    await using sandbox = new Sandbox();
    const host = await startReceiver(sandbox, place, []);
    const others = [1, 2, 3].map(() => sandbox.start(['receive', host.url]));
    const count = 20_000;
    const sent = await sandbox.run(['send', host.url, '--receivers', '4', '--end'], {
      stdin: numbers(count),
    });
    expect(sent).toMatchObject({ code: 0 });
    const all = await Promise.all([host, ...others].map(({ done }) => done));
    expect(all.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    const lines = all.flatMap(({ stdout }) => stdout.toString().split('\n').filter(Boolean).map(Number));
    expect(lines.sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, index) => index + 1));
  });

  test('with a count each get every message once together', async () => {
    await using sandbox = new Sandbox();
    const host = await startReceiver(sandbox, place, ['--count', '2500']);
    const others = [1, 2, 3].map(() => sandbox.start(['receive', host.url, '--count', '2500']));
    expect((await sandbox.run(['send', host.url, '--receivers', '4'], { stdin: numbers(10_000) })).code).toBe(
      0,
    );
    const all = await Promise.all([host, ...others].map(({ done }) => done));
    const counts = all.map(({ stdout }) => stdout.toString().split('\n').length - 1);
    expect(counts).toEqual([2500, 2500, 2500, 2500]);
    const lines = all.flatMap(({ stdout }) => stdout.toString().split('\n').filter(Boolean).map(Number));
    expect(lines.sort((a, b) => a - b)).toEqual(Array.from({ length: 10_000 }, (_, index) => index + 1));
  });
});

test('every receiver of a topic gets every message', async () => {
  await using sandbox = new Sandbox();
  const url = `${sandbox.socketUrl}?deliver=all`;
  const receivers = [1, 2, 3].map(() => sandbox.start(['receive', url]));
  const sent = await sandbox.run(['send', url, '--receivers', '3', '--end', 'a', 'b']);
  expect(sent).toMatchObject({ code: 0, stderr: '' });
  for (const { done } of receivers) {
    const { code, stdout } = await done;
    expect({ code, text: stdout.toString() }).toEqual({ code: 0, text: 'a\nb\n' });
  }
});

test('a receiver that is killed loses nothing: the others get what it had', async () => {
  await using sandbox = new Sandbox();
  const host = await startReceiver(sandbox, 'unix', []);
  const [victim, other] = [1, 2].map(() => sandbox.start(['receive', host.url])) as [Running, Running];
  // At a pace that leaves each receiver its share: flat out, the others may have taken everything before the victim looks.
  const pace = ['--receivers', '3', '--rate', '10000', '--end'];
  const sender = sandbox.start(['send', host.url, ...pace], { stdin: numbers(20_000) });
  await victim.wrote(/\n/);
  victim.child.kill('SIGKILL');
  expect((await sender.done).code).toBe(0);
  const all = await Promise.all([host.done, victim.done, other.done]);
  const lines = all.flatMap(({ stdout }) => stdout.toString().match(/^\d+(?=\n)/gm) ?? []);
  expect(new Set(lines).size).toBe(20_000);
});

test('where a place has no headers the sender says that a last line feed will be added', async () => {
  await using sandbox = new Sandbox();
  const url = `${sandbox.socketUrl}?format=raw&frame=lines`;
  const receiver = sandbox.start(['receive', url, '--count', '2']);
  await until(() => existsSync(sandbox.path('mailbox.sock')));
  const sent = await sandbox.run(['send', url], { stdin: 'a\nb' });
  expect(sent).toMatchObject({ code: 0 });
  expect(sent.stderr).toMatch(/the last line has no line feed/);
  expect((await receiver.done).stdout.toString()).toBe('a\nb\n');
});
