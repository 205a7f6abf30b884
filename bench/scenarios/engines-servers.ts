// The part of the scenario `engines` that is about servers: each place against its server's own client, and against a queue that others made on
// it. A further server is a file in rivals/engines/ and a word in the list below.

import { BODY_BYTES } from '../harness/bodies.ts';
import { activemq } from '../rivals/engines/activemq.ts';
import { amqp } from '../rivals/engines/amqp.ts';
import { type EngineFlow, flowDuelId, flowDuels, flowId, GROUP } from '../rivals/engines/flow.ts';
import { kafka } from '../rivals/engines/kafka.ts';
import { postgres } from '../rivals/engines/postgres.ts';
import { redis, redisChannel } from '../rivals/engines/redis.ts';
import { sqlite } from '../rivals/engines/sqlite.ts';
import { atLeast, type Figures } from './goals.ts';
import type { PlannedPart } from './plan.ts';
import type { Goal } from './scenario.ts';

const FLOWS: readonly EngineFlow[] = [amqp, activemq, kafka, redis, redisChannel, postgres, sqlite];

export const serverParts: readonly PlannedPart[] = FLOWS.map((flow) => ({
  id: flowId(flow),
  title: `Messages a second through ${[flow.engine.name, flow.kind].filter(Boolean).join(', ')}`,
  note: `${BODY_BYTES} bytes, sent and consumed by one process, confirms awaited for ${GROUP} at a time, a server of its own for each contestant
on the same machine. ${flow.note}`,
  unit: 'msg/s',
  duels: flowDuels(flow),
}));

export function serverGoals(figures: Figures): Goal[] {
  return FLOWS.flatMap((flow) => {
    const against = (who: 'client' | 'rival'): number | undefined =>
      figures.ratio(flowDuelId(flow, 'naru'), flowDuelId(flow, who));
    const text = `${flow.place}://${flow.kind === undefined ? '' : `, ${flow.kind}`}, sent and consumed, against`;
    const rival = flow.contestants.find(({ who }) => who === 'rival');
    return [
      atLeast(`${text} the client of its server`, 0.9, against('client'), '×'),
      ...(rival === undefined ? [] : [atLeast(`${text} ${rival.label}`, 1.5, against('rival'), '×')]),
    ];
  });
}
