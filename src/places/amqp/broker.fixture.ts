// Naru's broker as a process of its own, with a folder: to be killed and started again on its port.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const NARU = fileURLToPath(new URL('../../cli/index.js', import.meta.url));

interface Ready {
  readonly ready?: boolean;
  readonly amqp: number;
  readonly tls?: number;
}

export class BrokerProcess {
  readonly #folder = mkdtempSync(join(tmpdir(), 'naru-amqp-'));
  #child: ChildProcess | undefined;
  #port = 0;
  #tlsPort = 0;
  readonly #tls: readonly string[];

  /** @param certificate  with one it takes TLS on a port of its own, too */
  constructor(certificate?: { readonly cert: string; readonly key: string }) {
    this.#tls = Object.entries(certificate ?? {}).flatMap(([name, pem]) => {
      const file = join(this.#folder, `${name}.pem`);
      writeFileSync(file, pem);
      return [`--tls-${name}`, file];
    });
  }

  get url(): string {
    return `amqp://guest:guest@127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  get tlsPort(): number {
    return this.#tlsPort;
  }

  async start(): Promise<void> {
    const data = join(this.#folder, 'data');
    const tls = this.#tls.length === 0 ? [] : [...this.#tls, '--tls-port', String(this.#tlsPort)];
    const port = ['--port', String(this.#port), ...tls];
    const args = [NARU, 'broker', '--json', '--no-http', ...port, '--data', data];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child = child;
    for await (const line of createInterface({ input: child.stdout })) {
      const { ready, amqp, tls: secure = 0 } = JSON.parse(line) as Ready;
      if (ready !== true) continue;
      this.#port = amqp;
      this.#tlsPort = secure;
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
