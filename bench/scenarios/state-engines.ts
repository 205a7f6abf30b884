// The part of the scenario `state` that is about maps on engines: each against its engine's own client.

import { BODY_BYTES } from '../harness/bodies.ts';
import { type Call, engineMapDuels, MAP_ENGINES, mapDuelId } from '../rivals/engine-maps.ts';
import { atLeast, type Figures, noted } from './goals.ts';
import type { PlannedPart } from './plan.ts';
import type { Goal } from './scenario.ts';

const CALLS: readonly Call[] = ['get', 'set'];

export const engineParts: readonly PlannedPart[] = MAP_ENGINES.map((engine) => ({
  id: `map-${engine.name}`,
  title: `Maps on ${engine.name}, calls a second`,
  note: `Texts of ${BODY_BYTES} bytes under 1,000 keys, 64 calls under way at a time from one process, each contestant with a server of its
own on the same machine. Naru's map decodes and checks as always.`,
  unit: 'msg/s',
  duels: CALLS.flatMap((call) => engineMapDuels(engine, call)),
}));

/** The promise is about the client as it comes; what it does when its time limits are switched off is told beside. */
export function engineGoals(figures: Figures): Goal[] {
  return MAP_ENGINES.flatMap((engine) =>
    CALLS.flatMap((call) => {
      const against = (who: 'client' | 'client-bare'): number | undefined =>
        figures.ratio(mapDuelId(engine, call, 'naru'), mapDuelId(engine, call, who));
      const text = `map.${call}() on ${engine.name}, against its client`;
      const bare = against('client-bare');
      return [
        atLeast(text, 0.9, against('client'), '×'),
        ...(bare === undefined ? [] : [noted(`${text} without time limits`, bare, '×')]),
      ];
    }),
  );
}
