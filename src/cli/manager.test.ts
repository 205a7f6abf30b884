import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openMap } from '../open-state.ts';
import { Sandbox, type Running } from './command.fixture.ts';

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox[Symbol.asyncDispose]());

async function start(): Promise<{ running: Running; url: string; file: string }> {
  const file = sandbox.path('key');
  const listen = `unix://${sandbox.path('m.sock')}`;
  const running = sandbox.start(['manager', '--listen', listen, '--key-file', file, '--json']);
  const [line] = await running.wrote(/^\{.*\}\n/);
  const ready = JSON.parse(line) as { ready: boolean; url: string; pid: number };
  expect(ready).toEqual({ ready: true, url: listen, pid: running.child.pid });
  return { running, url: listen, file };
}

/** Runs a command, which must succeed in silence. */
async function run(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await sandbox.run(args);
  expect([code, stderr]).toEqual([0, '']);
  return stdout.toString();
}

test('makes the key file, serves maps and values, shows no key, and stops cleanly', {
  timeout: 120_000,
}, async () => {
  const { running, url, file } = await start();
  const key = readFileSync(file, 'utf8').trim();
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const at = (name: string): string => `${url}?name=${name}&keyFile=${file}`;
  await run('set', at('settings'), 'theme', 'dark');
  expect(await run('get', at('settings'), 'theme')).toBe('"dark"\n');
  expect(await run('update', at('settings'), 'visits', '--add', '2')).toBe('2\n');
  await run('set', at('total'), '5', '--type', 'i64');
  expect(await run('update', at('total'), '--add', '3')).toBe('8\n');
  const wrong = await sandbox.run(['get', `${url}?name=settings`, 'theme'], {
    env: { NARU_MANAGER_KEY: 'another key than that' },
  });
  expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('NARU_DENIED')]);
  running.child.kill('SIGTERM');
  const { code, stdout, stderr } = await running.done;
  expect(code).toBe(0);
  expect(`${stdout.toString()}${stderr}${wrong.stderr}`).not.toContain(key);
});

test('serves locks, mailboxes and watches', { timeout: 120_000 }, async () => {
  const { url, file } = await start();
  const at = (name: string): string => `${url}?name=${name}&keyFile=${file}`;
  expect(await run('lock', at('report'), '--try', '--', 'echo', 'alone')).toBe('alone\n');
  await run('send', at('jobs'), 'hello');
  expect(await run('receive', at('jobs'), '--count', '1')).toBe('hello\n');
  await run('set', at('settings'), 'theme', 'dark');
  const watching = sandbox.start(['watch', at('settings'), 'theme', '--start', '--count', '2']);
  await watching.wrote(/dark/);
  await run('set', at('settings'), 'theme', 'light');
  const seen = (await watching.done).stdout.toString();
  expect(seen).toBe('{"key":"theme","value":"dark"}\n{"key":"theme","value":"light"}\n');
});

test('a lock that goes with its Manager ends the command that runs under it', {
  timeout: 120_000,
}, async () => {
  const { running, url, file } = await start();
  const held = sandbox.start([
    'lock',
    `${url}?name=report&keyFile=${file}`,
    '--',
    'sh',
    '-c',
    'echo at it; exec sleep 600',
  ]);
  await held.wrote(/at it/);
  running.child.kill('SIGKILL');
  const { code, stderr } = await held.done;
  expect([code, stderr]).toEqual([1, expect.stringContaining('NARU_PEER_GONE')]);
});

test('no key is exit code 78, and nowhere to listen 2', async () => {
  const listen = ['--listen', `unix://${sandbox.path('m.sock')}`];
  expect((await sandbox.run(['manager', ...listen])).code).toBe(78);
  writeFileSync(sandbox.path('open'), 'a key that others can read', { mode: 0o644 });
  expect((await sandbox.run(['manager', ...listen, '--key-file', sandbox.path('open')])).code).toBe(78);
  expect((await sandbox.run(['manager', '--key-file', sandbox.path('key')])).code).toBe(2);
  const wide = await sandbox.run([
    'manager',
    '--listen',
    'tcp://0.0.0.0:0',
    '--key-file',
    sandbox.path('key'),
  ]);
  expect([wide.code, wide.stderr]).toEqual([2, expect.stringContaining('plainNetwork')]);
});

test('after SIGKILL and a new start, handles come back by themselves; what only its memory held is gone', {
  timeout: 120_000,
}, async () => {
  const first = await start();
  const key = readFileSync(first.file, 'utf8').trim();
  await using settings = await openMap(`unix://${sandbox.path('m.sock')}?name=settings`, { key });
  await settings.set('theme', 'dark');
  first.running.child.kill('SIGKILL');
  await first.running.done;
  const during = settings.set('theme', 'light');
  const outcome = during.then(
    () => 'set',
    (error: { code?: string }) => error.code,
  );
  await start();
  // Either it had not left yet and went to the next Manager, or nobody can say.
  expect(['set', 'NARU_OUTCOME_UNKNOWN', 'NARU_DISCONNECTED']).toContain(await outcome);
  await settings.set('size', 3);
  expect([await settings.get('size'), await settings.get('gone')]).toEqual([3, undefined]);
});
