// naru/sync's lock on shm://: what taking it and letting go costs where nobody else wants it, against a bare pair of compare-and-swaps; and how many
// critical sections two processes get done that want nothing else.

import { SharedMemory } from '#naru/kernel/index';
import { openLock } from '#naru/open-sync';
import { timedInBatches } from '../harness/bodies.ts';
import type { Duel, NearEnd } from '../harness/duel.ts';
import { NOBODY } from './program.ts';
import { nextTurn } from './turn.ts';

const ROUNDS_A_TIME = 100;

function alone(
  id: string,
  label: string,
  isNaru: boolean,
  openNear: (name: string) => Promise<NearEnd>,
): Duel {
  return {
    id,
    kind: 'latency',
    label,
    isNaru,
    far: 'same',
    serialization: 'json',
    openNear: ({ name }) => openNear(name),
    openFar: async () => NOBODY,
  };
}

function nearEnd(round: () => void, close: () => Promise<void>): NearEnd {
  return {
    address: '',
    run: async (count) => {
      await nextTurn();
      return timedInBatches(count, ROUNDS_A_TIME, 1, round);
    },
    close,
  };
}

export const naruLockAlone: Duel = alone(
  'naru-lock-alone',
  'Naru shm://, acquireSync() and release()',
  true,
  async (name) => {
    const lock = await openLock(`shm://${name}`);
    return nearEnd(
      () => lock.acquireSync().release(),
      () => lock.close(),
    );
  },
);

export const bareSwaps: Duel = alone(
  'bare-swaps',
  'two Atomics.compareExchange() on a word',
  false,
  async () => {
    const words = new Int32Array(new SharedArrayBuffer(128));
    return nearEnd(
      () => {
        if (Atomics.compareExchange(words, 0, 0, 7) !== 0 || Atomics.compareExchange(words, 0, 7, 0) !== 7)
          throw new Error('somebody else has it');
      },
      async () => undefined,
    );
  },
);

/** A number that both processes add to, each time in a critical section of its own: it also counts them. */
interface Shared {
  /** Adds until there are so many more than at the last call. @returns how many sections were done since this call began */
  work(count: number): number;
  close(): Promise<void>;
  /** Takes the number's name off the system. */
  remove(): void;
}

async function openShared(name: string): Promise<Shared> {
  const lock = await openLock(`shm://${name}`);
  const memory = SharedMemory.posix(`/${name}`, { sizeBytes: 4096 });
  const counter = new Float64Array(memory.buffer);
  let target = counter[0] as number;
  return {
    work: (count) => {
      target += count;
      let first = -1;
      for (;;) {
        const guard = lock.acquireSync();
        const sections = counter[0] as number;
        if (first < 0) first = sections;
        if (sections < target) counter[0] = sections + 1;
        guard.release();
        if (sections >= target) return target - first;
      }
    },
    close: async () => {
      await lock.close();
      memory.close();
    },
    remove: () => SharedMemory.unlink(`/${name}`),
  };
}

export const naruLockShared: Duel = {
  id: 'naru-lock-two',
  kind: 'throughput',
  label: 'Naru shm://, acquireSync() in two processes',
  isNaru: true,
  far: 'process',
  serialization: 'json',
  openNear: async ({ name }) => {
    const shared = await openShared(name);
    return {
      address: '',
      run: async (count) => {
        await nextTurn();
        const started = process.hrtime.bigint();
        const messages = shared.work(count);
        const nanoseconds = Number(process.hrtime.bigint() - started);
        return { kind: 'throughput', messages: Math.max(1, messages), nanoseconds };
      },
      close: async () => {
        await shared.close();
        shared.remove();
      },
    };
  },
  openFar: async ({ name }) => {
    const shared = await openShared(name);
    return { run: async (count) => void shared.work(count), close: () => shared.close() };
  },
};
