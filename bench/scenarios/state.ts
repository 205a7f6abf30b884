// The scenario `state`: shared state against what else there is.

import { scenarioOf } from './plan.ts';
import type { Scenario } from './scenario.ts';
import { engineGoals, engineParts } from './state-engines.ts';
import { lockGoals, lockParts } from './state-locks.ts';
import { memoryGoals, memoryParts } from './state-memory.ts';

export const state: Scenario = scenarioOf({
  name: 'state',
  summary:
    "locks, values and maps in shared memory against Python's and postMessage; maps on engines against their own clients",
  title: 'Shared state',
  parts: [...lockParts, ...memoryParts, ...engineParts],
  goals: (figures) => [...lockGoals(figures), ...memoryGoals(figures), ...engineGoals(figures)],
});
