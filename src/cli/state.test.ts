// naru get, set, update and watch on maps and values in shared memory; and what ls, inspect, doctor and rm say of them.

import { describe, expect, test } from 'vitest';
import { Sandbox } from './command.fixture.ts';

/** What a command printed, and how it ended. */
async function run(sandbox: Sandbox, ...args: string[]): Promise<[number, string]> {
  const { code, stdout, stderr } = await sandbox.run(args);
  return [code ?? -1, code === 0 ? stdout.toString() : stderr.toString()];
}

describe('maps', () => {
  test('are set, read, updated and deleted; values are JSON where they look like it', async () => {
    await using sandbox = new Sandbox();
    const url = 'shm://settings';
    expect(await run(sandbox, 'get', url, 'a')).toEqual([
      1,
      expect.stringMatching(/^naru: NARU_NOT_FOUND: /),
    ]);
    expect(await run(sandbox, 'set', url, 'a', '{"b":[1]}')).toEqual([0, '']);
    expect(await run(sandbox, 'get', url, 'a')).toEqual([0, '{"b":[1]}\n']);
    await run(sandbox, 'set', url, 'word', 'dark');
    await run(sandbox, 'set', url, 'digits', '--text', '007');
    expect(await run(sandbox, 'get', url, 'word')).toEqual([0, '"dark"\n']);
    expect(await run(sandbox, 'get', url, 'digits')).toEqual([0, '"007"\n']);
    expect(await run(sandbox, 'set', url, 'a', '1', '--if-absent')).toEqual([
      1,
      expect.stringMatching(/NARU_EXISTS/),
    ]);
    expect(await run(sandbox, 'update', url, 'n', '--add', '5')).toEqual([0, '5\n']);
    expect(await run(sandbox, 'update', url, 'n', '--add=-2')).toEqual([0, '3\n']);
    expect(await run(sandbox, 'update', url, 'n', '--exec', 'sed s/3/[33]/')).toEqual([0, '[33]\n']);
    expect(await run(sandbox, 'update', url, 'n', '--exec', 'false')).toEqual([
      1,
      expect.stringMatching(/ended with 1: nothing was changed/),
    ]);
    expect(await run(sandbox, 'update', url, 'nothing', '5')).toEqual([
      1,
      expect.stringMatching(/NARU_NOT_FOUND/),
    ]);
    expect(await run(sandbox, 'set', url, 'a', '--delete')).toEqual([0, '']);
    const [, all] = await run(sandbox, 'get', url);
    expect(
      all
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { key: string }).key)
        .toSorted(),
    ).toEqual(['digits', 'n', 'word']);
    expect(await run(sandbox, 'set', url, 'brief', '1', '--ttl', '1')).toEqual([0, '']);
    expect(await run(sandbox, 'get', url, 'brief')).toEqual([1, expect.stringMatching(/NARU_NOT_FOUND/)]);
  });

  test('are watched until so many changes have come', async () => {
    await using sandbox = new Sandbox();
    await run(sandbox, 'set', 'shm://watched', 'a', '1');
    const watching = sandbox.run(['watch', 'shm://watched', 'a', '--start', '--count', '2']);
    // Also when the second change comes before the watch has begun, or while it begins, two come in all.
    const end = { isReached: false };
    const over = watching.finally(() => {
      end.isReached = true;
    });
    for (let n = 2; !end.isReached && n < 100; n += 1)
      await run(sandbox, 'set', 'shm://watched', 'a', String(n));
    const lines = (await over).stdout.toString().trim().split('\n');
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ key: 'a', value: expect.any(Number) });
  });

  test('wrong usage is exit code 2, before anything is made', async () => {
    await using sandbox = new Sandbox();
    for (const args of [
      ['set', 'shm://x'],
      ['set', 'shm://x', 'a', '1', '2'],
      ['set', 'shm://x', 'a', '1', '--delete'],
      ['set', 'shm://x', 'a', '1', '--ttl', '0'],
      ['update', 'shm://x', 'a'],
      ['update', 'shm://x', 'a', '1', '--add', '1'],
      ['update', 'shm://x', 'a', '--add', 'one'],
      ['get', 'shm://x', 'a', 'b'],
      ['watch', 'shm://x', '--count', '0'],
    ])
      expect([args, (await sandbox.run(args)).code]).toEqual([args, 2]);
    expect((await run(sandbox, 'ls', '--json'))[1]).not.toContain('shm://x');
  });
});

