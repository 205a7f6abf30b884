// Naru's zmq+ipc://, push to pull, raw: what the official binding does by hand in zeromq.ts, with the same marks.

import { join } from 'node:path';
import type { Duel } from '../harness/duel.ts';
import { openConsumer, openProducer } from './naru.ts';
import { HIGH_WATER_MARK } from './zeromq.ts';

export const naruZmqId = 'naru-zmq-ipc';

export const naruZmq: Duel = {
  id: naruZmqId,
  kind: 'throughput',
  label: 'Naru zmq+ipc://, push to pull, await send()',
  isNaru: true,
  far: 'process',
  serialization: 'json',
  openNear: ({ folder, name }) =>
    openConsumer(
      `zmq+ipc://${join(folder, `${name}.zmq`)}?pattern=pull&bind&depth=${HIGH_WATER_MARK}`,
      'for await',
    ),
  openFar: (_, address) => openProducer(`${address}&depth=${HIGH_WATER_MARK}`, 'send'),
};
