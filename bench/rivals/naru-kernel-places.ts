// Kernel queues as mailboxes, against the classes that they are made of; and the bridge from such a queue into shared memory, with a
// producer in C that knows nothing of mailboxes.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Mailbox, open } from '#naru/index';
import { SystemVQueue } from '#naru/kernel/index';
import { BODY_BYTES, Bodies, Check } from '../harness/bodies.ts';
import type { Duel, FarEnd, NearEnd } from '../harness/duel.ts';
import { buildC, pathOfC } from './build.ts';
import { NOBODY } from './program.ts';

type Bytes = Mailbox<Uint8Array, Uint8Array>;

async function openBytes(url: string, role: 'producer' | 'consumer'): Promise<Bytes> {
  return (await open(url, { codec: 'bytes', role })) as unknown as Bytes;
}

/** Checks everything that comes, until the mailbox is closed. */
async function consumeAll(mailbox: Bytes, check: Check): Promise<void> {
  for await (const messages of mailbox.batches()) for (const { data } of messages) check.touch(data);
}

export const SYSTEM_V_PLACE = 'naru-sysv-place';
export const POSIX_PLACE = 'naru-posixmq-place';
export const BRIDGE = 'naru-bridge-sysv-shm';

function placeFlow(id: string, scheme: string, parameters: string): Duel {
  return {
    id,
    kind: 'throughput',
    label: `Naru ${scheme}://, sendMany() → batches()`,
    isNaru: true,
    far: 'process',
    serialization: 'json',
    openNear: async ({ name }): Promise<NearEnd> => {
      const mailbox = await openBytes(`${scheme}://${name}${parameters}`, 'consumer');
      const check = new Check();
      const consumed = consumeAll(mailbox, check);
      return {
        address: mailbox.address,
        run: (count) => check.expect(count),
        close: async () => {
          await mailbox.unlink();
          await mailbox.close();
          await consumed.catch(() => undefined);
        },
      };
    },
    openFar: async (_context, address): Promise<FarEnd> => {
      const mailbox = await openBytes(address, 'producer');
      const bodies = new Bodies();
      return {
        run: async (count) => {
          await mailbox.sendMany(bodies.first(count));
        },
        close: async () => {
          await mailbox.close();
        },
      };
    },
  };
}

/** The command as users start it. */
async function startBridge(from: string, to: string): Promise<ChildProcess> {
  const command = fileURLToPath(new URL('./cli/index.js', import.meta.resolve('#naru/index')));
  const child = spawn(process.execPath, [command, 'bridge', from, to], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // It says at the start that reading deletes.
  await once(child.stderr, 'data');
  child.stderr.resume();
  return child;
}

const PRODUCER = 'system-v-producer';

/** A program in C that sends into the queue: one that looks for room by itself would take the processor from the bridge. */
function startProducer(queueId: number): {
  /** @returns its processor time in nanoseconds */
  send(count: number): Promise<number>;
  close(): Promise<void>;
} {
  const child = spawn(pathOfC(PRODUCER), [String(queueId), String(BODY_BYTES)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, 'exit');
  return {
    async send(count) {
      child.stdin.write(`${count}\n`);
      const [line] = (await Promise.race([once(lines, 'line'), ended])) as [string | number | null];
      if (typeof line === 'string') return Number(line);
      throw new Error(`the producer ended with ${line}`);
    },
    async close() {
      child.stdin.end();
      await ended;
    },
  };
}

export const bridgeFlow: Duel = {
  id: BRIDGE,
  kind: 'throughput',
  label: 'Naru bridge, msgsnd() in C into sysv:// → batches() on shm://',
  isNaru: true,
  far: 'same',
  serialization: 'json',
  prepare: () => buildC(PRODUCER, [`${PRODUCER}.c`]),
  openNear: async ({ name }): Promise<NearEnd> => {
    const queue = SystemVQueue.open({ key: 'private' });
    const mailbox = await openBytes(`shm://${name}`, 'consumer');
    const bridge = await startBridge(`sysv://id/${queue.id}`, mailbox.address);
    const producer = startProducer(queue.id);
    const check = new Check();
    const consumed = consumeAll(mailbox, check);
    return {
      address: '',
      run: async (count) => {
        const [sample, cpuNs] = await Promise.all([check.expect(count), producer.send(count)]);
        return sample.kind === 'throughput' ? { ...sample, cpu: { near: 0, far: cpuNs / count } } : sample;
      },
      close: async () => {
        await producer.close();
        const ended = once(bridge, 'exit');
        bridge.kill();
        await ended;
        await mailbox.close();
        await consumed;
        queue.remove();
        await queue.close();
      },
    };
  },
  openFar: () => Promise.resolve(NOBODY),
};

export const systemVPlaceFlow: Duel = placeFlow(SYSTEM_V_PLACE, 'sysv', '');
export const posixPlaceFlow: Duel = placeFlow(POSIX_PLACE, 'posixmq', `?size=${BODY_BYTES}`);
