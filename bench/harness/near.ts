// The program of the near end: starts the far end, opens both, and answers each `run` with a sample.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { duelOf } from '../scenarios/index.ts';
import { type Answer, type Command, isOfHarness, textOf, watchCpu } from './channel.ts';
import type { Duel, FarEnd, NearEnd } from './duel.ts';

const FAR_PROGRAM = fileURLToPath(new URL('./far.js', import.meta.url));

/** The far end as the near program sees it, wherever it lives. */
interface Far {
  readonly carrier: ChildProcess | Worker | undefined;
  onData(listener: (data: unknown) => void): void;
  attach(address: string): Promise<void>;
  /** @returns its CPU time in microseconds */
  run(count: number): Promise<number>;
  close(): Promise<void>;
}

/** A far end behind a channel. */
class RemoteFar implements Far {
  readonly carrier: ChildProcess | Worker;
  readonly #open: Command & { naruBench: 'open' };
  #data: (data: unknown) => void = () => undefined;
  #resolve: ((answer: Answer) => void) | undefined;
  #reject: ((error: Error) => void) | undefined;

  constructor(carrier: ChildProcess | Worker, open: Command & { naruBench: 'open' }) {
    this.carrier = carrier;
    this.#open = open;
    carrier.on('message', (message: unknown) => {
      if (isOfHarness(message)) this.#hear(message as Answer);
      else this.#data(message);
    });
    carrier.on('error', (error: Error) => this.#reject?.(error));
    carrier.on('exit', (code: number | null) => this.#reject?.(new Error(`the far end exited with ${code}`)));
  }

  onData(listener: (data: unknown) => void): void {
    this.#data = listener;
  }

  async attach(address: string): Promise<void> {
    await this.#call({ ...this.#open, naruBench: 'attach', address });
  }

  async run(count: number): Promise<number> {
    const answer = await this.#call({ naruBench: 'run', count });
    return answer.naruBench === 'sent' ? answer.cpuMicros : 0;
  }

  /** Resolves when its process has ended, so that none is left behind this one. */
  async close(): Promise<void> {
    const exited = once(this.carrier, 'exit');
    await this.#call({ naruBench: 'close' });
    await exited;
  }

  #call(command: Command): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      if (this.carrier instanceof Worker) this.carrier.postMessage(command);
      else this.carrier.send(command);
    });
  }

  #hear(message: Answer): void {
    if (message.naruBench === 'failed') this.#reject?.(new Error(message.message));
    else this.#resolve?.(message);
  }
}

/** A far end in this very thread. */
class LocalFar implements Far {
  readonly carrier = undefined;
  readonly #duel: Duel;
  readonly #open: Command & { naruBench: 'open' };
  #end: FarEnd | undefined;

  constructor(duel: Duel, open: Command & { naruBench: 'open' }) {
    this.#duel = duel;
    this.#open = open;
  }

  onData(): void {}

  async attach(address: string): Promise<void> {
    this.#end = await this.#duel.openFar(this.#open, address);
  }

  async run(count: number): Promise<number> {
    await this.#end?.run(count);
    return 0;
  }

  async close(): Promise<void> {
    await this.#end?.close();
  }
}

let near: NearEnd | undefined;
let far: Far | undefined;

function startFar(duel: Duel, open: Command & { naruBench: 'open' }): Far {
  if (duel.far === 'same') return new LocalFar(duel, open);
  const carrier =
    duel.far === 'thread'
      ? new Worker(FAR_PROGRAM)
      : fork(FAR_PROGRAM, { serialization: duel.serialization });
  return new RemoteFar(carrier, open);
}

async function obey(command: Command): Promise<Answer> {
  if (command.naruBench === 'open') {
    const duel = duelOf(command.duel);
    const { name, folder } = command;
    const started = startFar(duel, command);
    far = started;
    near = await duel.openNear({
      name,
      folder,
      far: started.carrier,
      onData: (listener) => started.onData(listener),
    });
    await started.attach(near.address);
    return { naruBench: 'opened' };
  }
  if (near === undefined || far === undefined) throw new Error('not open');
  if (command.naruBench === 'run') {
    const { count } = command;
    const cpu = watchCpu();
    // The sample is what counts; but a far end that fails must not leave the near end waiting.
    const [sample, farMicros] = await Promise.all([near.run(count), far.run(count)]);
    const perMessage = 1000 / count;
    const outside = sample.kind === 'throughput' ? sample.cpu : undefined;
    return {
      naruBench: 'sample',
      sample,
      cpu: {
        near: cpu() * perMessage + (outside?.near ?? 0),
        far: farMicros * perMessage + (outside?.far ?? 0),
      },
    };
  }
  await far.close();
  await near.close();
  return { naruBench: 'closed' };
}

async function reply(command: Command): Promise<void> {
  try {
    const answer = await obey(command);
    process.send?.(answer);
    if (answer.naruBench === 'closed') process.disconnect();
  } catch (error) {
    process.send?.({ naruBench: 'failed', message: textOf(error) });
  }
}

process.on('message', (message) => void reply(message as Command));
process.on('exit', () => {
  if (far?.carrier !== undefined && !(far.carrier instanceof Worker)) far.carrier.kill('SIGKILL');
});
process.on('disconnect', () => process.exit());
