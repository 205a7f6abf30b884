// The scenario `state`: shared state against what else there is.

import { scenarioOf } from './plan.ts';
import type { Scenario } from './scenario.ts';
import { engineGoals, engineParts } from './state-engines.ts';

export const state: Scenario = scenarioOf({
  name: 'state',
  summary: "shared maps on Redis and memcached, against the engines' own clients",
  title: 'Shared state',
  parts: engineParts,
  goals: (figures) => engineGoals(figures),
});
