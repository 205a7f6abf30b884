// What Node.js has: a Map that belongs to one worker, and messages that ask it. As many questions are on the way as make it fastest.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Duel } from '../harness/duel.ts';

const WORKER = `
const { parentPort } = require('node:worker_threads');
const map = new Map();
for (let n = 0; n < 1000; n += 1) map.set('key:' + n, new Uint8Array(32).fill(7));
parentPort.on('message', ([id, act, key, value]) => {
  if (act === 'set') map.set(key, value);
  parentPort.postMessage([id, act === 'set' ? true : map.get(key)]);
});
parentPort.postMessage('ready');
`;
const IN_FLIGHT = 100;

function askingDuel(act: 'get' | 'set'): Duel {
  return {
    id: `post-message-${act}`,
    kind: 'throughput',
    label: `a Map in a worker, ${act} by postMessage()`,
    isNaru: false,
    far: 'same',
    serialization: 'json',
    openNear: async () => {
      const worker = new Worker(WORKER, { eval: true });
      await once(worker, 'message');
      const value = new Uint8Array(32).fill(7);
      return {
        address: '',
        run: (count) =>
          new Promise((resolve) => {
            const started = process.hrtime.bigint();
            let [asked, answered] = [0, 0];
            const ask = (): void => {
              worker.postMessage([
                asked,
                act,
                `key:${(asked * 7) % 1000}`,
                act === 'set' ? value : undefined,
              ]);
              asked += 1;
            };
            const hear = (): void => {
              answered += 1;
              if (asked < count) ask();
              if (answered < count) return;
              worker.off('message', hear);
              const nanoseconds = Number(process.hrtime.bigint() - started);
              resolve({ kind: 'throughput', messages: count, nanoseconds });
            };
            worker.on('message', hear);
            while (asked < Math.min(IN_FLIGHT, count)) ask();
          }),
        close: async () => {
          await worker.terminate();
        },
      };
    },
    openFar: async () => ({ run: async () => undefined, close: async () => undefined }),
  };
}

export const postMessageGet: Duel = askingDuel('get');
export const postMessageSet: Duel = askingDuel('set');
