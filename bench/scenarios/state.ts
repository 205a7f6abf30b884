// The scenario `state`: shared state against what else there is.

import { scenarioOf } from './plan.ts';
import type { Scenario } from './scenario.ts';
import { engineGoals, engineParts } from './state-engines.ts';
import { lockGoals, lockParts } from './state-locks.ts';

export const state: Scenario = scenarioOf({
  name: 'state',
  summary: "locks against Python's; shared maps on Redis and memcached, against the engines' own clients",
  title: 'Shared state',
  parts: [...lockParts, ...engineParts],
  goals: (figures) => [...lockGoals(figures), ...engineGoals(figures)],
});
