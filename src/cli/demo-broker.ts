// The broker of the demo: a process of its own, on a free port and in memory. What runs in it is demo-broker-worker.ts.

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { NaruError } from '../errors/index.ts';

export class DemoBroker {
  /** What its clients connect to. */
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.url = `amqp://127.0.0.1:${port}/?queue=naru-demo`;
  }

  /** @throws NARU_PEER_GONE  it ended before it took connections */
  static async start(signal: AbortSignal): Promise<DemoBroker> {
    const child = fork(fileURLToPath(new URL('./demo-broker-worker.js', import.meta.url)), [], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const ended = once(child, 'exit', { signal }).then(() => undefined);
    const [port] = ((await Promise.race([once(child, 'message', { signal }), ended])) ?? []) as number[];
    if (port !== undefined) return new DemoBroker(child, port);
    throw new NaruError('NARU_PEER_GONE', 'the broker of the demo ended before it took connections');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    if (this.#child.connected) this.#child.disconnect();
    await gone;
  }
}
