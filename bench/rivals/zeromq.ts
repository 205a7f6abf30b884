// ZeroMQ over ipc://, PUSH to PULL, with its official Node binding.

import { join } from 'node:path';
import { Bodies, Check } from '../harness/bodies.ts';
import type { Duel, FarEnd, NearContext, NearEnd } from '../harness/duel.ts';

/** Messages each side may hold; its default of 1,000 makes it slower. */
export const HIGH_WATER_MARK = 10_000;

async function openConsumer(context: NearContext): Promise<NearEnd> {
  const { Pull } = await import('zeromq');
  const address = `ipc://${join(context.folder, `${context.name}.zmq`)}`;
  const pull = new Pull({ receiveHighWaterMark: HIGH_WATER_MARK, linger: 0 });
  await pull.bind(address);
  const check = new Check();
  const consume = async (): Promise<void> => {
    for await (const [body] of pull) {
      if (body !== undefined) check.touch(body);
    }
  };
  const consumed = consume();
  return {
    address,
    run: (count) => check.expect(count),
    close: async () => {
      pull.close();
      await consumed;
    },
  };
}

async function openProducer(address: string): Promise<FarEnd> {
  const { Push } = await import('zeromq');
  const push = new Push({ sendHighWaterMark: HIGH_WATER_MARK, linger: 0 });
  push.connect(address);
  const bodies = new Bodies();
  return {
    async run(count) {
      for (let sequence = 0; sequence < count; sequence += 1) await push.send(bodies.make(sequence));
    },
    close: () => {
      push.close();
      return Promise.resolve();
    },
  };
}

export const zeromqId = 'zeromq-ipc';

export const zeromq: readonly Duel[] = [
  {
    id: zeromqId,
    kind: 'throughput',
    label: 'ZeroMQ ipc://, PUSH to PULL',
    isNaru: false,
    far: 'process',
    serialization: 'json',
    openNear: openConsumer,
    openFar: (_, address) => openProducer(address),
  },
];
