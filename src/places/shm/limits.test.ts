// Where the system ends: a full file system, no descriptors left, a truncated object. Each is a clear error, none a dead process.

import { spawn, spawnSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Scene, until } from './scene.fixture.ts';

let scene: Scene;
beforeEach(() => {
  scene = new Scene();
});
afterEach(() => scene.end());

const index = new URL('../../index.js', import.meta.url).href;

/** Runs a module that has `open`, under a shell command that prepares its limits. @returns what it printed */
function run(prepare: string, body: string): Promise<{ out: string; exit: number | string }> {
  const code = `import { open } from '${index}'; ${body}`;
  const child = spawn(
    'sh',
    ['-c', `${prepare} exec "$0" --input-type=module -e "$1"`, process.execPath, code],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 20_000,
      killSignal: 'SIGKILL',
    },
  );
  let out = '';
  child.stdout.on('data', (data: Buffer) => {
    out += data.toString();
  });
  return new Promise((resolve) => {
    child.on('close', (exit, signal) => resolve({ out: out.trim(), exit: signal ?? exit ?? -1 }));
  });
}

const canMount =
  spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', '/mnt']).status === 0;

test.skipIf(!canMount)('a full file system is NARU_LIMIT, at creation and at a producer’s seat', async () => {
  const { out, exit } = await run(
    `exec unshare -rm sh -c 'mount -t tmpfs -o size=600k,mode=700 none "$NARU_RUNTIME_DIR"; exec "$@"' sh`.replace(
      'exec unshare',
      'set -- "$0" --input-type=module -e "$1"; exec unshare',
    ) + ' "$@"; :',
    `
    const m = await open('shm://m?capacity=256KiB');
    await m.send(1);
    const failures = [];
    for (const url of ['shm://m', 'shm://m', 'shm://m'])
      await open(url, { role: 'producer' }).catch((error) => failures.push(error.code + ' ' + error.message));
    await open('shm://n?capacity=256KiB', { role: 'producer' }).catch((error) => failures.push(error.code + ' ' + error.message));
    console.log(failures.join('\\n'));
    await m.close();
    `,
  );
  expect(exit).toBe(0);
  expect(out).toMatch(/^NARU_LIMIT .*\/dev\/shm/m);
});

test.each([60, 61, 62, 63, 64, 65, 66])(
  'no descriptors left (%i) is NARU_LIMIT and names RLIMIT_NOFILE',
  async (most) => {
    const { out, exit } = await run(
      `ulimit -n ${most};`,
      `
    const open1 = [];
    let error;
    for (let i = 0; i < 60 && error === undefined; i++)
      await open('shm://m').then((m) => open1.push(m), (failure) => { error = failure; });
    console.log(error.code, error.message);
    for (const m of open1) await m.close();
    `,
    );
    expect(out).toMatch(/^NARU_LIMIT .*RLIMIT_NOFILE/);
    expect(exit).toBe(0);
    expect(scene.mailboxes).toEqual([]);
  },
);

test('a file that must not grow so large is NARU_LIMIT', async () => {
  const { out } = await run(
    'ulimit -f 100;',
    `await open('shm://m').catch((error) => console.log(error.code, error.message));`,
  );
  expect(out).toMatch(/^NARU_LIMIT .*RLIMIT_FSIZE/);
  expect(scene.mailboxes).toEqual([]);
});

test('an object that somebody truncated is noticed before it is touched, and refused to newcomers', async () => {
  const peer = await scene.peer({ name: 'm' });
  // Behind everything the handle touches while idle: the check has to notice it, not the kernel.
  truncateSync(join(scene.folder, 'm', 'ring'), 40_960);
  await until(() => peer.failure !== undefined, 'the handle hears of it', 2_000);
  expect(peer.failure).toMatchObject({ code: 'NARU_CORRUPT' });
  await expect(scene.peer({ name: 'm' })).rejects.toMatchObject({ code: 'NARU_CORRUPT' });
});

test('a truncated object is noticed at each wake-up, before anything of it is read', async () => {
  const delays: number[] = [];
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    const peer = await scene.peer({ name, relation: 'N:N' });
    await peer.consume();
    await peer.send(1, 0, 3);
    await until(() => peer.got.length === 3, 'it works');
    const parks = async (): Promise<number> => (await peer.driver.stats()).extra['parks'] ?? 0;
    while ((await parks()) === 0) await turn();
    truncateSync(join(scene.folder, name, 'ring'), 40_960);
    const since = performance.now();
    // A ring, as from a peer: its timer would find out too, but only half a second later.
    writeFileSync(join(scene.folder, name, 'p0'), 'x');
    await until(() => peer.failure !== undefined, 'the handle hears of it', 2_000);
    delays.push(performance.now() - since);
    expect(peer.failure).toMatchObject({ code: 'NARU_CORRUPT' });
    await expect(scene.peer({ name })).rejects.toMatchObject({ code: 'NARU_CORRUPT' });
  }
  expect(delays.toSorted((a, b) => a - b)[2]).toBeLessThan(100);
});
