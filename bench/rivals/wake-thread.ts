// The program of a worker thread that blocks: one side of a game of balls (wake-sync.ts), a number of round trips a message.

import { parentPort, workerData } from 'node:worker_threads';
import type { Sample } from '../harness/duel.ts';
import { openBoth, playBack, playSync, type Waiting } from './wake-sync.ts';

export interface ThreadData {
  readonly side: 'near' | 'far';
  readonly there: string;
  readonly back: string;
  readonly wait: Waiting;
}

/** The near side answers with its sample. */
export type ThreadAnswer = Sample | 'ready' | 'done';

const { side, there, back, wait } = workerData as ThreadData;
const ends = await (side === 'near' ? openBoth(there, back, wait) : openBoth(back, there, wait));

function run(count: number): ThreadAnswer {
  if (side === 'near') return playSync(ends, count);
  playBack(ends, count);
  return 'done';
}

parentPort?.on('message', (count: number) => {
  if (count > 0) {
    parentPort?.postMessage(run(count));
    return;
  }
  const end = async (): Promise<void> => {
    await ends.close();
    parentPort?.postMessage('done');
    parentPort?.close();
  };
  void end();
});
parentPort?.postMessage('ready');