test('values are made with their type, and keep to it', async () => {
  await using sandbox = new Sandbox();
  const url = 'shm://counter';
  expect(await run(sandbox, 'set', url, '5')).toEqual([1, expect.stringMatching(/NARU_NOT_FOUND/)]);
  expect(await run(sandbox, 'set', url, '9007199254740993', '--type', 'i64')).toEqual([0, '']);
  expect(await run(sandbox, 'update', url, '--add', '2')).toEqual([0, '9007199254740995\n']);
  expect(await run(sandbox, 'update', url, '--add=-5')).toEqual([0, '9007199254740990\n']);
  expect(await run(sandbox, 'get', url)).toEqual([0, '9007199254740990\n']);
  expect(await run(sandbox, 'set', url, 'x')).toEqual([2, expect.stringMatching(/i64 takes a whole number/)]);
  expect(await run(sandbox, 'set', url, '1', '--type', 'i32')).toEqual([
    1,
    expect.stringMatching(/NARU_EXISTS/),
  ]);
  expect(await run(sandbox, 'watch', url, '--start', '--count', '1')).toEqual([
    0,
    '{"value":9007199254740990}\n',
  ]);
  expect(await run(sandbox, 'set', 'shm://flag', 'true', '--type', 'bool')).toEqual([0, '']);
  expect(await run(sandbox, 'get', 'shm://flag')).toEqual([0, 'true\n']);
});

test('ls, inspect, doctor and rm know them', async () => {
  await using sandbox = new Sandbox();
  await run(sandbox, 'set', 'shm://m', 'a', '1');
  await run(sandbox, 'set', 'shm://v', '5', '--type', 'u16');
  const { objects } = JSON.parse((await run(sandbox, 'ls', '--json'))[1]) as {
    objects: { kind: string; name: string }[];
  };
  expect(objects.filter(({ kind }) => kind === 'map' || kind === 'value')).toMatchObject([
    { kind: 'map', name: 'shm://m', depth: 1, peers: [], state: 'live' },
    { kind: 'value', name: 'shm://v', depth: 1, peers: [], state: 'live' },
  ]);
  expect((await run(sandbox, 'inspect', 'shm://v'))[1]).toMatch(/^type +u16$/m);
  expect(JSON.parse((await run(sandbox, 'inspect', 'shm://m', '--json'))[1])).toMatchObject({
    state: { type: 'map', owner: 'system', length: 1 },
  });
  const doctor = await sandbox.run(['doctor', '--clean', '--json']);
  expect(doctor.stdout.toString()).toContain('"name":"m"');
  expect(await run(sandbox, 'rm', 'shm://m')).toEqual([0, '']);
  expect(await run(sandbox, 'rm', 'shm://m')).toEqual([1, expect.stringMatching(/NARU_NOT_FOUND/)]);
  expect(await run(sandbox, 'rm', 'shm://v')).toEqual([0, '']);
});

test('those in mapped files, too: ls while somebody has them open, inspect and rm at any time', async () => {
  await using sandbox = new Sandbox();
  const [map, value] = [`mmap://${sandbox.path('map')}`, `mmap://${sandbox.path('value')}`];
  await run(sandbox, 'set', map, 'a', '1');
  await run(sandbox, 'set', value, '5', '--type', 'u16');
  expect((await run(sandbox, 'inspect', value))[1]).toMatch(/^type +u16$/m);
  expect(JSON.parse((await run(sandbox, 'inspect', map, '--json'))[1])).toMatchObject({
    state: { type: 'map', owner: 'system', length: 1, participants: [] },
  });
  const { child } = sandbox.start(['watch', map, 'a']);
  let text = '';
  for (let tries = 0; tries < 100 && !text.includes(`handle ${child.pid}.`); tries += 1)
    text = (await run(sandbox, 'ls'))[1];
  expect(text).toMatch(new RegExp(`^map +${map} .*handle ${child.pid}\\.`, 'm'));
  expect(text).not.toContain(`fifo://${sandbox.folder}/map`);
  child.kill();
  expect(await run(sandbox, 'rm', map)).toEqual([0, '']);
  expect(await run(sandbox, 'rm', value)).toEqual([0, '']);
  expect(await run(sandbox, 'rm', value)).toEqual([1, expect.stringMatching(/NARU_NOT_FOUND/)]);
  expect(await run(sandbox, 'inspect', value)).toEqual([1, expect.stringMatching(/NARU_NOT_FOUND/)]);
});

test('maps on engines are inspected and removed; a cache says that it cannot', async () => {
  await using sandbox = new Sandbox();
  const url = `sqlite://${sandbox.path('maps.db')}?map=m`;
  await run(sandbox, 'set', url, 'a', '1');
  expect((await run(sandbox, 'inspect', url))[1]).toMatch(/^entries +1$/m);
  expect(JSON.parse((await run(sandbox, 'inspect', url, '--json'))[1])).toMatchObject({
    map: { entries: 1, features: { durable: 'native' } },
  });
  expect(await run(sandbox, 'rm', url)).toEqual([0, '']);
  expect(await run(sandbox, 'rm', url)).toEqual([1, expect.stringMatching(/NARU_NOT_FOUND/)]);
  expect(await run(sandbox, 'inspect', url)).toEqual([1, expect.stringMatching(/NARU_NOT_FOUND/)]);
  for (const command of ['rm', 'inspect'])
    expect(await run(sandbox, command, 'memcached://127.0.0.1:1?map=m')).toEqual([
      1,
      expect.stringMatching(/NARU_UNSUPPORTED.*flush_all/),
    ]);
});
