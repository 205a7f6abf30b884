// The part of the scenario `engines` that is about zmq://: handles of Naru against the official binding used by hand.

import { BODY_BYTES } from '../harness/bodies.ts';
import { naruZmq, naruZmqId } from '../rivals/naru-zmq.ts';
import { zeromq, zeromqId } from '../rivals/zeromq.ts';
import { atLeast, type Figures } from './goals.ts';
import type { PlannedPart } from './plan.ts';
import type { Goal } from './scenario.ts';

export const zmqParts: readonly PlannedPart[] = [
  {
    id: 'zmq-flow',
    title: 'zmq://, messages a second',
    note: `Messages of ${BODY_BYTES} bytes from one process to another over an ipc socket, PUSH to PULL, each send awaited. The
binding has its timeouts of every day; Naru lets a call wait only when it must (decision 0031).`,
    unit: 'msg/s',
    duels: [naruZmq, ...zeromq],
  },
];

export function zmqGoals(figures: Figures): Goal[] {
  return [atLeast('zmq://, against zeromq by hand', 0.9, figures.ratio(naruZmqId, zeromqId), '×')];
}
