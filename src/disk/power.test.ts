// Real losses of power: a log on ext4 over a loop device, whose file system is shut down without flushing anything, or only its
// journal, while a process writes. What was confirmed is there after the next mount. Needs root, mkfs.ext4 and loop devices.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seeded } from '../log/sim-disk.fixture.ts';
import { checkAftermath, toldBy } from './aftermath.fixture.ts';

const writer = fileURLToPath(new URL('./writer.fixture.js', import.meta.url));
/** How often the power goes off, each in its own way. */
const ROUNDS = Number(process.env['NARU_POWER_ROUNDS'] ?? 8);
const SEED = Number(process.env['NARU_SEED'] ?? 1);
const IMAGE_BYTES = 64 << 20;
/** EXT4_IOC_SHUTDOWN, with its flags: the journal is flushed, or nothing is. */
const CUT =
  'import fcntl,os,struct,sys;fcntl.ioctl(os.open(sys.argv[1],0),0x8004587D,struct.pack("I",int(sys.argv[2])))';
const FLUSH_JOURNAL = '1';
const FLUSH_NOTHING = '2';

function call(
  program: string,
  ...args: readonly string[]
): { readonly ok: boolean; readonly errors: string } {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  return { ok: status === 0, errors: error?.message ?? stderr };
}

/** Why it cannot be tested here; empty when it can. */
function obstacle(): string {
  if (process.getuid?.() !== 0) return 'needs root';
  if (!existsSync('/dev/loop-control')) return 'needs loop devices';
  if (!call('mkfs.ext4', '-V').ok) return 'needs mkfs.ext4 (apt-get install e2fsprogs)';
  const root = mkdtempSync(join(tmpdir(), 'naru-mount-'));
  try {
    makeImage(join(root, 'image'));
    const { ok, errors } = call('mount', '-o', 'loop', join(root, 'image'), root);
    if (ok) call('umount', root);
    return ok ? '' : `needs the right to mount (${errors.trim()})`;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function makeImage(path: string): void {
  writeFileSync(path, '');
  truncateSync(path, IMAGE_BYTES);
  call('mkfs.ext4', '-q', '-F', path);
}

class Machine {
  readonly #root = mkdtempSync(join(tmpdir(), 'naru-power-'));
  readonly #mount = join(this.#root, 'mount');
  #child: ChildProcess | undefined;

  constructor() {
    mkdirSync(this.#mount);
  }

  get folder(): string {
    return join(this.#mount, 'log');
  }

  /** A new file system. */
  begin(): void {
    // What a failed round has left.
    this.unmount();
    makeImage(join(this.#root, 'image'));
    this.mount();
  }

  mount(): void {
    const { ok, errors } = call('mount', '-o', 'loop', join(this.#root, 'image'), this.#mount);
    if (!ok) throw new Error(errors);
  }

  unmount(): void {
    call('umount', this.#mount);
  }

  /** Lets a process write, cuts the power after so many lines of its output, and mounts again. @returns all it said */
  async writeAndCut(lines: number, flag: string, ...more: readonly string[]): Promise<string> {
    const args = [writer, this.folder, '0', 'before', 'disk', '1000000', ...more];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#child = child;
    let output = '';
    await new Promise<void>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        if (output.split('\n').length > lines) resolve();
      });
      child.on('close', () => resolve());
    });
    // First the process: an fdatasync(2) that runs while ext4 is shut down may return 0 and lose its write. A C program without anything
    // of ours saw it in 4 of 100 rounds (Linux 6.18, docs/decisions/0020-segment-log.md). So syncs under way are not tested here.
    const ended = new Promise<void>((resolve) => {
      child.on('close', () => resolve());
    });
    child.kill('SIGKILL');
    await ended;
    const { ok, errors } = call('python3', '-c', CUT, this.#mount, flag);
    if (!ok) throw new Error(errors);
    this.unmount();
    this.mount();
    return output;
  }

  end(): void {
    this.#child?.kill('SIGKILL');
    call('umount', '-l', this.#mount);
    rmSync(this.#root, { recursive: true, force: true });
  }
}

const why = obstacle();

describe.skipIf(why !== '')(`loss of power on ext4 ${why === '' ? '' : `(skipped: ${why})`}`, () => {
  let machine: Machine;
  beforeAll(() => {
    machine = new Machine();
  });
  afterAll(() => machine.end());

  test('nothing that was confirmed is lost, at any moment, in both ways', async () => {
    const random = seeded(SEED);
    for (let round = 0; round < ROUNDS; round += 1) {
      const flag = round % 2 === 0 ? FLUSH_NOTHING : FLUSH_JOURNAL;
      const lines = 1 + Math.floor(random() * 120);
      machine.begin();
      const output = await machine.writeAndCut(lines, flag);
      await checkAftermath(
        machine.folder,
        toldBy(output),
        `seed ${SEED}, round ${round}, after ${lines} lines`,
      );
      machine.unmount();
    }
  }, 600_000);

  test('the same notices when sync does nothing', async () => {
    const found: string[] = [];
    for (let round = 0; round < 10 && found.length === 0; round += 1) {
      machine.begin();
      const output = await machine.writeAndCut(20, FLUSH_NOTHING, 'nosync');
      await checkAftermath(machine.folder, toldBy(output), `round ${round}`).catch((error: unknown) => {
        found.push(String(error));
      });
      machine.unmount();
    }
    expect(found).toHaveLength(1);
  }, 60_000);
});
