// Round trips between two processes that really sleep between two messages: Naru over shm:// with spinning and yielding switched
// off, as blocked threads (…Sync) and as event loops.

import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { open } from '#naru/index';
import type { Mailbox } from '#naru/index';
import { Bodies, pingPong } from '../harness/bodies.ts';
import type { Duel, DuelContext, FarEnd, NearEnd, Sample } from '../harness/duel.ts';
import type { ThreadAnswer, ThreadData } from './wake-thread.ts';
import { openBoth, playBack, playSync } from './wake-sync.ts';
import { nextTurn } from './turn.ts';

type Bytes = Mailbox<Uint8Array, Uint8Array, 'waitSync' | 'trySync'>;

const THREAD_PROGRAM = fileURLToPath(new URL('./wake-thread.js', import.meta.url));
/** It parks at once. */
const PARK = { spinMicros: 0, yields: 0 } as const;

function urls({ name }: DuelContext): [there: string, back: string] {
  return [`shm://${name}-there`, `shm://${name}-back`];
}

async function openEnd(url: string, role: 'producer' | 'consumer'): Promise<Bytes> {
  return open(url, { codec: 'bytes', role, wait: PARK, needs: ['waitSync', 'trySync'] });
}

/** Both ends block the main threads of their processes. */
const mainThread: Pick<Duel, 'openNear' | 'openFar'> = {
  async openNear(context) {
    const [there, back] = urls(context);
    const ends = await openBoth(there, back, PARK);
    return {
      address: '',
      run: async (count) => {
        await nextTurn();
        return playSync(ends, count);
      },
      close: ends.close,
    };
  },
  async openFar(context) {
    const [there, back] = urls(context);
    const ends = await openBoth(back, there, PARK);
    return { run: async (count) => playBack(ends, count), close: ends.close };
  },
};

/** A worker thread at each end; the main threads stay free. */
async function openThread(context: DuelContext, side: ThreadData['side']): Promise<NearEnd & FarEnd> {
  const [there, back] = urls(context);
  const data: ThreadData = { side, there, back, wait: PARK };
  const worker = new Worker(THREAD_PROGRAM, { workerData: data });
  const answer = (): Promise<ThreadAnswer> =>
    new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  await answer();
  const run = async (count: number): Promise<Sample> => {
    const done = answer();
    worker.postMessage(count);
    return (await done) as Sample;
  };
  return {
    address: '',
    run: run as NearEnd['run'] & FarEnd['run'],
    close: async () => {
      const done = answer();
      worker.postMessage(0);
      await done;
    },
  };
}

const workerThread: Pick<Duel, 'openNear' | 'openFar'> = {
  openNear: (context) => openThread(context, 'near'),
  openFar: (context) => openThread(context, 'far'),
};

/** Both ends wait in their event loops. */
const eventLoop: Pick<Duel, 'openNear' | 'openFar'> = {
  async openNear(context) {
    const [thereUrl, backUrl] = urls(context);
    const there = await openEnd(thereUrl, 'producer');
    const back = await openEnd(backUrl, 'consumer');
    const body = new Bodies().make(0);
    const roundTrip = async (): Promise<void> => {
      await there.send(body);
      await back.receive();
    };
    return {
      address: '',
      run: (count) => pingPong(count, roundTrip),
      close: async () => {
        await there.close();
        await back.close();
      },
    };
  },
  async openFar(context) {
    const [thereUrl, backUrl] = urls(context);
    const there = await openEnd(thereUrl, 'consumer');
    const back = await openEnd(backUrl, 'producer');
    const echo = async (): Promise<void> => {
      for await (const message of there) await back.send(message.data);
    };
    const echoed = echo();
    return {
      run: async () => undefined,
      close: async () => {
        await there.close();
        await echoed;
        await back.close();
      },
    };
  },
};

function duel(id: string, label: string, ends: Pick<Duel, 'openNear' | 'openFar'>): Duel {
  return { id, label, kind: 'latency', isNaru: true, far: 'process', serialization: 'json', ...ends };
}

export const naruWake: readonly Duel[] = [
  duel('naru-shm-thread-wake', 'Naru shm://, receiveSync() in worker threads', workerThread),
  duel('naru-shm-main-wake', 'Naru shm://, receiveSync() in main threads', mainThread),
  duel('naru-shm-loop-wake', 'Naru shm://, await receive() and for await', eventLoop),
];
