// The program of the far end, as a process or as a worker thread: opens it when told the address, and runs on command.

import { isMainThread, parentPort } from 'node:worker_threads';
import { duelOf } from '../scenarios/index.ts';
import { type Answer, type Command, isOfHarness, textOf, watchCpu } from './channel.ts';
import type { FarEnd } from './duel.ts';

let end: FarEnd | undefined;

function answer(message: Answer): void {
  if (isMainThread) process.send?.(message);
  else parentPort?.postMessage(message);
}

async function obey(command: Command): Promise<void> {
  if (command.naruBench === 'attach') {
    end = await duelOf(command.duel).openFar(command, command.address);
    answer({ naruBench: 'attached' });
  } else if (command.naruBench === 'run') {
    const cpu = watchCpu();
    await end?.run(command.count);
    // A thread's process is the near end's, which counts for both.
    answer({ naruBench: 'sent', cpuMicros: isMainThread ? cpu() : 0 });
  } else if (command.naruBench === 'close') {
    await end?.close();
    answer({ naruBench: 'closed' });
    if (isMainThread) process.disconnect();
    else parentPort?.close();
  }
}

function listen(message: unknown): void {
  if (!isOfHarness(message)) return;
  obey(message as Command).catch((error: unknown) => answer({ naruBench: 'failed', message: textOf(error) }));
}

if (isMainThread) {
  process.on('message', listen);
  // Whoever started this is gone, or has said that it needs no more.
  process.on('disconnect', () => process.exit());
} else {
  parentPort?.on('message', listen);
}
