// Shared values of naru/state on shm://: what one addition costs, against the bare Atomics.add() that it is made of.

import { openValue } from '#naru/open-state';
import { timedInBatches } from '../harness/bodies.ts';
import type { Duel, NearEnd } from '../harness/duel.ts';
import { nextTurn } from './turn.ts';

const ADDITIONS_A_TIME = 1000;

function additions(
  id: string,
  label: string,
  isNaru: boolean,
  open: (name: string) => Promise<{ add: () => void; close: () => Promise<void> }>,
): Duel {
  const openNear = async (name: string): Promise<NearEnd> => {
    const { add, close } = await open(name);
    return {
      address: '',
      run: async (count) => {
        await nextTurn();
        return timedInBatches(count, ADDITIONS_A_TIME, 1, add);
      },
      close,
    };
  };
  return {
    id,
    kind: 'latency',
    label,
    isNaru,
    far: 'same',
    serialization: 'json',
    openNear: ({ name }) => openNear(name),
    openFar: async () => ({ run: async () => undefined, close: async () => undefined }),
  };
}

export const naruAdd32: Duel = additions(
  'naru-add-32',
  'Naru shm://, add() on an i32',
  true,
  async (name) => {
    const value = await openValue(`shm://${name}`, 'i32');
    return { add: () => value.add(1), close: () => value.close() };
  },
);

export const naruAdd64: Duel = additions(
  'naru-add-64',
  'Naru shm://, add() on an i64',
  true,
  async (name) => {
    const value = await openValue(`shm://${name}`, 'i64');
    return { add: () => value.add(1n), close: () => value.close() };
  },
);

export const bareAdd32: Duel = additions('bare-add-32', 'Atomics.add() on an Int32Array', false, async () => {
  const words = new Int32Array(new SharedArrayBuffer(128));
  return { add: () => Atomics.add(words, 0, 1), close: async () => undefined };
});

export const bareAdd64: Duel = additions(
  'bare-add-64',
  'Atomics.add() on a BigInt64Array',
  false,
  async () => {
    const words = new BigInt64Array(new SharedArrayBuffer(128));
    return { add: () => Atomics.add(words, 0, 1n), close: async () => undefined };
  },
);
