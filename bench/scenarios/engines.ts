// The scenario `engines`: each place against its engine's own client. One file of parts for each engine, and a line below.

import { httpGoals, httpParts } from './engines-http.ts';
import { serverGoals, serverParts } from './engines-servers.ts';
import { wsGoals, wsParts } from './engines-ws.ts';
import { scenarioOf } from './plan.ts';
import type { Scenario } from './scenario.ts';

export const engines: Scenario = scenarioOf({
  name: 'engines',
  summary: "places on engines and protocols, each against the engine's own client",
  title: 'Places against their clients',
  parts: [...httpParts, ...wsParts, ...serverParts],
  goals: (figures) => [...httpGoals(figures), ...wsGoals(figures), ...serverGoals(figures)],
});
