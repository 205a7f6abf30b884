// trySend() and tryReceive() of the public class on shm://, both ends in one thread: what a message costs where nobody waits and
// nobody else runs.

import { open } from '#naru/index';
import { Bodies, timedInBatches } from '../harness/bodies.ts';
import type { Duel, NearEnd } from '../harness/duel.ts';
import { nextTurn } from './turn.ts';

const ROUNDS_A_TIME = 100;

async function openNear(name: string): Promise<NearEnd> {
  const options = { codec: 'bytes' } as const;
  const output = await open(`shm://${name}`, { ...options, role: 'producer' });
  const input = await open(`shm://${name}`, { ...options, role: 'consumer' });
  const bodies = new Bodies();
  let sequence = 0;
  const round = (): void => {
    const sent = output.trySend(bodies.make(sequence));
    const body = input.tryReceive()?.data;
    if (!sent || body?.[0] !== (sequence & 0xff) || body.at(-1) !== 1)
      throw new Error('a message is missing');
    sequence = (sequence + 1) >>> 0;
  };
  return {
    address: '',
    run: async (count) => {
      await nextTurn();
      return timedInBatches(count, ROUNDS_A_TIME, 1, round);
    },
    close: async () => {
      await output.close();
      await input.close();
    },
  };
}

export const naruTry: Duel = {
  id: 'naru-shm-try',
  kind: 'latency',
  label: 'Naru shm://, trySend() and tryReceive()',
  isNaru: true,
  far: 'same',
  serialization: 'json',
  openNear: ({ name }) => openNear(name),
  openFar: async () => ({ run: async () => undefined, close: async () => undefined }),
};
