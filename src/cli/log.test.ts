// The commands over file:///folder: what they send, show and remove, through a bridge, and how they end when the disk or the data is bad.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { open } from '../open.ts';
import { Sandbox } from './command.fixture.ts';

const LIMIT = { timeout: 60_000 };

const urlOf = (sandbox: Sandbox, name = 'log'): `file:///${string}` =>
  `file://${sandbox.path(name)}` as `file:///${string}`;

interface Listed {
  readonly name: string;
  readonly bytes: number;
  readonly state: string | null;
  readonly peers: readonly unknown[];
}

async function listed(sandbox: Sandbox, ...args: readonly string[]): Promise<Listed[]> {
  const { code, stdout } = await sandbox.run(['ls', '--json', ...args]);
  expect(code).toBe(0);
  const { objects } = JSON.parse(stdout.toString()) as { objects: Listed[] };
  return objects.filter(({ name }) => name.startsWith('file:'));
}

test('what is sent stays until it is received, by whichever process', LIMIT, async () => {
  await using sandbox = new Sandbox();
  const url = urlOf(sandbox);
  expect(await sandbox.run(['send', url, 'one', 'two', 'three'])).toMatchObject({ code: 0 });
  const first = await sandbox.run(['receive', url, '--count', '1']);
  expect([first.code, first.stdout.toString()]).toEqual([0, 'one\n']);
  const rest = await sandbox.run(['receive', url, '--count', '2', '--json']);
  expect(rest.code).toBe(0);
  const lines = rest.stdout.toString().trim().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { body: string }).body)).toEqual(['two', 'three']);
  const none = await sandbox.run(['receive', url, '--count', '1', '--timeout', '50']);
  expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('NARU_TIMEOUT')]);
});

test('peek and inspect leave every message, purge takes them, rm takes the folder', LIMIT, async () => {
  await using sandbox = new Sandbox();
  const url = urlOf(sandbox);
  await sandbox.run(['send', url, 'one', 'two']);
  expect((await sandbox.run(['peek', url, '--count', '5'])).stdout.toString()).toBe('one\ntwo\n');
  const inspected = await sandbox.run(['inspect', url, '--json']);
  expect(inspected.code).toBe(0);
  expect(JSON.parse(inspected.stdout.toString())).toMatchObject({
    mailbox: url,
    place: 'file',
    stats: { depth: 2, unsettled: 0, extra: { segments: 1, groups: 1, usedBytes: expect.any(Number) } },
  });
  const purged = await sandbox.run(['purge', url, '--json']);
  expect(JSON.parse(purged.stdout.toString())).toEqual({ mailbox: url, removed: 2 });
  expect((await sandbox.run(['peek', url])).stdout.toString()).toBe('');
  expect(await sandbox.run(['rm', url])).toMatchObject({ code: 0 });
  expect(existsSync(sandbox.path('log'))).toBe(false);
  const gone = await sandbox.run(['peek', url]);
  expect([gone.code, gone.stderr]).toEqual([1, expect.stringContaining('NARU_NOT_FOUND')]);
});

test('inspect shows how far behind each group of a topic is', LIMIT, async () => {
  await using sandbox = new Sandbox();
  const url = `${urlOf(sandbox)}?deliver=all` as const;
  {
    await using topic = await open(url);
    for (const group of ['billing', 'audit']) {
      await using reader = await open(url, { role: 'consumer', group });
      await reader.connect('consumer');
      if (group === 'billing') await topic.sendMany([1, 2, 3]);
      else await topic.send(4);
    }
  }
  const { code, stdout } = await sandbox.run(['inspect', urlOf(sandbox), '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout.toString())).toMatchObject({
    stats: { extra: { groups: 2, 'lag.billing': 4, 'lag.audit': 1 } },
  });
});

test(
  'ls lists the logs of the data folder, or of a folder that is named, and who has them open',
  LIMIT,
  async () => {
    await using sandbox = new Sandbox();
    expect(await listed(sandbox)).toEqual([]);
    mkdirSync(sandbox.path('state/naru/other'), { recursive: true, mode: 0o700 });
    const own = urlOf(sandbox, 'state/naru/orders');
    await sandbox.run(['send', own, 'one']);
    expect(await listed(sandbox)).toEqual([
      expect.objectContaining({ kind: 'mailbox', name: own, mode: 0o700, state: null, peers: [] }),
    ]);
    const url = urlOf(sandbox, 'jobs');
    {
      await using _open = await open(url);
      const live = { name: url, state: 'live', peers: [{ what: `host ${process.pid}`, isAlive: true }] };
      expect(await listed(sandbox, urlOf(sandbox, ''))).toEqual([expect.objectContaining(live)]);
      expect(await listed(sandbox, url)).toEqual([expect.objectContaining(live)]);
    }
    expect((await listed(sandbox, url))[0]?.bytes).toBeGreaterThan(0);
  },
);

