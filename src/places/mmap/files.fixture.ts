// A folder for the files of a test, and child processes that are always reaped. Not a test itself.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A child and the lines it wrote. */
export interface Child {
  readonly process: ChildProcess;
  readonly lines: readonly string[];
  /** Exit code or signal. */
  readonly exit: Promise<number | string>;
  /** Kills it with SIGKILL and waits for its end. */
  kill(): Promise<void>;
  /** Waits until it has written so many lines. */
  wrote(count: number): Promise<void>;
}

export class Files implements AsyncDisposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'naru-mmap-'));
  readonly #running = new Set<Child>();

  path(name: string): string {
    return join(this.folder, name);
  }

  url(name: string): `mmap:///${string}` {
    return `mmap://${this.path(name)}` as `mmap:///${string}`;
  }

  /** Starts a program that lies beside the tests. */
  start(program: string, args: readonly string[]): Child {
    const file = fileURLToPath(new URL(program, import.meta.url));
    const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines: string[] = [];
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts);
    });
    const exit = new Promise<number | string>((resolve) => {
      child.on('close', (code, signal) => resolve(signal ?? code ?? -1));
    });
    const kill = async (): Promise<void> => {
      child.kill('SIGKILL');
      await exit;
    };
    const wrote = (count: number): Promise<void> =>
      until(() => lines.length >= count, `${program} writes ${count} lines`);
    const running: Child = { process: child, lines, exit, kill, wrote };
    this.#running.add(running);
    return running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#running) await child.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Waits for a condition; fails after `ms`. */
export async function until(condition: () => boolean, what: string, ms = 30_000): Promise<void> {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what}: did not happen within ${ms} ms`);
    await new Promise((resolve) => {
      setTimeout(resolve, 2);
    });
  }
}
