// Naru's Manager as Python's is used: a process that holds a map, and two that get values of 32 bytes of the same 1,000 keys from it, until they have done
// so many together. Either one call at a time, as Python's proxies do, or many under way.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openArray, openMap } from '#naru/open-state';
import type { Duel, NearEnd } from '../harness/duel.ts';
import { WINDOW } from './engine-maps.ts';
import { KEYS, VALUE } from './naru-maps.ts';
import { nextTurn } from './turn.ts';

/** How a process finds the Manager. */
interface Where {
  readonly url: string;
  readonly key: string;
}

/** One process's part. */
interface Part {
  /** Gets until both have done so many more than at the last call. @returns how many both did since this call began */
  work(count: number): Promise<number>;
  close(): Promise<void>;
}

async function openPart(name: string, { url, key }: Where, underWay: number): Promise<Part> {
  const map = await openMap(`${url}?name=bench`, { key, codec: 'bytes' });
  const counts = await openArray(`shm://${name}-count`, 'i32', 1);
  await Promise.all(KEYS.map((one) => map.set(one, VALUE)));
  let target = 0;
  let next = 0;
  const lane = async (): Promise<void> => {
    while (counts.get(0) < target) {
      const at = KEYS[next] as string;
      next = (next + 1) % KEYS.length;
      if ((await map.get(at))?.[31] !== 7) throw new Error('a value is missing');
      counts.add(0, 1);
    }
  };
  return {
    async work(count) {
      target += count;
      const first = counts.get(0);
      await Promise.all(Array.from({ length: underWay }, lane));
      return counts.get(0) - first;
    },
    async close() {
      await counts.close();
      await map.close();
    },
  };
}

async function openNear(name: string, folder: string, underWay: number): Promise<NearEnd> {
  const program = fileURLToPath(new URL('./manager-process.js', import.meta.url));
  const manager = fork(program, [join(folder, `${name}.sock`)]);
  const [where] = (await once(manager, 'message')) as [Where];
  const part = await openPart(name, where, underWay);
  return {
    address: JSON.stringify(where),
    async run(count) {
      await nextTurn();
      const started = process.hrtime.bigint();
      const messages = await part.work(count);
      const nanoseconds = Number(process.hrtime.bigint() - started);
      return { kind: 'throughput', messages: Math.max(1, messages), nanoseconds };
    },
    async close() {
      await part.close();
      const gone = once(manager, 'exit');
      manager.disconnect();
      await gone;
    },
  };
}

function managerDuel(id: string, label: string, underWay: number): Duel {
  return {
    id: `naru-manager-get-${id}`,
    kind: 'throughput',
    label,
    isNaru: true,
    far: 'process',
    serialization: 'json',
    openNear: ({ name, folder }) => openNear(name, folder, underWay),
    async openFar({ name }, address) {
      const part = await openPart(name, JSON.parse(address) as Where, underWay);
      return { run: async (count) => void (await part.work(count)), close: () => part.close() };
    },
  };
}

export const naruManagerMany: Duel = managerDuel(
  'many',
  `Naru Manager, unix://, map.get(), ${WINDOW} under way in each process`,
  WINDOW,
);
export const naruManagerOne: Duel = managerDuel('one', 'Naru Manager, unix://, map.get(), one at a time', 1);
