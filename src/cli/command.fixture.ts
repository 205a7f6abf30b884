// Runs the built command as real processes, for the tests of this folder: input, output, signals, and an end for everything
// that a failed test leaves running. Not a test itself.

import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** How a process ended. */
export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** What a process is given. */
export interface RunOptions {
  /** Standard input; a file is given as it is, as the shell does it. Default: empty. */
  readonly stdin?: string | Uint8Array | { readonly file: string } | undefined;
  /** Leave standard input open. */
  readonly keepOpen?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Descriptor for standard output instead of collecting it. */
  readonly stdoutFd?: number;
  /** Killed after so many milliseconds, and the test fails. Default 60,000. */
  readonly watchdogMs?: number;
  /** A program of this folder other than the command. */
  readonly program?: string;
  /** A command that runs the process, with its arguments. */
  readonly wrapper?: readonly string[];
}

/** A running process. */
export interface Running {
  readonly child: ChildProcess;
  readonly done: Promise<Ran>;
  /** Resolves when standard error matches. */
  readonly said: (pattern: RegExp) => Promise<RegExpMatchArray>;
  /** Resolves when standard output matches. */
  readonly wrote: (pattern: RegExp) => Promise<RegExpMatchArray>;
}

/** A folder, runtime folder and processes that all go when the test is over: `await using`. */
export class Sandbox implements AsyncDisposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'naru-cli-'));
  readonly #runtime = mkdtempSync('/dev/shm/naru-test-');
  readonly #running = new Set<ChildProcess>();

  get socketUrl(): string {
    return `unix://${join(this.folder, 'mailbox.sock')}`;
  }

  /** Lets this process open the mailboxes in shared memory that the commands use. */
  share(): void {
    process.env['NARU_RUNTIME_DIR'] = this.#runtime;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return this.start(args, options).done;
  }

  start(args: readonly string[], options: RunOptions = {}): Running {
    const { stdin = '', watchdogMs = 60_000, program = './index.js', wrapper = [] } = options;
    const { NARU_URL: _, ...inherited } = process.env;
    const file = typeof stdin === 'object' && 'file' in stdin ? openSync(stdin.file, 'r') : undefined;
    const script = fileURLToPath(new URL(program, import.meta.url));
    const [command = '', ...rest] = [...wrapper, process.execPath, script, ...args];
    const child = spawn(command, rest, {
      stdio: [file ?? 'pipe', options.stdoutFd ?? 'pipe', 'pipe'],
      env: {
        ...inherited,
        NARU_RUNTIME_DIR: this.#runtime,
        XDG_STATE_HOME: this.path('state'),
        ...options.env,
      },
    });
    if (file !== undefined) closeSync(file);
    this.#running.add(child);
    const out = new Collected(child.stdout);
    const err = new Collected(child.stderr);
    let isLate = false;
    const watchdog = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, watchdogMs);
    const done = new Promise<Ran>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        clearTimeout(watchdog);
        this.#running.delete(child);
        out.end();
        err.end();
        if (isLate)
          reject(new Error(`naru ${args.join(' ')}: still ran after ${watchdogMs} ms\n${err.text}`));
        else resolve({ code, signal, stdout: out.bytes, stderr: err.text });
      });
    });
    done.catch(() => undefined);
    if (options.keepOpen !== true) {
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(file === undefined ? stdin : undefined);
    }
    return { child, done, said: (pattern) => err.match(pattern), wrote: (pattern) => out.match(pattern) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ends = [...this.#running].map(
      (child) =>
        new Promise((resolve) => {
          child.once('close', resolve);
          child.kill('SIGKILL');
        }),
    );
    await Promise.all(ends);
    rmSync(this.folder, { recursive: true, force: true });
    rmSync(this.#runtime, { recursive: true, force: true });
    // The one group that every process is in.
    rmSync(`${this.#runtime}-g${process.getegid?.()}`, { recursive: true, force: true });
  }
}

/** What came out of a stream so far. */
class Collected {
  readonly #chunks: Buffer[] = [];
  readonly #waiting = new Set<() => void>();
  #hasEnded = false;

  constructor(stream: NodeJS.ReadableStream | null) {
    stream?.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      for (const look of this.#waiting) look();
    });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.bytes.toString('utf8');
  }

  end(): void {
    this.#hasEnded = true;
    for (const look of this.#waiting) look();
  }

  match(pattern: RegExp): Promise<RegExpMatchArray> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = pattern.exec(this.text);
        if (found === null && !this.#hasEnded) return;
        this.#waiting.delete(look);
        if (found !== null) resolve(found);
        else reject(new Error(`the process ended and never said ${String(pattern)}: ${this.text}`));
      };
      this.#waiting.add(look);
      look();
    });
  }
}

/** Asks again and again until the answer is truthy. @throws after 10 s, or so long as is said */
export async function until<T>(ask: () => T | Promise<T>, withinMs = 10_000): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (performance.now() > deadline)
      throw new Error(`what the test waits for did not come within ${withinMs} ms`);
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
}
