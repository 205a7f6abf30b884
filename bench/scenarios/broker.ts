// The scenario `broker`: messages through the AMQP broker, with a raw client at both ends.

import { naruBroker } from '../rivals/naru-broker.ts';
import { atLeast } from './goals.ts';
import { scenarioOf } from './plan.ts';
import type { Scenario } from './scenario.ts';

export const broker: Scenario = scenarioOf({
  name: 'broker',
  summary: "messages through Naru's AMQP broker, in memory, with a raw client at both ends",
  title: 'The broker',
  parts: [
    {
      id: 'flow',
      title: 'Messages a second',
      note: `From a publisher over the broker to a consumer, three processes, one queue in memory that is not durable, no confirms, no acks.
Both ends are the project's own raw client, which makes its frames once; the CPU time of the consumer includes the broker's.`,
      unit: 'msg/s',
      duels: naruBroker,
    },
  ],
  goals: (figures) => [
    atLeast('128 bytes, not durable, no acks', 500_000, figures.median('naru-broker-128'), 'msg/s'),
  ],
});
