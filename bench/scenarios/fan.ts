// The scenario `fan`: one shm:// mailbox with 1 to 8 producers and 1 to 8 consumers, and a topic with 1 to 4 consumers.

import { availableParallelism } from 'node:os';
import { type FanSpec, fanId, naruFan } from '../rivals/naru-fan.ts';
import { atLeast, type Figures } from './goals.ts';
import { type PlannedPart, scenarioOf } from './plan.ts';
import type { Goal, Scenario } from './scenario.ts';

const CROWDS = [1, 2, 4, 8];
const SUBSCRIBERS = [1, 2, 4];
/** With so many cores producers do not have to share them. */
const CORES_ENOUGH = 6;

const ALIKE = `Bodies of 64 bytes; sendMany() on one side, batches() on the other, which ack each batch when they ask for the next.
Every process is a producer or a consumer. Time goes from the first message at any consumer to the last one at any. Each consumer
checks both ends of every body and the order of each producer's messages.`;

const queues = CROWDS.map(
  (consumers): PlannedPart => ({
    id: `queue-${consumers}`,
    title: consumers === 1 ? 'One consumer' : `${consumers} competing consumers`,
    note: `${ALIKE} Messages per second in all.`,
    unit: 'msg/s',
    duels: CROWDS.map((producers) => naruFan({ producers, consumers, deliver: 'one' })),
  }),
);

const topic: PlannedPart = {
  id: 'topic',
  title: 'A topic: every consumer gets every message',
  note: `${ALIKE} Messages per second that each consumer gets. CPU time of consumers is that of all of them.`,
  unit: 'msg/s',
  duels: SUBSCRIBERS.map((consumers) => naruFan({ producers: 1, consumers, deliver: 'all' })),
};

/** The best of those with several consumers: which crowd is best differs from machine to machine. */
function competing(figures: Figures): number | undefined {
  const specs = CROWDS.slice(1).flatMap((consumers) =>
    CROWDS.map((producers): FanSpec => ({ producers, consumers, deliver: 'one' })),
  );
  const medians = specs.flatMap((spec) => figures.median(fanId(spec)) ?? []);
  return medians.length === 0 ? undefined : Math.max(...medians);
}

export const fan: Scenario = scenarioOf({
  name: 'fan',
  summary: '1, 2, 4, 8 producers and consumers on one shm:// mailbox, and a topic',
  title: 'Several producers and consumers on one mailbox',
  parts: [...queues, topic],
  goals(figures): Goal[] {
    const cores = availableParallelism();
    const share = cores >= CORES_ENOUGH ? 0.7 : 0.5;
    const four = fanId({ producers: 4, consumers: 1, deliver: 'one' });
    const one = fanId({ producers: 1, consumers: 1, deliver: 'one' });
    const two = fanId({ producers: 1, consumers: 2, deliver: 'all' });
    return [
      atLeast(`four producers against one, on ${cores} cores`, share, figures.ratio(four, one), '×'),
      atLeast('competing consumers with acks, the best crowd', 2e6, competing(figures), 'msg/s'),
      atLeast(
        'two competing consumers with acks, one producer',
        2e6,
        figures.median(fanId({ producers: 1, consumers: 2, deliver: 'one' })),
        'msg/s',
      ),
      atLeast('a topic to two consumers, each', 5e6, figures.median(two), 'msg/s'),
    ];
  },
});
