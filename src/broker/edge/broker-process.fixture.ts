// Starts brokers in processes of their own for the tests of this folder, and ends them whatever happens.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { RecoveryReport } from '../index.ts';

const program = fileURLToPath(new URL('./process.fixture.js', import.meta.url));

export interface Said {
  readonly port?: number;
  readonly recovered?: RecoveryReport;
  /** Time of processors that the process took until it was ready. */
  readonly cpuMs?: number;
  readonly error?: string;
}

export class BrokerProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  port = 0;
  recovered: RecoveryReport | undefined;
  cpuMs = 0;

  private constructor(child: ChildProcess) {
    this.child = child;
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    this.#lines = lines[Symbol.asyncIterator]();
  }

  /** @param wrapper  a command that runs the process, with its arguments */
  static async start(folder: string, sync = 'disk', wrapper: readonly string[] = []): Promise<BrokerProcess> {
    const args = [...wrapper, process.execPath, program, folder, sync];
    const command = args.shift() ?? '';
    const started = new BrokerProcess(
      spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], detached: true }),
    );
    const said = await started.next();
    started.port = said?.port ?? 0;
    started.recovered = said?.recovered;
    started.cpuMs = said?.cpuMs ?? 0;
    return started;
  }

  get url(): string {
    return `amqp://guest:guest@127.0.0.1:${this.port}`;
  }

  /** What it says next; undefined when it is gone. */
  async next(): Promise<Said | undefined> {
    const { value, done } = await this.#lines.next();
    return done === true ? undefined : (JSON.parse(value) as Said);
  }

  /** SIGKILL, and waits until it is gone. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, 'close');
    // Its group: what runs under a wrapper would outlive it.
    process.kill(-(this.child.pid as number), 'SIGKILL');
    await gone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
