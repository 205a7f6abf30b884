// naru lock: one command at a time, its exit code, waiting, and what becomes of it when somebody is killed. And what the other commands show of locks.

import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { nativeProblem } from '../native/index.ts';
import { type Running, Sandbox, until } from './command.fixture.ts';

/** Says that it runs, and runs until it is told to end. */
const HOLD = `console.log('has it'); setInterval(() => undefined, 1000);`;
const holding = (url: string): string[] => ['lock', url, '--', process.execPath, '-e', HOLD];

/** The command, and what it runs: that would outlive it. */
async function killAll({ child, done }: Running, pid: number): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  process.kill(pid, 'SIGKILL');
  await done;
}

describe.skipIf(nativeProblem() !== undefined)('naru lock', () => {
  test('passes arguments, input, output and the exit code of its command', async () => {
    await using sandbox = new Sandbox();
    const program = `process.stdin.pipe(process.stdout); console.error(process.argv.slice(1).join(' ')); process.exitCode = 7;`;
    const ran = await sandbox.run(
      ['lock', 'shm://l', '--', process.execPath, '-e', program, '--', '--try', 'a b'],
      {
        stdin: 'in',
      },
    );
    expect({ ...ran, stdout: ran.stdout.toString() }).toMatchObject({
      code: 7,
      stdout: 'in',
      stderr: '--try a b\n',
    });
    expect(await sandbox.run(['lock', 'shm://l', '--', 'true'])).toMatchObject({ code: 0 });
    expect(await sandbox.run(['lock', 'shm://l', '--', 'sh', '-c', 'kill -9 $$'])).toMatchObject({
      code: 137,
    });
    expect(await sandbox.run(['lock', 'shm://l', '--', '/no/such'])).toMatchObject({ code: 127 });
    expect(await sandbox.run(['lock', 'shm://l'])).toMatchObject({ code: 2 });
  });

  test('lets one command run at a time', { timeout: 120_000 }, async () => {
    await using sandbox = new Sandbox();
    const file = sandbox.path('sum');
    writeFileSync(file, '0');
    const add = `const fs = require('fs'); const n = Number(fs.readFileSync('${file}')); setTimeout(() => fs.writeFileSync('${file}', String(n + 1)), 5);`;
    const all = Array.from({ length: 6 }, () =>
      sandbox.run(['lock', 'shm://l', '--', process.execPath, '-e', add]),
    );
    expect((await Promise.all(all)).map(({ code }) => code)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(readFileSync(file, 'utf8')).toBe('6');
  });

  test('gives up in time, and shows who has it', async () => {
    await using sandbox = new Sandbox();
    const holder = sandbox.start(holding('shm://l'));
    await holder.wrote(/has it/);
    const marker = sandbox.path('ran');
    for (const flags of [['--try'], ['--timeout', '50']]) {
      const { code, stderr } = await sandbox.run(['lock', 'shm://l', ...flags, '--', 'touch', marker]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^naru: NARU_TIMEOUT: shm:\/\/l: not acquired within/);
    }
    expect(existsSync(marker)).toBe(false);
    const listed = JSON.parse((await sandbox.run(['ls', '--json'])).stdout.toString()) as {
      objects: object[];
    };
    const what: unknown = expect.stringMatching(new RegExp(`^has it ${holder.child.pid}\\.`));
    expect(listed.objects).toContainEqual(
      expect.objectContaining({
        kind: 'lock',
        name: 'shm://l',
        state: 'live',
        peers: [{ what, isAlive: true }],
      }),
    );
    const { stdout } = await sandbox.run(['inspect', 'shm://l']);
    expect(stdout.toString()).toMatch(/^object +lock shm:\/\/l$/m);
    expect(stdout.toString()).toMatch(/^free +false$/m);
    holder.child.kill('SIGTERM');
    await holder.done;
    expect((await sandbox.run(['inspect', 'shm://l'])).stderr).toMatch(/NARU_NOT_FOUND/);
  });

  test('passes SIGTERM on, and ends with what its command ended with', async () => {
    await using sandbox = new Sandbox();
    const polite = `process.on('SIGTERM', () => process.exit(5)); console.log('has it'); setInterval(() => undefined, 1000);`;
    const holder = sandbox.start(['lock', 'shm://l', '--', process.execPath, '-e', polite]);
    await holder.wrote(/has it/);
    holder.child.kill('SIGTERM');
    expect((await holder.done).code).toBe(5);
  });

  test('tells the next command that the last holder was killed', async () => {
    await using sandbox = new Sandbox();
    const script = 'echo "has it $$"; exec sleep 60';
    const holder = sandbox.start(['lock', 'shm://l?owner=system', '--', 'sh', '-c', script]);
    const [, pid] = await holder.wrote(/has it (\d+)/);
    await killAll(holder, Number(pid));
    const { code, stdout, stderr } = await sandbox.run([
      'lock',
      'shm://l',
      '--',
      'sh',
      '-c',
      'echo $NARU_RECOVERED',
    ]);
    expect({ code, out: stdout.toString() }).toEqual({ code: 0, out: '1\n' });
    expect(stderr).toMatch(/last holder died/);
  });

  test('rm removes a lock, and doctor --clean what a killed one left', async () => {
    await using sandbox = new Sandbox();
    await sandbox.run(['lock', 'shm://kept?owner=system', '--', 'true']);
    const dead = sandbox.start(['lock', 'shm://left', '--', 'sh', '-c', 'echo "has it $$"; exec sleep 60']);
    const [, pid] = await dead.wrote(/has it (\d+)/);
    await killAll(dead, Number(pid));
    const doctor = async (...flags: string[]): Promise<unknown> =>
      JSON.parse((await sandbox.run(['doctor', '--json', ...flags])).stdout.toString());
    const kept = { name: 'kept', type: 'lock', state: 'live' };
    expect(await doctor()).toMatchObject({
      ok: true,
      mailboxes: [],
      syncs: expect.arrayContaining([kept, { name: 'left', type: 'lock', state: 'leftover' }]),
    });
    expect(await doctor('--clean')).toMatchObject({ ok: true, removed: ['left'], syncs: [kept] });
    expect((await sandbox.run(['rm', 'shm://kept'])).code).toBe(0);
    await until(async () => (await sandbox.run(['rm', 'shm://kept'])).stderr.includes('NARU_NOT_FOUND'));
    const opened = await sandbox.run(['lock', 'tcp://127.0.0.1:1', '--', 'true']);
    expect(opened).toMatchObject({ code: 1, stderr: expect.stringContaining('NARU_UNSUPPORTED') });
  });
});
