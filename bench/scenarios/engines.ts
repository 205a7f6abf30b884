// The scenario `engines`: each place against its engine's own client. One file of parts for each engine, and a line below.

import { httpGoals, httpParts } from './engines-http.ts';
import { serverGoals, serverParts } from './engines-servers.ts';
import { wsGoals, wsParts } from './engines-ws.ts';
import { zmqGoals, zmqParts } from './engines-zmq.ts';
import { scenarioOf } from './plan.ts';
import type { Scenario } from './scenario.ts';

export const engines: Scenario = scenarioOf({
  name: 'engines',
  summary: "places on engines and protocols, each against the engine's own client",
  title: 'Places against their clients',
  parts: [...httpParts, ...wsParts, ...zmqParts, ...serverParts],
  goals: (figures) => [
    ...httpGoals(figures),
    ...wsGoals(figures),
    ...zmqGoals(figures),
    ...serverGoals(figures),
  ],
});
