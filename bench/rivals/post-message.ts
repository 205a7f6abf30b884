// postMessage() from a worker thread to the main thread: the way within one process. Each body is cloned.

import { parentPort } from 'node:worker_threads';
import { Bodies, Check } from '../harness/bodies.ts';
import type { Duel, FarEnd, NearContext, NearEnd } from '../harness/duel.ts';

/** A port has no backpressure: the sender lets its event loop turn now and then, so that memory stays within reason. */
const BURST = 1000;

function openConsumer(context: NearContext): NearEnd {
  const check = new Check();
  context.onData((data) => check.touch(data as Uint8Array));
  return { address: '', run: (count) => check.expect(count), close: () => Promise.resolve() };
}

function openProducer(): FarEnd {
  const bodies = new Bodies();
  return {
    async run(count) {
      for (let sequence = 0; sequence < count; sequence += 1) {
        parentPort?.postMessage(bodies.make(sequence));
        if (sequence % BURST === BURST - 1) await new Promise((resolve) => setImmediate(resolve));
      }
    },
    close: () => Promise.resolve(),
  };
}

export const postMessage: readonly Duel[] = [
  {
    id: 'worker-postMessage',
    kind: 'throughput',
    label: 'worker postMessage',
    isNaru: false,
    far: 'thread',
    serialization: 'json',
    openNear: (context) => Promise.resolve(openConsumer(context)),
    openFar: () => Promise.resolve(openProducer()),
  },
];
