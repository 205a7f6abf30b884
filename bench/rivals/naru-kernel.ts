// Kernel queues through Naru's classes, against the same calls in C: blocked threads, and event loops that take batches. One queue
// there, one back. What a kind of queue needs is in its QueueKind.

import { PosixQueue, SystemVQueue } from '#naru/kernel/index';
import { BODY_BYTES, Bodies, Check, pingPong, timedInBatches } from '../harness/bodies.ts';
import type { Duel, FarEnd, NearEnd, Sample } from '../harness/duel.ts';
import { nextTurn } from './turn.ts';

/** Messages that a batching consumer asks for, and a batching producer has ready. */
const BATCH = 256;

/** One queue, as the contestants use it. */
interface BenchQueue {
  sendSync(body: Uint8Array): void;
  receiveSync(): Uint8Array;
  send(body: Uint8Array): Promise<void>;
  receive(): Promise<Uint8Array>;
  /** @returns how many went in without waiting */
  trySendMany(bodies: readonly Uint8Array[]): number;
  /** @returns what was there once there was something */
  receiveMany(): Promise<readonly Uint8Array[]>;
  close(isLast: boolean): Promise<void>;
}

interface QueueKind {
  readonly id: string;
  readonly label: string;
  /** @returns the queue, and how the other process finds it */
  make(name: string): { readonly queue: BenchQueue; readonly address: string };
  find(address: string): BenchQueue;
}

function overSystemV(queue: SystemVQueue): BenchQueue {
  return {
    sendSync: (body) => queue.sendSync(body),
    receiveSync: () => queue.receiveSync().body,
    send: (body) => queue.send(body),
    receive: async () => (await queue.receive()).body,
    trySendMany: (bodies) => queue.trySendMany(bodies.map((body) => ({ type: 1, body }))),
    receiveMany: async () => (await queue.receiveMany(BATCH)).map(({ body }) => body),
    close: async (isLast) => {
      if (isLast) queue.remove();
      await queue.close();
    },
  };
}

export const systemV: QueueKind = {
  id: 'sysv',
  label: 'SystemVQueue',
  make: () => {
    const queue = SystemVQueue.open({ key: 'private' });
    return { queue: overSystemV(queue), address: String(queue.id) };
  },
  find: (address) => overSystemV(SystemVQueue.open({ id: Number(address) })),
};

function overPosix(queue: PosixQueue): BenchQueue {
  return {
    sendSync: (body) => queue.sendSync(body),
    receiveSync: () => queue.receiveSync().body,
    send: (body) => queue.send(body),
    receive: async () => (await queue.receive()).body,
    trySendMany: (bodies) => queue.trySendMany(bodies.map((body) => ({ priority: 0, body }))),
    receiveMany: async () => (await queue.receiveMany(BATCH)).map(({ body }) => body),
    close: async (isLast) => {
      if (isLast) queue.unlink();
      await queue.close();
    },
  };
}

export const posix: QueueKind = {
  id: 'posixmq',
  label: 'PosixQueue',
  make: (name) => {
    const path = `/naru-${name}`;
    const queue = PosixQueue.open({ name: path, create: 'new', maxMessageBytes: BODY_BYTES });
    return { queue: overPosix(queue), address: path };
  },
  find: (address) => overPosix(PosixQueue.open({ name: address, create: 'never' })),
};

type Loop = (there: BenchQueue, back: BenchQueue, count: number) => Promise<Sample>;
type FarLoop = (there: BenchQueue, back: BenchQueue, count: number) => Promise<void>;

interface Way {
  readonly id: string;
  readonly label: string;
  readonly kind: Sample['kind'];
  readonly near: Loop;
  readonly far: FarLoop;
}

const blockingFlow: Way = {
  id: 'sync',
  label: 'sendSync(), receiveSync()',
  kind: 'throughput',
  async near(there, _back, count) {
    await nextTurn();
    const check = new Check();
    const sample = check.expect(count);
    for (let taken = 0; taken < count; taken += 1) check.touch(there.receiveSync());
    return sample;
  },
  async far(there, _back, count) {
    for (const body of new Bodies().first(count)) there.sendSync(body);
  },
};

