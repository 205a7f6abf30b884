// naru places, doctor and bench, and the demo: their JSON documents and exit codes.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { SystemVQueue } from '../kernel/index.ts';
import { open } from '../open.ts';
import { Sandbox, until } from './command.fixture.ts';
import { DATABASE_PLACES, FILE_PLACES, PIPE_PLACES, QUEUE_PLACES, SHARED_PLACES } from './places.fixture.ts';

test('naru places --json is what the places declare, and the table names every feature', async () => {
  await using sandbox = new Sandbox();
  const { FEATURES } = await import('../mailbox/capabilities.ts');
  const { stdout } = await sandbox.run(['places', '--json']);
  const { places } = JSON.parse(stdout.toString()) as { places: { scheme: string }[] };
  expect(new Set(places.map(({ scheme }) => scheme))).toEqual(
    new Set([
      'memory',
      'activemq',
      'amqp',
      'shm',
      'unix',
      'tcp',
      'sysv',
      'posixmq',
      'mmap',
      'fifo',
      'pipe',
      'file',
      'sqlite',
      'postgres',
      'ws',
      'http',
      'kafka',
      'zmq',
      'zmq+ipc',
      'redis',
    ]),
  );
  const shown = (await sandbox.run(['places'])).stdout.toString();
  for (const feature of Object.keys(FEATURES)) expect(shown).toMatch(new RegExp(`^${feature} `, 'm'));
});

