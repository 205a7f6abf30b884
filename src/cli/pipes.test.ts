// The commands on FIFOs and pipes: what a shell does with `cat` and `echo`, with messages that are checked.

import { execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { nativeProblem } from '../native/index.ts';
import { Sandbox, until } from './command.fixture.ts';

describe.skipIf(nativeProblem() !== undefined)('naru on a FIFO', () => {
  test('send waits for a reader and gives each line to it; receive takes as many as it was told, and leaves the rest', async () => {
    await using sandbox = new Sandbox();
    const path = sandbox.path('fifo');
    const sending = sandbox.start(['send', `fifo://${path}`], { stdin: 'one\ntwo\nthree\n' });
    const received = await sandbox.run(['receive', `fifo://${path}`, '--count', '1']);
    expect({ ...received, stdout: received.stdout.toString() }).toMatchObject({ code: 0, stdout: 'one\n' });
    expect((await sending.done).code).not.toBeNull();
    const cat = promisify(execFile)('cat', [path]);
    expect((await sandbox.run(['send', `fifo://${path}`, 'a', 'b'])).code).toBe(0);
    expect((await cat).stdout).toBe('a\nb\n');
  });

  test('receive follows one writer after the other, and tells of a line without its end', async () => {
    await using sandbox = new Sandbox();
    const path = sandbox.path('fifo');
    const receiving = sandbox.start(['receive', `fifo://${path}`, '--count', '2']);
    await until(() => existsSync(path));
    execFileSync('sh', ['-c', 'printf "first\\nhalf" > "$1"', 'sh', path]);
    await receiving.wrote(/first\n/);
    await receiving.said(/after 4 bytes/);
    execFileSync('sh', ['-c', 'echo second > "$1"', 'sh', path]);
    const { code, stdout } = await receiving.done;
    expect({ code, text: stdout.toString() }).toEqual({ code: 0, text: 'first\nsecond\n' });
  });

  test('inspect opens no end: a writer that waits for a reader goes on waiting; purge reads; rm removes', async () => {
    await using sandbox = new Sandbox();
    const path = sandbox.path('fifo');
    expect((await sandbox.run(['inspect', `fifo://${path}`])).stderr).toContain('NARU_NOT_FOUND');
    expect(existsSync(path)).toBe(false);
    execFileSync('mkfifo', [path]);
    const writer = spawn('sh', ['-c', 'printf "a\\nb\\n" > "$1"', 'sh', path], { stdio: 'inherit' });
    const ended = new Promise((resolve) => writer.once('exit', resolve));
    try {
      const inspected = await sandbox.run(['inspect', `fifo://${path}`, '--json']);
      expect(JSON.parse(inspected.stdout.toString())).toMatchObject({
        place: 'fifo',
        stats: { depth: null },
      });
      expect(writer.exitCode).toBeNull();
      expect(readFileSync(`/proc/${writer.pid}/wchan`, 'utf8')).toMatch(/pipe|fifo|wait_for_partner|^0$/);
    } finally {
      const reader = await sandbox.run(['receive', `fifo://${path}`, '--count', '2']);
      expect(reader.stdout.toString()).toBe('a\nb\n');
      await ended;
    }
    expect((await sandbox.run(['purge', `fifo://${path}`])).code).toBe(0);
    expect((await sandbox.run(['rm', `fifo://${path}`])).code).toBe(0);
    expect(existsSync(path)).toBe(false);
    expect((await sandbox.run(['rm', `fifo://${path}`])).stderr).toContain('NARU_NOT_FOUND');
  });

  test('bridge carries lines of a FIFO to a mailbox with envelopes', async () => {
    await using sandbox = new Sandbox();
    const path = sandbox.path('fifo');
    const bridge = sandbox.start(['bridge', `fifo://${path}`, 'shm://lines', '--count', '3']);
    await until(() => existsSync(path));
    execFileSync('sh', ['-c', 'printf "1\\n2\\n3\\n" > "$1"', 'sh', path]);
    expect((await bridge.done).code).toBe(0);
    const received = await sandbox.run(['receive', 'shm://lines', '--count', '3']);
    expect(received.stdout.toString()).toBe('1\n2\n3\n');
  });

  test('bench measures a FIFO and a pipe', async () => {
    await using sandbox = new Sandbox();
    const urls = [`fifo://${sandbox.path('bench')}?frame=length`, 'pipe://fd/4?format=envelope'];
    const ran = await sandbox.run(['bench', ...urls, '--count', '2000', '--rounds', '1', '--json'], {
      watchdogMs: 60_000,
    });
    expect({ code: ran.code, stderr: ran.stderr }).toMatchObject({ code: 0 });
    const { results } = JSON.parse(ran.stdout.toString()) as {
      results: { lost: number; received: number }[];
    };
    expect(results.map(({ lost, received }) => [lost, received])).toEqual([
      [0, 2_000],
      [0, 2_000],
    ]);
  });

  test('a program in a shell pipeline writes to its standard output', async () => {
    await using sandbox = new Sandbox();
    const sent = await sandbox.run(['send', 'pipe://fd/1', 'one', 'two']);
    // What runs it here gave it a socket rather than a pipe.
    expect(sent.stderr).toMatch(/NARU_INVALID_ARGUMENT: .*is no end of a pipe/);
    const command = `"$0" "$1" send pipe://fd/1 one two | cat`;
    const program = new URL('./index.js', import.meta.url).pathname;
    expect(execFileSync('sh', ['-c', command, process.execPath, program], { encoding: 'utf8' })).toBe(
      'one\ntwo\n',
    );
  });
});
