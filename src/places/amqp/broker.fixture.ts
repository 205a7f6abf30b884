// Naru's broker as a process of its own, with a folder: to be killed and started again on its port.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const NARU = fileURLToPath(new URL('../../cli/index.js', import.meta.url));

export class BrokerProcess {
  readonly #folder = mkdtempSync(join(tmpdir(), 'naru-amqp-'));
  #child: ChildProcess | undefined;
  #port = 0;

  get url(): string {
    return `amqp://guest:guest@127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  async start(): Promise<void> {
    const data = join(this.#folder, 'data');
    const args = [NARU, 'broker', '--json', '--no-http', '--port', String(this.#port), '--data', data];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child = child;
    for await (const line of createInterface({ input: child.stdout })) {
      const { ready, amqp } = JSON.parse(line) as { ready?: boolean; amqp: number };
      if (ready !== true) continue;
      this.#port = amqp;
      return;
    }
    throw new Error('the broker ended before it was ready');
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  async restart(): Promise<void> {
    await this.kill();
    // While nobody listens there, a connection of a client may have the port for itself for a moment.
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.start();
      } catch (error) {
        if (attempt === 20) throw error;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
