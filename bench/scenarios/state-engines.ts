// The part of the scenario `state` that is about maps on engines: each against its engine's own client.

import { BODY_BYTES } from '../harness/bodies.ts';
import { type Call, engineMapDuels, MAP_ENGINES, mapDuelId } from '../rivals/engine-maps.ts';
import { atLeast, type Figures } from './goals.ts';
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

export function engineGoals(figures: Figures): Goal[] {
  return MAP_ENGINES.flatMap((engine) =>
    CALLS.map((call) =>
      atLeast(
        `map.${call}() on ${engine.name}, against the best of its client`,
        0.9,
        figures.ratio(mapDuelId(engine, call, 'naru'), figures.best(`map-${engine.name}-${call}-client`)),
        '×',
      ),
    ),
  );
}
