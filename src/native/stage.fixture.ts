// What the tests of this folder share: a temporary folder in memory, child processes that do not outlive their test, and the
// kernel's own view of who sleeps where. Not part of the package's interface.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type NativeAddon, tryNative } from './index.ts';

/** The addon; only for use inside tests that are skipped without it. */
export const addon: NativeAddon = tryNative() as NativeAddon;

/** Everything that a test makes here goes with `close()`, however the test ends. */
export class Stage {
  readonly folder: string = mkdtempSync(join('/dev/shm', 'naru-native-'));
  readonly #children: ChildProcess[] = [];
  readonly #fds: number[] = [];

  path(name: string): string {
    return join(this.folder, name);
  }

  open(name: string, flags: string | number = 'a+'): number {
    const fd = openSync(this.path(name), flags, 0o600);
    this.#fds.push(fd);
    return fd;
  }

  /** A new file of this size, mapped. */
  mapped(name: string, size = 4096): ArrayBuffer | SharedArrayBuffer {
    const fd = this.open(name);
    addon.allocate(fd, 0, size);
    return addon.map(fd, size, false);
  }

  start(command: string, args: readonly string[]): Child {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#children.push(child);
    return new Child(child);
  }

  /** `act.fixture.ts` as a process of its own. */
  act(name: string, ...args: readonly string[]): Child {
    return this.start(process.execPath, ['--expose-gc', actFile, name, ...args]);
  }

  close(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    for (const fd of this.#fds) closeSync(fd);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The program that child processes run. */
export const actFile: string = fileURLToPath(new URL('./act.fixture.js', import.meta.url));

/** A child process: its lines, its errors and its end. */
export class Child {
  readonly process: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  readonly #lines: AsyncIterator<string>;
  #errors = '';

  constructor(child: ChildProcess) {
    this.process = child;
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
    child.stderr?.on('data', (part: Buffer) => {
      this.#errors += part.toString();
    });
    this.#lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.process.pid as number;
  }

  /** The next line it writes; what it complained of when there is none. */
  async line(): Promise<string> {
    const next = await this.#lines.next();
    if (next.done === true) throw new Error(`the child ended before it wrote a line: ${this.#errors}`);
    return next.value;
  }

  /** How it ended, with what it complained of. */
  async end(): Promise<{
    readonly code: number | null;
    readonly signal: string | null;
    readonly errors: string;
  }> {
    return { ...(await this.ended), errors: this.#errors };
  }
}

/** Turns the event loop until `condition` holds. The watchdog is for a broken test, not a part of any test. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`still waiting after 20 s: ${what}`);
    await turn();
    await pause(1);
  }
}

/** futex(2) on arm64 and x64, and futex_waitv, which Node itself does not use. */
const futexCall: string = process.arch === 'arm64' ? '98' : '202';
const futexWaitvCall = '449';

/** How many threads of a process sleep in a futex shared with other processes (the addon's; Node's own are private). */
export function sleepers(pid: number = process.pid): number {
  let count = 0;
  for (const thread of threadsOf(pid)) {
    try {
      const [call, , operation] = readFileSync(`/proc/${pid}/task/${thread}/syscall`, 'latin1').split(' ');
      if ((call === futexCall && operation === '0x0') || call === futexWaitvCall) count += 1;
    } catch {
      // The thread ended between the listing and the reading.
    }
  }
  return count;
}

/** The threads of a process; none when there is no such process. */
export function threadsOf(pid: number = process.pid): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}
