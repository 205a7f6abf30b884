// file:///folder on disks that fail: a file system that is full, and one whose power goes.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { FLUSH_JOURNAL, FLUSH_NOTHING, LoopDisk, obstacle } from '../../disk/loop-disk.fixture.ts';
import { open } from '../../open.ts';

const PROGRAM = fileURLToPath(new URL('./log-disk.fixture.js', import.meta.url));
/** A tmpfs of 1 MiB in a mount namespace of its own; it goes with the process. */
const SCRIPT = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$1" "$2" "$0/log" fill';
const canMount = spawnSync('unshare', ['-Ur', '-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;
const why = obstacle();
const ROUNDS = Number(process.env['NARU_POWER_ROUNDS'] ?? 4);

test.skipIf(!canMount)(
  `a full disk makes sends wait, taking goes on, and with room again nothing was lost${canMount ? '' : ' (skipped: needs unshare with a tmpfs)'}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'naru-full-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const args = ['-Ur', '-m', 'sh', '-c', SCRIPT, folder, process.execPath, PROGRAM];
    const { stdout, stderr } = spawnSync('unshare', args, { encoding: 'utf8', timeout: 40_000 });
    expect(`${stderr}${stdout}`).toMatch(/^\{/);
    const result = JSON.parse(stdout) as { sent: number };
    expect(result).toMatchObject({ reached: 'durable', lost: [] });
    expect(['NARU_TIMEOUT', 'NARU_OUTCOME_UNKNOWN']).toContain((result as { code?: string }).code);
    expect(result.sent).toBeGreaterThan(200);
  },
);

describe.skipIf(why !== '')(`loss of power on ext4${why === '' ? '' : ` (skipped: ${why})`}`, () => {
  let disk: LoopDisk;
  beforeAll(() => {
    disk = new LoopDisk(64 << 20);
  });
  afterAll(() => disk.end());

  test('what was receipted as durable is there afterwards, in order, and marked as given before', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      disk.begin();
      const confirmed = await writeAndCut(
        disk,
        20 + round * 37,
        round % 2 === 0 ? FLUSH_NOTHING : FLUSH_JOURNAL,
      );
      const mailbox = await open(`file://${disk.folder}`, { codec: 'text' });
      const got: number[] = [];
      while (got.length < confirmed) got.push(Number((await mailbox.receive({ timeoutMs: 10_000 })).data));
      expect(got).toEqual(Array.from({ length: confirmed }, (_, i) => i + 1));
      await mailbox.close();
      disk.unmount();
    }
  }, 120_000);
});

/** Lets a process write until it has said so much, kills it, cuts the power. @returns the last number that it had a receipt for */
async function writeAndCut(disk: LoopDisk, lines: number, flag: string): Promise<number> {
  const child = spawn(process.execPath, [PROGRAM, disk.folder, 'write'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  const said = new Promise<void>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.split('\n').length > lines) resolve();
    });
  });
  const ended = once(child, 'close');
  await Promise.race([said, ended]);
  child.kill('SIGKILL');
  await ended;
  disk.cut(flag);
  const whole = output.slice(0, output.lastIndexOf('\n')).split('\n');
  return Number(whole.at(-1));
}
