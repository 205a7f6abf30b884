// The scenario `engines`: each place against its engine's own client. One file of parts for each engine, and a line below.

import { httpGoals, httpParts } from './engines-http.ts';
import { scenarioOf } from './plan.ts';
import type { Scenario } from './scenario.ts';

export const engines: Scenario = scenarioOf({
  name: 'engines',
  summary: "places on engines and protocols, each against the engine's own client: http",
  title: 'Places against their clients',
  parts: [...httpParts],
  goals: (figures) => [...httpGoals(figures)],
});
