// What both runs of the suite over amqp:// have in common: against RabbitMQ and against Naru's own broker.

import { amqp } from '../places/amqp/capabilities.ts';
import type { ConformanceOptions, ConformanceSkip } from './options.ts';

const LATE = 'a send waits for its confirm: who aborts that wait does not learn whether it came to pass';
const TOPIC_LIMIT = 'a topic has no limit of capacity here, and says so';

const SKIPS: readonly ConformanceSkip[] = [
  { rule: 'life.4', reason: 'AMQP has no capacity in bytes; the engine test does the same with messages' },
  { rule: 'sendmany.5', reason: LATE },
  { rule: 'abort.4', reason: LATE },
  { rule: 'sendmany.3', reason: 'what is under way when an element is refused is counted as unknown' },
  { rule: 'sendmany.4', reason: 'what is on its way when the time is over is counted as unknown' },
  { rule: 'stats.5', reason: 'AMQP tells nobody how many messages consumers have in hand' },
  { rule: 'time.1', reason: 'the server removes what has expired and tells nobody' },
  { rule: 'topic.6', reason: TOPIC_LIMIT },
  { rule: 'death.7', reason: TOPIC_LIMIT },
  { rule: 'death.9', reason: 'the owner is the system: a mailbox lives until it is removed' },
];

/** @param url  of the server, with the virtual host and without parameters */
export function amqpConformance(url: string, skip: readonly ConformanceSkip[] = []): ConformanceOptions {
  return {
    url: (name) => `${url}/?queue=${name}`,
    capabilities: amqp,
    open: { emulate: ['delay'] },
    small: { capacityMessages: 12 },
    skip: [...SKIPS, ...skip],
  };
}
