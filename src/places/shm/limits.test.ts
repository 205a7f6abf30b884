// Where the system ends: a full file system, no descriptors left, a truncated object. Each is a clear error, none a dead process.

import { spawn, spawnSync } from 'node:child_process';
import { truncateSync } from 'node:fs';
import { join } from 'node:path';
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
