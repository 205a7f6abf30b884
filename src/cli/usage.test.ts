// Wrong usage, help, passwords: what every command has in common.

import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Sandbox } from './command.fixture.ts';

const COMMANDS =
  'send receive request serve bridge get set update watch inspect peek purge rm lock bench places doctor'.split(
    ' ',
  );

test('--version is the version of the package', async () => {
  await using sandbox = new Sandbox();
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  expect(await sandbox.run(['--version'])).toMatchObject({ code: 0, stderr: '' });
  expect((await sandbox.run(['-v'])).stdout.toString()).toBe(`${version}\n`);
});

test('--help lists every command', async () => {
  await using sandbox = new Sandbox();
  const { code, stdout } = await sandbox.run(['--help']);
  expect(code).toBe(0);
  for (const name of COMMANDS) expect(stdout.toString()).toContain(name);
});

describe.each(COMMANDS)('naru %s', (name) => {
  test('--help shows an example, without escape codes where there is no terminal', async () => {
    await using sandbox = new Sandbox();
    const { code, stdout, stderr } = await sandbox.run([name, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.toString()).toMatch(new RegExp(`EXAMPLES\\n\\n {2}.*naru ${name}`));
    expect(stdout.includes(27)).toBe(false);
  });

  test('an unknown flag is exit code 2 and does nothing', async () => {
    await using sandbox = new Sandbox();
    const { code, stdout, stderr } = await sandbox.run([name, '--no-such-flag']);
    expect(code).toBe(2);
    expect(stdout.toString()).toBe('');
    expect(stderr).toMatch(/^naru: .*--no-such-flag.*\nTry: naru \w+ --help\n$/);
  });
});

test.each([
  [['frobnicate'], /no command "frobnicate"/],
  [[], /no command given/],
  [['send'], /no mailbox URL/],
  [['send', 'no-url', 'x'], /"no-url" is not a mailbox URL/],
  [['send', 'shm://x', '--priority'], /--priority/],
  [['send', 'shm://x', '--priority', 'high', 'x'], /--priority takes a whole number/],
  [['send', 'shm://x', '--header', 'novalue', 'x'], /--header takes key=value/],
  [['send', 'shm://x', '--confirm', 'maybe', 'x'], /--confirm is one of accepted, placed, durable, received/],
  [['send', 'shm://x', '--bytes', 'x'], /about standard input/],
  [['send', '--lines', '--bytes', 'shm://x'], /only one of --lines and --bytes/],
  [['send', 'shm://x?capacity=lots', 'x'], /NARU_INVALID_ARGUMENT: .*capacity=lots/],
  [['send', 'nowhere://x', 'x'], /NARU_INVALID_ARGUMENT: .*no place "nowhere/],
  [['receive', 'shm://x', 'shm://y'], /too many arguments/],
  [['receive', 'shm://x', '--count', '0'], /--count takes a whole number/],
  [['receive', 'shm://x', '--count', '1', '--follow'], /only one of --count and --follow/],
  [['receive', 'shm://x', '--exec', 'true', '--ack', 'none'], /--exec settles/],
  [['serve', 'shm://x'], /serve needs --exec/],
  [['bench', 'shm://x', '--mode', 'fast'], /--mode is one of/],
  [['bench', 'shm://x', '--size', '1'], /--size takes a whole number from 24/],
  [['bridge', 'shm://x'], /no mailbox URL/],
  [['bridge', 'shm://x', 'y'], /"y" is not a mailbox URL/],
  [['bridge', 'shm://x', 'shm://y', 'shm://z'], /too many|one argument too many/],
  [['bridge', 'shm://x', 'shm://x'], /the source and the target are the same mailbox/],
  [['bridge', 'shm://x', 'shm://y', '--concurrency', '0'], /--concurrency takes a whole number/],
  [['bridge', 'shm://x', 'shm://y', '--without', 'body'], /--without is one of headers, type/],
  [['bridge', 'shm://x', 'shm://y', '--map', '/no/such.mjs'], /--map \/no\/such.mjs cannot be loaded/],
  [['bridge', 'shm://x', 'shm://y?capacity=lots'], /NARU_INVALID_ARGUMENT: .*capacity=lots/],
  [['inspect', 'shm://x', 'shm://y'], /too many arguments/],
  [['peek', 'shm://x', '--count', '0'], /--count takes a whole number/],
  [['purge', 'shm://x', 'y'], /too many arguments/],
  [['places', 'extra'], /too many arguments/],
])('naru %j is exit code 2', async (args, message) => {
  await using sandbox = new Sandbox();
  const { code, stderr, stdout } = await sandbox.run(args);
  expect(stderr).toMatch(message);
  expect(code).toBe(2);
  expect(stdout.toString()).toBe('');
});

describe('a password', () => {
  const canary = 'c4n4ry-s3cr3t';
  const url = `tcp://user:${canary}@127.0.0.1:1/x`;

  test('in NARU_URL is in no error, and not in the list of processes', async () => {
    await using sandbox = new Sandbox();
    const running = sandbox.start(['send', '--timeout', '400'], { env: { NARU_URL: url }, keepOpen: true });
    const commandLine = readFileSync(`/proc/${running.child.pid}/cmdline`, 'utf8');
    running.child.stdin?.end('x\n');
    const { code, stdout, stderr } = await running.done;
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/^naru: NARU_/);
    expect(`${commandLine}${stdout.toString()}${stderr}`).not.toContain(canary);
  });

  test('in a URL file is in no error', async () => {
    await using sandbox = new Sandbox();
    const file = sandbox.path('url');
    writeFileSync(file, `${url}\n`);
    const { code, stderr } = await sandbox.run(['send', '--url-file', file, '--timeout', '300', 'x']);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/^naru: NARU_/);
    expect(stderr).not.toContain(canary);
  });

  test('in an argument is taken out of the process list', async () => {
    await using sandbox = new Sandbox();
    const running = sandbox.start(['receive', url, '--timeout', '2000']);
    const read = (): string => readFileSync(`/proc/${running.child.pid}/cmdline`, 'utf8');
    const deadline = Date.now() + 2_000;
    while (read().includes(canary) && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 5));
    expect(read()).not.toContain(canary);
    expect((await running.done).stderr).not.toContain(canary);
  });

  test('in a URL that is wrong is not shown either', async () => {
    await using sandbox = new Sandbox();
    const { code, stderr } = await sandbox.run(['send', 'x'], { env: { NARU_URL: `${url}?nonsense=1` } });
    expect(stderr).not.toContain(canary);
    expect(code).not.toBe(0);
  });
});

test('a wrong URL from the environment or a file is bad configuration: 78', async () => {
  await using sandbox = new Sandbox();
  const file = sandbox.path('url');
  writeFileSync(file, 'not a url');
  expect((await sandbox.run(['send', 'x'], { env: { NARU_URL: 'nonsense' } })).code).toBe(78);
  expect((await sandbox.run(['send', 'x'], { env: { NARU_URL: 'shm://x?capacity=lots' } })).code).toBe(78);
  expect((await sandbox.run(['send', '--url-file', file, 'x'])).code).toBe(78);
  expect((await sandbox.run(['send', '--url-file', sandbox.path('absent'), 'x'])).code).toBe(78);
});

test('the reference page names every command and every flag', async () => {
  await using sandbox = new Sandbox();
  const page = readFileSync(new URL('../../docs/reference/cli.md', import.meta.url), 'utf8');
  for (const name of COMMANDS) {
    expect(page).toContain(`naru ${name}`);
    const help = (await sandbox.run([name, '--help'])).stdout.toString();
    for (const [flag] of help.matchAll(/(?<=^ *)--[a-z-]+/gm))
      expect(page, `${name} ${flag}`).toContain(flag);
  }
});
