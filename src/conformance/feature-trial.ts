// What every trial of a rule about maps or locks has: checks, programs in other processes, and the clean-up after the case.

import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { isNaruError, type NaruError, type NaruErrorCode } from '../errors/index.ts';
import { within } from './waiting.ts';

const CLEANUP_MS = 10_000;

/** A program in another process. */
export interface OtherProcess {
  /** Its exit code, or the signal that ended it. */
  readonly done: Promise<number | string>;
  /** Settles at the n-th line of this text that it sends, the first one by default. @throws Error  it ended before */
  said(line: string, times?: number): Promise<void>;
  kill(signal?: NodeJS.Signals): void;
}

/** Anything that is opened and removed. */
interface Opened {
  unlink(): Promise<void>;
  close(): Promise<void>;
}

export abstract class FeatureTrial {
  readonly #opened: Opened[] = [];
  readonly #children = new Set<ChildProcess>();

  /** Remembers a handle: it is closed after the case. */
  protected keep<T extends Opened>(one: T): T {
    this.#opened.push(one);
    return one;
  }

  /** Removes what unlink() left. */
  protected abstract cleanup(): void | Promise<void>;

  /** Starts a program with its orders as its argument; it is killed after the case. */
  protected start(program: URL, orders: unknown): OtherProcess {
    const child = fork(program, [JSON.stringify(orders)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#children.add(child);
    const lines: string[] = [];
    const heard = new Set<() => void>();
    const tell = (): void => {
      for (const one of heard) one();
    };
    child.on('message', (line) => {
      if (typeof line === 'string') lines.push(line);
      tell();
    });
    let end: number | string | undefined;
    const done = new Promise<number | string>((resolve) => {
      child.on('exit', (code, signal) => {
        this.#children.delete(child);
        end = signal ?? code ?? -1;
        resolve(end);
        tell();
      });
    });
    const said = (line: string, times = 1): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (lines.filter((one) => one === line).length >= times) resolve();
          else if (end !== undefined) reject(new Error(`it ended with ${end} before it said "${line}"`));
          else return;
          heard.delete(look);
        };
        heard.add(look);
        look();
      });
    return {
      done,
      said: (line, times) => within(said(line, times), 45_000, `another process to say "${line}"`),
      kill: (signal = 'SIGKILL') => {
        child.kill(signal);
      },
    };
  }

  /** Checks that a call is refused with a code. @returns the error */
  async rejects(call: () => unknown, code: NaruErrorCode): Promise<NaruError> {
    let outcome: unknown;
    try {
      outcome = await within(Promise.resolve().then(call), 10_000, code);
    } catch (error) {
      if (isNaruError(error, code)) return error;
      throw new Error(`expected ${code}, got ${String(error)}`, { cause: error });
    }
    throw new Error(`expected ${code}, but the call succeeded with ${JSON.stringify(outcome)}`);
  }

  equal(actual: unknown, expected: unknown, what: string): void {
    try {
      assert.deepEqual(actual, expected);
    } catch (cause) {
      const text = cause instanceof Error ? cause.message.split('\n').slice(0, 20).join('\n') : String(cause);
      throw new Error(`${what}: ${text}`, { cause });
    }
  }

  ok(condition: boolean, what: string): void {
    if (!condition) throw new Error(`it does not hold that ${what}`);
  }

  /** Closes and removes everything. */
  async finish(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    const work = async (): Promise<void> => {
      for (const one of this.#opened) await one.unlink().catch(() => undefined);
      for (const one of this.#opened) await one.close().catch(() => undefined);
      await this.cleanup();
    };
    await within(work(), CLEANUP_MS, 'the clean-up after the case');
  }
}
