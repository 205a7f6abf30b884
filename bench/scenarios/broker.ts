// The scenario `broker`: messages through an AMQP broker, with a raw client at both ends: Naru's and RabbitMQ's.

import { brokerDuelId, brokerDuels, type Guarantee } from '../rivals/amqp-broker.ts';
import { atLeast, type Figures } from './goals.ts';
import { scenarioOf } from './plan.ts';
import type { Goal, Scenario } from './scenario.ts';

const ENDS = `Both ends are the project's own raw client, which makes its frames once; the CPU time of the consumer includes the broker's. RabbitMQ
is Debian's, started for this.`;

/** How many times RabbitMQ's throughput. */
function times(figures: Figures, guarantee: Guarantee, bodyBytes: number, wanted: number): Goal {
  const [ours, theirs] = (['naru', 'rabbitmq'] as const).map((kind) =>
    brokerDuelId(kind, guarantee, bodyBytes),
  );
  return atLeast(
    `${bodyBytes} bytes, ${guarantee}, against RabbitMQ`,
    wanted,
    figures.ratio(ours, theirs),
    '×',
  );
}

export const broker: Scenario = scenarioOf({
  name: 'broker',
  summary: "messages through Naru's AMQP broker and RabbitMQ, with a raw client at both ends",
  title: 'The broker',
  parts: [
    {
      id: 'flow',
      title: 'Messages a second, in memory',
      note: `From a publisher over the broker to a consumer, three processes, one queue in memory that is not durable, no confirms, no acks.
${ENDS}`,
      unit: 'msg/s',
      duels: [...brokerDuels('transient', 128), ...brokerDuels('transient', 1024)],
    },
    {
      id: 'durable',
      title: 'Messages a second, on the disk',
      note: `One durable queue, persistent messages, confirms with at most 20,000 outstanding, prefetch 2,000, an ack for 200 messages. Naru confirms
after fdatasync (sync: disk); RabbitMQ 3.10's classic queue syncs before it confirms too (every 25 or 200 ms). ${ENDS}`,
      unit: 'msg/s',
      duels: brokerDuels('durable', 128),
    },
  ],
  goals: (figures) => [
    atLeast('128 bytes, transient', 500_000, figures.median(brokerDuelId('naru', 'transient', 128)), 'msg/s'),
    times(figures, 'transient', 128, 6),
    times(figures, 'transient', 1024, 5),
    atLeast('128 bytes, durable', 150_000, figures.median(brokerDuelId('naru', 'durable', 128)), 'msg/s'),
    times(figures, 'durable', 128, 8),
  ],
});
