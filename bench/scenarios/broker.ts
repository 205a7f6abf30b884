// The scenario `broker`: messages through an AMQP broker, with a raw client at both ends: Naru's and RabbitMQ's.

import { brokerDuelId, brokerDuels } from '../rivals/amqp-broker.ts';
import { CROWD_DUELS, crowdId } from '../rivals/amqp-crowd.ts';
import type { Guarantee } from '../rivals/amqp-kinds.ts';
import { LATENCY_DUELS, latencyId, RATE } from '../rivals/amqp-latency.ts';
import { atLeast, atMost, type Figures, p99Of } from './goals.ts';
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

/** Of RabbitMQ's time. */
function share(figures: Figures, what: string, idOf: (id: string) => string): Goal {
  const [ours, theirs] = [idOf(latencyId('naru')), idOf(latencyId('rabbitmq'))];
  return atMost(`${what} at ${RATE} msg/s, of RabbitMQ's`, 0.6, figures.ratio(ours, theirs), '×');
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
Ten queues: each with a publisher and a consumer of its own, on twenty connections. ${ENDS}`,
      unit: 'msg/s',
      duels: [...brokerDuels('transient', 128), ...brokerDuels('transient', 1024), ...CROWD_DUELS],
    },
    {
      id: 'latency',
      title: `Time of a message at ${RATE.toLocaleString('en')} a second`,
      note: `From the publisher's write to the consumer's callback, three processes, one queue in memory, no confirms, no acks; a message
every ${1e6 / RATE} µs, each written by itself.`,
      unit: 'µs',
      trip: 'message',
      roundTrips: 2 * RATE,
      duels: LATENCY_DUELS,
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
    atLeast(
      'ten queues, publishers and consumers, against one of each',
      0.8,
      figures.ratio(crowdId('naru'), brokerDuelId('naru', 'transient', 128)),
      '×',
    ),
    share(figures, 'p50', (id) => id),
    share(figures, 'p99', p99Of),
    atLeast('128 bytes, durable', 150_000, figures.median(brokerDuelId('naru', 'durable', 128)), 'msg/s'),
    times(figures, 'durable', 128, 8),
  ],
});