describe('naru doctor', () => {
  test('finds this machine fit', async () => {
    await using sandbox = new Sandbox();
    const { code, stdout, stderr } = await sandbox.run(['doctor', '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { ok, checks } = JSON.parse(stdout.toString()) as { ok: boolean; checks: { what: string }[] };
    expect(ok).toBe(true);
    expect(checks.map(({ what }) => what)).toContain('runtime folder');
  });

  test('fails on a runtime folder that others can enter', async () => {
    await using sandbox = new Sandbox();
    const folder = sandbox.path('open');
    mkdirSync(folder, { mode: 0o755 });
    const { code, stdout } = await sandbox.run(['doctor'], { env: { NARU_RUNTIME_DIR: folder } });
    expect(code).toBe(1);
    expect(stdout.toString()).toMatch(/^fail +runtime folder .* has mode 755, needs 700/m);
  });

  test('works without the addon, and says what is missing', async () => {
    await using sandbox = new Sandbox();
    const { code, stdout } = await sandbox.run(['doctor'], { env: { NARU_NO_NATIVE: '1' } });
    expect(code).toBe(0);
    expect(stdout.toString()).toMatch(/^warn +addon +not loaded/m);
  });

  test.skipIf(!SHARED_PLACES.includes('shm'))('--clean removes what a killed process left', async () => {
    await using sandbox = new Sandbox();
    const receiver = sandbox.start(['receive', 'shm://orphan?owner=users', '--json']);
    await until(async () =>
      (await sandbox.run(['doctor', '--json'])).stdout.includes('"orphan","state":"live"'),
    );
    await sandbox.run(['send', 'shm://orphan', 'x']);
    await receiver.wrote(/"body":"x"/);
    receiver.child.kill('SIGKILL');
    await receiver.done;
    const before = JSON.parse((await sandbox.run(['doctor', '--json'])).stdout.toString()) as object;
    expect(before).toMatchObject({ ok: true, mailboxes: [{ name: 'orphan', state: 'leftover' }] });
    const after = JSON.parse(
      (await sandbox.run(['doctor', '--clean', '--json'])).stdout.toString(),
    ) as object;
    expect(after).toMatchObject({ ok: true, mailboxes: [], removed: ['orphan'] });
  });
});

test.skipIf(QUEUE_PLACES.length === 0)(
  'doctor --clean removes the private queue of a requester that was killed, and says so',
  async () => {
    await using sandbox = new Sandbox();
    sandbox.share();
    const url = `sysv://naru-doctor-${process.pid}?format=envelope`;
    const program = `import { open } from '${new URL('../index.js', import.meta.url).href}';
      const mailbox = await open('${url}', { emulate: ['reply'] }); mailbox.request('x').catch(() => {});
      setInterval(() => {}, 1000); setTimeout(() => console.log('asked'), 50);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(child.stdout, 'data');
      const alive = SystemVQueue.list().filter(({ mode }) => mode === 0o701);
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      const before = (await sandbox.run(['doctor'])).stdout.toString();
      expect(before).toMatch(/^warn +reply queues +\d+ left by dead processes: naru doctor --clean/m);
      const after = await sandbox.run(['doctor', '--clean', '--json']);
      const { removed } = JSON.parse(after.stdout.toString()) as { removed: string[] };
      expect(alive.some(({ id }) => removed.includes(`sysv://id/${id}`))).toBe(true);
      const ids = SystemVQueue.list().map(({ id }) => `sysv://id/${id}`);
      expect(removed.filter((name) => ids.includes(name))).toEqual([]);
    } finally {
      child.kill('SIGKILL');
      await sandbox.run(['rm', url]);
    }
  },
);

test.skipIf(QUEUE_PLACES.length === 0)(
  'doctor shows a queue whose users have ended, and --clean leaves it: it is not for Naru to say who comes back',
  async () => {
    await using sandbox = new Sandbox();
    const url = `sysv://naru-doctor-${process.pid}`;
    sandbox.share();
    await sandbox.run(['send', url, 'x']);
    try {
      const { address } = await open(url, { create: 'never' });
      const { unused, removed } = JSON.parse(
        (await sandbox.run(['doctor', '--clean', '--json'])).stdout.toString(),
      ) as { unused: { name: string }[]; removed: string[] };
      expect(unused).toContainEqual({
        kind: 'System V queue',
        name: address,
        who: expect.stringMatching(/^last sender \d+ \(gone\)$/) as string,
      });
      expect(removed).toEqual([]);
      expect((await sandbox.run(['peek', url])).stdout.toString()).toBe('x\n');
    } finally {
      await sandbox.run(['rm', url]);
    }
  },
);

test.skipIf(!SHARED_PLACES.includes('shm'))('doctor and rm reach the mailboxes of a group', async () => {
  await using sandbox = new Sandbox();
  const gid = process.getegid?.();
  const url = `shm://jobs?accessGroup=${gid}`;
  const doctor = async (): Promise<{ ok: boolean; mailboxes: object[] }> =>
    JSON.parse((await sandbox.run(['doctor', '--json'])).stdout.toString()) as never;
  await sandbox.run(['send', url, 'x']);
  await sandbox.run(['send', 'shm://jobs', 'y']);
  const [own, shared] = [
    { name: 'jobs', state: 'live', depth: 1 },
    { name: 'jobs', state: 'live', depth: 1, accessGroup: gid },
  ];
  expect(await doctor()).toMatchObject({ ok: true, mailboxes: [own, shared] });
  const mistyped = await sandbox.run(['rm', `shm://jobs?accesGroup=${gid}`]);
  expect(mistyped).toMatchObject({ stderr: expect.stringContaining('unknown parameter accesGroup') });
  expect((await sandbox.run(['rm', url])).code).toBe(0);
  expect((await doctor()).mailboxes).toEqual([own]);
  expect((await sandbox.run(['rm', url])).stderr).toContain('NARU_NOT_FOUND');
});

describe('naru bench', () => {
  test('measures several mailboxes in turn and loses nothing', async () => {
    await using sandbox = new Sandbox();
    const urls = ['memory://bench', sandbox.socketUrl, 'tcp://127.0.0.1:0'];
    const report = sandbox.path('report.html');
    const args = ['--count', '2000', '--rounds', '2', '--json', '--report', report];
    const { code, stdout, stderr } = await sandbox.run(['bench', ...urls, ...args]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { results } = JSON.parse(stdout.toString()) as { results: Record<string, unknown>[] };
    expect(results.map(({ url }) => url)).toEqual(urls);
    for (const result of results) expect(result).toMatchObject({ sent: 4000, received: 4000, lost: 0 });
    expect(readFileSync(report, 'utf8')).toMatch(/<svg [^]*memory:\/\/bench/);
  });

  test('several producers and consumers share the work', async () => {
    await using sandbox = new Sandbox();
    const args = ['--producers', '2', '--consumers', '2', '--count', '4000', '--rounds', '1', '--json'];
    const { code, stdout } = await sandbox.run(['bench', sandbox.socketUrl, ...args]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout.toString())).toMatchObject({ results: [{ sent: 4000, received: 4000 }] });
  });

  test.each(QUEUE_PLACES)('a queue that it made in %s goes; one that was there stays', async (place) => {
    await using sandbox = new Sandbox();
    const url = `${place}://naru-bench-${process.pid}`;
    const args = ['--count', '500', '--rounds', '1', '--json'];
    const { code, stdout } = await sandbox.run(['bench', url, ...args]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout.toString())).toMatchObject({ results: [{ sent: 500, received: 500 }] });
    expect((await sandbox.run(['inspect', url])).stderr).toMatch(/^naru: NARU_NOT_FOUND: /);
    await sandbox.run(['send', url, 'x']);
    await sandbox.run(['purge', url]);
    expect((await sandbox.run(['bench', url, ...args])).code).toBe(0);
    expect((await sandbox.run(['rm', url])).code).toBe(0);
  });

  test('a mailbox that cannot be opened is exit code 1 with its error', async () => {
    await using sandbox = new Sandbox();
    const { code, stderr } = await sandbox.run(['bench', 'unix:///no/such/folder/x.sock', '--rounds', '1']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^naru: NARU_\w+: /);
  });
});

