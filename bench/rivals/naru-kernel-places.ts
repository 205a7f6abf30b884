// Kernel queues as mailboxes, against the classes that they are made of; and the bridge from such a queue into shared memory, with a
// producer that knows nothing of mailboxes.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Mailbox, open } from '#naru/index';
import { SystemVQueue } from '#naru/kernel/index';
import { BODY_BYTES, Bodies, Check } from '../harness/bodies.ts';
import type { Duel, FarEnd, NearEnd } from '../harness/duel.ts';

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

export const bridgeFlow: Duel = {
  id: BRIDGE,
  kind: 'throughput',
  label: 'Naru bridge, sendSync() into sysv:// → batches() on shm://',
  isNaru: true,
  far: 'process',
  serialization: 'json',
  openNear: async ({ name }): Promise<NearEnd> => {
    const queue = SystemVQueue.open({ key: 'private' });
    const mailbox = await openBytes(`shm://${name}`, 'consumer');
    const child = await startBridge(`sysv://id/${queue.id}`, mailbox.address);
    const check = new Check();
    const consumed = consumeAll(mailbox, check);
    return {
      address: String(queue.id),
      run: (count) => check.expect(count),
      close: async () => {
        const ended = once(child, 'exit');
        child.kill();
        await ended;
        await mailbox.close();
        await consumed;
        queue.remove();
        await queue.close();
      },
    };
  },
  openFar: async (_context, address): Promise<FarEnd> => {
    const queue = SystemVQueue.open({ id: Number(address) });
    const bodies = new Bodies();
    return {
      run: async (count) => {
        for (const body of bodies.first(count)) queue.sendSync(body);
      },
      close: async () => {
        await queue.close();
      },
    };
  },
};

export const systemVPlaceFlow: Duel = placeFlow(SYSTEM_V_PLACE, 'sysv', '');
export const posixPlaceFlow: Duel = placeFlow(POSIX_PLACE, 'posixmq', `?size=${BODY_BYTES}`);
