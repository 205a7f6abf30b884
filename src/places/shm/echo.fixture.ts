// The other side of the waiting tests: receives from one mailbox and sends every message on to another, waiting as it is
// told: parked in its event loop, or as a blocked thread. Runs as a process (orders in argv[2]) or as a worker (workerData).

import { parentPort, workerData } from 'node:worker_threads';
import { setImmediate as turn } from 'node:timers/promises';
import { native } from '../../native/index.ts';
import { open } from '../../open.ts';
import { randomOf } from '../../ring/random.fixture.ts';

/** How the echo is to wait. */
export interface EchoOrders {
  readonly from: string;
  readonly to: string;
  readonly count: number;
  readonly mode: 'loop' | 'thread';
  /** Turns or yields before parking. */
  readonly yields: number;
  /** Yields at random before each answer, from this seed. */
  readonly jitter?: number;
}

/** Lets others run, a random number of times: as a thread, or as a loop that turns. */
export function jitterOf(seed: number): (mode: 'loop' | 'thread') => Promise<void> {
  const addon = native('a test');
  const random = randomOf(seed);
  return async (mode) => {
    for (let left = random(5); left > 0; left -= 1) {
      if (mode === 'loop' && random(2) === 0) await turn();
      else addon.yieldThread();
    }
  };
}

/** Passes `count` messages on. @returns safety wake-ups it needed */
export async function echo({ from, to, count, mode, yields, jitter }: EchoOrders): Promise<number> {
  const wait = { yields, spinMicros: 0 };
  const needs = ['trySync', 'waitSync'] as const;
  await using source = await open(from, { codec: 'bytes', role: 'consumer', wait, needs });
  await using target = await open(to, { codec: 'bytes', role: 'producer', wait, needs });
  const pause = jitter === undefined ? undefined : jitterOf(jitter);
  for (let i = 0; i < count; i += 1) {
    if (pause !== undefined) await pause(mode);
    if (mode === 'thread') target.trySend(source.receiveSync().data);
    else await target.send((await source.receive()).data);
  }
  const stats = await source.stats();
  return stats.place.extra['safetyWakeups'] ?? -1;
}

const orders =
  process.argv[2]?.startsWith('{') === true ? (JSON.parse(process.argv[2]) as EchoOrders) : undefined;
if (orders !== undefined) {
  process.stdout.write(`${await echo(orders)}\n`);
} else if (parentPort !== null && (workerData as EchoOrders | null)?.mode !== undefined) {
  parentPort.postMessage(await echo(workerData as EchoOrders));
}