describe('the demo', () => {
  test('--json prints one document on one line, with nothing lost in any place', {
    timeout: 90_000,
  }, async () => {
    await using sandbox = new Sandbox();
    const ran = await sandbox.run(['--seconds', '3', '--json'], { program: './demo.js', watchdogMs: 60_000 });
    expect(ran.code).toBe(0);
    const text = ran.stdout.toString();
    expect(text.indexOf('\n')).toBe(text.length - 1);
    const { places } = JSON.parse(text) as { places: Record<string, unknown>[] };
    expect(places.map(({ place }) => place)).toEqual([
      'memory',
      ...SHARED_PLACES,
      ...QUEUE_PLACES,
      ...FILE_PLACES,
      ...PIPE_PLACES,
      'file',
      ...DATABASE_PLACES,
      'ws',
      'http',
      'broker',
    ]);
    for (const place of places) {
      expect(place).toMatchObject({ lost: 0, received: place['sent'] });
      for (const figure of ['sent', 'messagesPerSecond', 'p50Us', 'p99Us']) {
        expect(place[figure], `${String(place['place'])}: ${figure}`).toBeGreaterThan(0);
      }
    }
  });

  test('without the addon shared memory is skipped with the reason, and the rest runs', async () => {
    await using sandbox = new Sandbox();
    const ran = await sandbox.run(['--seconds', '1', '--places', 'memory,shm'], {
      program: './demo.js',
      env: { NARU_NO_NATIVE: '1' },
    });
    expect(ran.code).toBe(0);
    expect(ran.stderr).toMatch(/^shm: skipped, the native addon is not loaded/m);
    expect(ran.stdout.toString()).toMatch(/^shm .*skipped/m);
  });

  test('an unknown place is exit code 2', async () => {
    await using sandbox = new Sandbox();
    expect((await sandbox.run(['--places', 'moon'], { program: './demo.js' })).code).toBe(2);
  });

  test('SIGINT ends it and every process of it', async () => {
    await using sandbox = new Sandbox();
    const demo = sandbox.start(['--seconds', '20', '--places', 'memory'], { program: './demo.js' });
    const { pid } = demo.child;
    const children = await until(() => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
    demo.child.kill('SIGINT');
    expect((await demo.done).code).toBe(130);
    await until(() => children.split(' ').every((child) => !existsSync(`/proc/${child}`)));
  });
});