test('bridge into it and out of it loses nothing and changes nothing', LIMIT, async () => {
  await using sandbox = new Sandbox();
  const [from, middle, to] = [urlOf(sandbox, 'from'), urlOf(sandbox, 'middle'), urlOf(sandbox, 'to')];
  const bodies = Array.from({ length: 3_000 }, (_, n) => `${n} ${'나루'.repeat(n % 7)}`);
  {
    await using source = await open(from, { codec: 'text' });
    await source.sendMany(bodies);
  }
  const count = ['--count', String(bodies.length)];
  // One after the other: a host that leaves before it has heard what was settled gives that again.
  for (const way of [
    [from, middle],
    [middle, to],
  ]) {
    expect(await sandbox.run(['bridge', ...way, ...count], { watchdogMs: 50_000 })).toMatchObject({
      code: 0,
    });
  }
  await using target = await open(to, { codec: 'text', create: 'never' });
  const arrived: string[] = [];
  while (arrived.length < bodies.length) {
    const some = await target.receiveMany(bodies.length - arrived.length, { timeoutMs: 20_000 });
    arrived.push(...some.map(({ data }) => data));
  }
  const sum = (texts: readonly string[]): string =>
    createHash('sha256').update(texts.toSorted().join('\n')).digest('hex');
  expect(sum(arrived)).toBe(sum(bodies));
});

test.each([
  ['in its last batch', 200],
  ['before its last batch', 600],
])('a bridge whose acks the host did not hear, %s, carries nothing twice', LIMIT, async (_when, count) => {
  await using sandbox = new Sandbox();
  const url = urlOf(sandbox);
  const host = await open(url);
  await host.sendMany(Array.from({ length: count }, (_, n) => n));
  await using target = await open(sandbox.socketUrl as `unix:///${string}`);
  const args = [url, sandbox.socketUrl, '--confirm', 'received', '--count', String(count), '--json'];
  const bridge = sandbox.start(['bridge', ...args]);
  const arrived: unknown[] = [];
  const arrive = async (most: number): Promise<void> => {
    while (arrived.length < most) {
      const some = await target.receiveMany(most - arrived.length, { timeoutMs: 20_000 });
      arrived.push(...some.map(({ data }) => data));
    }
  };
  // It has a batch under way, and settles none of it before all of it has arrived.
  await arrive(100);
  await host.close();
  await bridge.said(/the source is back/);
  await arrive(count);
  const { code, stdout, stderr } = await bridge.done;
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout.toString())).toMatchObject({ moved: count, resent: 0, dropped: 0, lost: 0 });
  expect(arrived).toEqual(Array.from({ length: count }, (_, n) => n));
  expect((await target.stats()).place.depth).toBe(0);
  await using left = await open(url, { create: 'never' });
  expect((await left.stats()).place).toMatchObject({ depth: 0, unsettled: 0 });
});

test('two bridges share a log, one of them its host, and move all of it once', LIMIT, async () => {
  await using sandbox = new Sandbox();
  const url = urlOf(sandbox);
  const half = 3_000;
  const bodies = Array.from({ length: 2 * half }, (_, n) => n);
  {
    await using source = await open(url);
    await source.sendMany(bodies);
  }
  await using target = await open(urlOf(sandbox, 'to'));
  const args = ['bridge', url, urlOf(sandbox, 'to'), '--count', String(half), '--json'];
  for (const { code, stdout, stderr } of await Promise.all([sandbox.run(args), sandbox.run(args)])) {
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout.toString())).toMatchObject({ moved: half, resent: 0, lost: 0 });
  }
  const arrived: number[] = [];
  while ((await target.stats()).place.depth > 0) {
    arrived.push(...(await target.receiveMany(1_000)).map(({ data }) => data as number));
  }
  expect(arrived.toSorted((a, b) => a - b)).toEqual(bodies);
  await using left = await open(url, { create: 'never' });
  expect((await left.stats()).place).toMatchObject({ depth: 0, unsettled: 0 });
});

test('damaged data is exit code 71 and names the file; doctor finds it, rm removes it', LIMIT, async () => {
  await using sandbox = new Sandbox();
  const url = urlOf(sandbox);
  await sandbox.run(['send', url, 'one', 'message-two']);
  const whole = await sandbox.run(['doctor', '--verify', sandbox.path('log')]);
  expect([whole.code, whole.stdout.toString()]).toEqual([0, expect.stringContaining('nothing is damaged')]);
  const name = readdirSync(sandbox.path('log')).find((each) => each.startsWith('00000001')) ?? '';
  const file = join(sandbox.path('log'), name);
  const bytes = readFileSync(file);
  bytes[bytes.indexOf('message-two')] = 0;
  writeFileSync(file, bytes);
  for (const command of ['receive', 'peek', 'inspect', 'send']) {
    const { code, stderr } = await sandbox.run([command, url, ...(command === 'send' ? ['x'] : [])]);
    expect([command, code, stderr]).toEqual([
      command,
      71,
      expect.stringMatching(/NARU_CORRUPT.*00000001\.0\.seg/),
    ]);
  }
  const found = await sandbox.run(['doctor', '--verify', sandbox.path('log')]);
  expect([found.code, found.stdout.toString()]).toEqual([71, expect.stringContaining(`damaged: ${name}`)]);
  expect(await sandbox.run(['rm', url])).toMatchObject({ code: 0 });
  expect(existsSync(sandbox.path('log'))).toBe(false);
});

test('a disk that refuses is exit code 70', LIMIT, async () => {
  await using sandbox = new Sandbox();
  // No file may be larger than 64 KiB: the first segment finds no room, and that does not pass by itself.
  const wrapper = ['sh', '-c', 'ulimit -f 128; exec "$@"', 'sh'];
  const { code, stderr } = await sandbox.run(['send', urlOf(sandbox), 'one'], { wrapper });
  expect([code, stderr]).toEqual([70, expect.stringContaining('NARU_STORAGE')]);
});
