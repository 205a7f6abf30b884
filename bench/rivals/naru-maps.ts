// Maps of naru/state on shm://: two processes that get, or set, values of 32 bytes of the same 1,000 keys, until they have done so many together.

import { openArray, openMap } from '#naru/open-state';
import type { Duel } from '../harness/duel.ts';
import { nextTurn } from './turn.ts';

export const KEYS: readonly string[] = Array.from({ length: 1000 }, (_, n) => `key:${n}`);
export const VALUE: Uint8Array = new Uint8Array(32).fill(7);
/** Operations between two looks at how many both have done. */
const OPERATIONS_A_TIME = 200;

/** One process's part. */
interface Part {
  /** Operates until both have done so many more than at the last call. @returns how many both did since this call began */
  work(count: number): number;
  close(): Promise<void>;
}

async function openPart(name: string, act: 'get' | 'set'): Promise<Part> {
  const map = await openMap(`shm://${name}-map`, { codec: 'bytes' });
  const counts = await openArray(`shm://${name}-count`, 'i32', 32);
  for (const key of KEYS) map.setSync(key, VALUE);
  let target = 0;
  let next = 0;
  const operate = (): void => {
    const key = KEYS[next] as string;
    next = (next + 7) % KEYS.length;
    if (act === 'set') map.setSync(key, VALUE);
    else if (map.getSync(key)?.[31] !== 7) throw new Error('a value is missing');
  };
  return {
    work: (count) => {
      target += count;
      const first = counts.get(0);
      let now = first;
      while (now < target) {
        for (let n = 0; n < OPERATIONS_A_TIME; n += 1) operate();
        now = counts.add(0, OPERATIONS_A_TIME) + OPERATIONS_A_TIME;
      }
      return now - first;
    },
    close: async () => {
      await counts.close();
      await map.close();
    },
  };
}

function mapDuel(act: 'get' | 'set'): Duel {
  return {
    id: `naru-map-${act}`,
    kind: 'throughput',
    label: `Naru shm://, ${act}Sync() in two processes`,
    isNaru: true,
    far: 'process',
    serialization: 'json',
    openNear: async ({ name }) => {
      const part = await openPart(name, act);
      return {
        address: '',
        run: async (count) => {
          await nextTurn();
          const started = process.hrtime.bigint();
          const messages = part.work(count);
          const nanoseconds = Number(process.hrtime.bigint() - started);
          return { kind: 'throughput', messages: Math.max(1, messages), nanoseconds };
        },
        close: () => part.close(),
      };
    },
    openFar: async ({ name }) => {
      const part = await openPart(name, act);
      return { run: async (count) => void part.work(count), close: () => part.close() };
    },
  };
}

export const naruMapGet: Duel = mapDuel('get');
export const naruMapSet: Duel = mapDuel('set');
