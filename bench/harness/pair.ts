// One contestant as the orchestrator holds it: a near process (which owns the far one), commands with a watchdog, and an end
// that leaves nothing behind.

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Answer, Command } from './channel.ts';
import type { CpuTime, Duel, DuelContext, Sample } from './duel.ts';

const NEAR_PROGRAM = fileURLToPath(new URL('./near.js', import.meta.url));
/** For what hangs: opening and closing take milliseconds, on a busy machine or with a server to start many seconds. */
const PATIENCE_MS = 60_000;
/** How long a process that was asked to go may take. */
const FAREWELL_MS = 2000;

const living = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

export class Pair {
  readonly duel: Duel;
  readonly #child: ChildProcess;
  #pending: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;

  private constructor(duel: Duel, env: NodeJS.ProcessEnv) {
    this.duel = duel;
    this.#child = fork(NEAR_PROGRAM, { env });
    living.add(this.#child);
    this.#child.on('message', (answer) => this.#settle(answer as Answer));
    this.#child.on('exit', (code, signal) => {
      living.delete(this.#child);
      this.#pending?.reject(new Error(`its process ended (${signal ?? code})`));
    });
  }

  /** Starts both ends. @throws when the contestant cannot run here; nothing is left of it */
  static async start(duel: Duel, { name, folder }: DuelContext, env: NodeJS.ProcessEnv): Promise<Pair> {
    const pair = new Pair(duel, env);
    try {
      await pair.#call({ naruBench: 'open', duel: duel.id, name, folder }, 0);
      return pair;
    } catch (error) {
      pair.kill();
      throw error;
    }
  }

  /** @param expectedMs  how long it should take, for the watchdog */
  async run(count: number, expectedMs: number): Promise<{ sample: Sample; cpu: CpuTime }> {
    const answer = await this.#call({ naruBench: 'run', count }, expectedMs * 10);
    if (answer.naruBench !== 'sample') throw new Error(`unexpected answer ${answer.naruBench}`);
    return { sample: answer.sample, cpu: answer.cpu };
  }

  /** Ends both processes, by asking first. */
  async close(): Promise<void> {
    try {
      await this.#call({ naruBench: 'close' }, 0);
    } finally {
      await this.#exited(FAREWELL_MS);
      this.kill();
    }
  }

  /** Its far end notices that the channel is gone, and goes too. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #exited(atMostMs: number): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, atMostMs);
      child.once('exit', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #call(command: Command, extraMs: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const watchdog = setTimeout(
        () => reject(new Error(`no answer to "${command.naruBench}" in time`)),
        PATIENCE_MS + extraMs,
      );
      this.#pending = {
        resolve: (answer) => {
          clearTimeout(watchdog);
          resolve(answer);
        },
        reject: (error) => {
          clearTimeout(watchdog);
          reject(error);
        },
      };
      // A process that was killed or has ended answers nothing; without the callback that would be an unheard error.
      this.#child.send(command, (error) => {
        if (error !== null) this.#pending?.reject(error);
      });
    });
  }

  #settle(answer: Answer): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (answer.naruBench === 'failed') pending?.reject(new Error(answer.message));
    else pending?.resolve(answer);
  }
}
