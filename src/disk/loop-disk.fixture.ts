// An ext4 of its own over a loop device, whose power can go: shut down without flushing anything, or only its journal. For tests on
// real losses of power; needs root, mkfs.ext4 and loop devices. Not part of the package.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** EXT4_IOC_SHUTDOWN, with its flags: the journal is flushed, or nothing is. */
const CUT =
  'import fcntl,os,struct,sys;fcntl.ioctl(os.open(sys.argv[1],0),0x8004587D,struct.pack("I",int(sys.argv[2])))';
const TRIES_MAX = 300;
const RETRY_MS = 100;
export const FLUSH_JOURNAL = '1';
export const FLUSH_NOTHING = '2';

function call(
  program: string,
  ...args: readonly string[]
): { readonly ok: boolean; readonly errors: string } {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  return { ok: status === 0, errors: error?.message ?? stderr };
}

/** Why it cannot be had here; empty when it can. */
export function obstacle(): string {
  if (process.getuid?.() !== 0) return 'needs root';
  if (!existsSync('/dev/loop-control')) return 'needs loop devices';
  if (!call('mkfs.ext4', '-V').ok) return 'needs mkfs.ext4 (apt-get install e2fsprogs)';
  const root = mkdtempSync(join(tmpdir(), 'naru-mount-'));
  try {
    makeImage(join(root, 'image'), 16 << 20);
    const { ok, errors } = call('mount', '-o', 'loop', join(root, 'image'), root);
    if (ok) call('umount', root);
    return ok ? '' : `needs the right to mount (${errors.trim()})`;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function makeImage(path: string, bytes: number): void {
  writeFileSync(path, '');
  truncateSync(path, bytes);
  call('mkfs.ext4', '-q', '-F', path);
}

export class LoopDisk {
  readonly #root = mkdtempSync(join(tmpdir(), 'naru-power-'));
  readonly #mount = join(this.#root, 'mount');
  readonly #bytes: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
    mkdirSync(this.#mount);
  }

  /** A folder on it, which need not exist. */
  get folder(): string {
    return join(this.#mount, 'log');
  }

  /** A new file system. */
  begin(): void {
    // What a failed round has left.
    this.unmount();
    makeImage(join(this.#root, 'image'), this.#bytes);
    this.mount();
  }

  /**
   * A mount namespace that somebody makes meanwhile (`unshare -m`) keeps what was unmounted here alive, with its power off, and a mount
   * finds that again: it is tried until the namespace is gone.
   */
  mount(): void {
    let problem = '';
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const { ok, errors } = call('mount', '-o', 'loop', join(this.#root, 'image'), this.#mount);
      problem = ok ? this.#probe() : errors;
      if (problem === '') return;
      this.unmount();
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
    throw new Error(problem);
  }

  /** @returns what is wrong with the file system; empty: it has power */
  #probe(): string {
    const path = join(this.#mount, 'probe');
    try {
      writeFileSync(path, '');
      unlinkSync(path);
      return '';
    } catch (error) {
      return String(error);
    }
  }

  unmount(): void {
    call('umount', this.#mount);
  }

  /**
   * The power goes, and the next start mounts again. First whoever writes must be gone: an fdatasync(2) that runs while ext4 is shut
   * down may return 0 and lose its write. A C program without anything of ours saw it in 4 of 100 rounds (Linux 6.18,
   * docs/decisions/0020-segment-log.md). So syncs under way are not tested with it.
   */
  cut(flag: string): void {
    const { ok, errors } = call('python3', '-c', CUT, this.#mount, flag);
    if (!ok) throw new Error(errors);
    this.unmount();
    this.mount();
  }

  end(): void {
    call('umount', '-l', this.#mount);
    rmSync(this.#root, { recursive: true, force: true });
  }
}
