// One writer a folder: a second is refused, a dead one succeeded at once, and of many that start at the same moment one wins. With the
// addon's flock and without it.

import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lockFolder } from './lock.ts';

const holder = fileURLToPath(new URL('./holder.fixture.js', import.meta.url));
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'naru-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Holder {
  /** `held`, or the code of the error. */
  readonly said: string;
  kill(): Promise<void>;
}

function start(environment: NodeJS.ProcessEnv): Promise<Holder> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, ...environment };
    const child = spawn(process.execPath, [holder, folder], { stdio: ['pipe', 'pipe', 'inherit'], env });
    const ended = new Promise<void>((done) => {
      child.on('close', () => done());
    });
    const kill = (): Promise<void> => {
      child.kill('SIGKILL');
      return ended;
    };
    child.on('error', reject);
    child.stdout.setEncoding('utf8').once('data', (text: string) => resolve({ said: text.trim(), kill }));
  });
}

describe.each([
  ['with the addon', {}],
  ['without the addon', { NARU_NO_NATIVE: '1' }],
])('%s', (_name, environment) => {
  test('a second process is refused while the first lives, and succeeds it when it was killed', async () => {
    const first = await start(environment);
    expect(first.said).toBe('held');
    expect((await start(environment)).said).toMatch(/^NARU_EXISTS .*\d+\.\d+/);
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: 'NARU_EXISTS' });
    await first.kill();
    const next = await start(environment);
    expect(next.said).toBe('held');
    await next.kill();
    const release = await lockFolder(folder);
    await release();
    const again = await lockFolder(folder);
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: 'NARU_EXISTS' });
    await again();
    expect(readdirSync(folder).filter((name) => name.startsWith('lock'))).toHaveLength(1);
  });

  test('of many that find the same dead holder one wins', async () => {
    for (let round = 0; round < 3; round += 1) {
      await (await start(environment)).kill();
      const all = await Promise.all(Array.from({ length: 6 }, () => start(environment)));
      expect(all.filter(({ said }) => said === 'held')).toHaveLength(1);
      await Promise.all(all.map((each) => each.kill()));
    }
  }, 60_000);
});

test('rubbish in a lock file is nobody', async () => {
  writeFileSync(join(folder, 'lock.41'), 'rubbish');
  writeFileSync(join(folder, 'lock.x'), '');
  const release = await lockFolder(folder);
  await release();
  expect(readdirSync(folder).sort()).toEqual(['lock.42', 'lock.x']);
});

test('of many in one process that want it at once, one gets it', async () => {
  for (let round = 0; round < 20; round += 1) {
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(folder)));
    const got = tries.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const refused = tries.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
    expect(got).toHaveLength(1);
    for (const reason of refused) expect(reason).toMatchObject({ code: 'NARU_EXISTS' });
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: 'NARU_EXISTS' });
    for (const letGo of got) await letGo();
  }
});
