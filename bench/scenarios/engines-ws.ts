// The part of the scenario `engines` that is about ws://: handles of Naru against the package ws used by hand.

import { BODY_BYTES } from '../harness/bodies.ts';
import {
  bareId,
  bareReceiptId,
  naruId,
  naruReceiptId,
  webSocketFlows,
  webSocketReceipts,
} from '../rivals/web-socket.ts';
import { atLeast, type Figures } from './goals.ts';
import type { PlannedPart } from './plan.ts';
import type { Goal } from './scenario.ts';

export const wsParts: readonly PlannedPart[] = [
  {
    id: 'ws-flow',
    title: 'ws://, messages a second',
    note: `Messages of ${BODY_BYTES} bytes from one process to the listener in another. By hand each is a WebSocket message that nobody answers; Naru's
are receipted by the host, acked by the consumer, and many share a WebSocket message.`,
    unit: 'msg/s',
    duels: webSocketFlows,
  },
  {
    id: 'ws-receipt',
    title: 'ws://, receipted messages a second',
    note: 'The same, each send waiting until the other side has said that it has the message.',
    unit: 'msg/s',
    duels: webSocketReceipts,
  },
];

export function wsGoals(figures: Figures): Goal[] {
  return [
    atLeast('ws://, against ws by hand', 0.9, figures.ratio(naruId, bareId), '×'),
    atLeast('ws://, receipted, against ws by hand', 0.9, figures.ratio(naruReceiptId, bareReceiptId), '×'),
  ];
}
