// Real losses of power: a log on ext4 over a loop device, whose file system is shut down without flushing anything, or only its
// journal, while a process writes. What was confirmed is there after the next mount. Needs root, mkfs.ext4 and loop devices.

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seeded } from '../log/sim-disk.fixture.ts';
import { checkAftermath, toldBy } from './aftermath.fixture.ts';
import { FLUSH_JOURNAL, FLUSH_NOTHING, LoopDisk, obstacle } from './loop-disk.fixture.ts';

const writer = fileURLToPath(new URL('./writer.fixture.js', import.meta.url));
/** How often the power goes off, each in its own way. */
const ROUNDS = Number(process.env['NARU_POWER_ROUNDS'] ?? 8);
const SEED = Number(process.env['NARU_SEED'] ?? 1);

let running: ChildProcess | undefined;

/** Lets a process write, cuts the power after so many lines of its output, and mounts again. @returns all it said */
async function writeAndCut(
  disk: LoopDisk,
  lines: number,
  flag: string,
  ...more: readonly string[]
): Promise<string> {
  const args = [writer, disk.folder, '0', 'before', 'disk', '1000000', ...more];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  running = child;
  let output = '';
  await new Promise<void>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.split('\n').length > lines) resolve();
    });
    child.on('close', () => resolve());
  });
  const ended = new Promise<void>((resolve) => {
    child.on('close', () => resolve());
  });
  child.kill('SIGKILL');
  await ended;
  disk.cut(flag);
  return output;
}

const why = obstacle();

describe.skipIf(why !== '')(`loss of power on ext4 ${why === '' ? '' : `(skipped: ${why})`}`, () => {
  let disk: LoopDisk;
  beforeAll(() => {
    disk = new LoopDisk(64 << 20);
  });
  afterAll(() => {
    running?.kill('SIGKILL');
    disk.end();
  });

  test('nothing that was confirmed is lost, at any moment, in both ways', async () => {
    const random = seeded(SEED);
    for (let round = 0; round < ROUNDS; round += 1) {
      const flag = round % 2 === 0 ? FLUSH_NOTHING : FLUSH_JOURNAL;
      const lines = 1 + Math.floor(random() * 120);
      disk.begin();
      const output = await writeAndCut(disk, lines, flag);
      await checkAftermath(disk.folder, toldBy(output), `seed ${SEED}, round ${round}, after ${lines} lines`);
      disk.unmount();
    }
  }, 600_000);

  test('the same notices when sync does nothing', async () => {
    const found: string[] = [];
    for (let round = 0; round < 10 && found.length === 0; round += 1) {
      disk.begin();
      const output = await writeAndCut(disk, 20, FLUSH_NOTHING, 'nosync');
      await checkAftermath(disk.folder, toldBy(output), `round ${round}`).catch((error: unknown) => {
        found.push(String(error));
      });
      disk.unmount();
    }
    expect(found).toHaveLength(1);
  }, 60_000);
});