const batchedFlow: Way = {
  id: 'batches',
  label: 'trySendMany(), receiveMany()',
  kind: 'throughput',
  async near(there, _back, count) {
    const check = new Check();
    const sample = check.expect(count);
    for (let taken = 0; taken < count; ) {
      const bodies = await there.receiveMany();
      for (const body of bodies) check.touch(body);
      taken += bodies.length;
    }
    return sample;
  },
  async far(there, _back, count) {
    const bodies = new Bodies();
    for (let sent = 0; sent < count; ) {
      const batch: Uint8Array[] = [];
      for (let at = sent; at < count && batch.length < BATCH; at += 1) batch.push(bodies.make(at));
      for (let from = 0; from < batch.length; ) {
        const taken = there.trySendMany(from === 0 ? batch : batch.slice(from));
        from += taken;
        // Full: one waits for room, the others follow.
        if (from < batch.length) {
          await there.send(batch[from] as Uint8Array);
          from += 1;
        }
      }
      sent += batch.length;
    }
  },
};

const threadWake: Way = {
  id: 'thread-wake',
  label: 'sendSync(), receiveSync()',
  kind: 'latency',
  async near(there, back, count) {
    await nextTurn();
    const body = new Bodies().make(0);
    return timedInBatches(count, 1, 1, () => {
      there.sendSync(body);
      touch(back.receiveSync());
    });
  },
  async far(there, back, count) {
    for (let trip = 0; trip < count; trip += 1) back.sendSync(touch(there.receiveSync()));
  },
};

const loopWake: Way = {
  id: 'loop-wake',
  label: 'await send(), await receive()',
  kind: 'latency',
  near(there, back, count) {
    const body = new Bodies().make(0);
    return pingPong(count, async () => {
      await there.send(body);
      touch(await back.receive());
    });
  },
  async far(there, back, count) {
    for (let trip = 0; trip < count; trip += 1) await back.send(touch(await there.receive()));
  },
};

function touch(body: Uint8Array): Uint8Array {
  if (body.length !== BODY_BYTES || body[BODY_BYTES - 1] !== 1) throw new Error('a damaged ball');
  return body;
}

export function kernelDuelId(kind: QueueKind, way: 'sync' | 'batches' | 'thread-wake' | 'loop-wake'): string {
  return `naru-${kind.id}-${way}`;
}

function duelOf(kind: QueueKind, way: Way): Duel {
  return {
    id: `naru-${kind.id}-${way.id}`,
    kind: way.kind,
    label: `Naru ${kind.label}, ${way.label}`,
    isNaru: true,
    far: 'process',
    serialization: 'json',
    openNear: async ({ name }): Promise<NearEnd> => {
      const [there, back] = [kind.make(`${name}-there`), kind.make(`${name}-back`)];
      return {
        address: `${there.address} ${back.address}`,
        run: (count) => way.near(there.queue, back.queue, count),
        close: async () => {
          await there.queue.close(true);
          await back.queue.close(true);
        },
      };
    },
    openFar: async (_context, address): Promise<FarEnd> => {
      const [there, back] = address.split(' ').map((part) => kind.find(part)) as [BenchQueue, BenchQueue];
      return {
        run: (count) => way.far(there, back, count),
        close: async () => {
          await there.close(false);
          await back.close(false);
        },
      };
    },
  };
}

/** Messages as fast as they go. */
export function kernelFlows(kind: QueueKind): Duel[] {
  return [duelOf(kind, blockingFlow), duelOf(kind, batchedFlow)];
}

/** One message and its answer, both sides asleep in between. */
export function kernelWakes(kind: QueueKind): Duel[] {
  return [duelOf(kind, threadWake), duelOf(kind, loopWake)];
}
