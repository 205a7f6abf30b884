// What both runs of the suite over amqp:// have in common: against RabbitMQ and against Naru's own broker.

import { amqp } from '../places/amqp/capabilities.ts';
import { because, lateSends, OWNED_BY_THE_SYSTEM } from './engine.fixture.ts';
import type { ConformanceOptions, ConformanceSkip } from './options.ts';

const SKIPS: readonly ConformanceSkip[] = [
  ...because('AMQP has no capacity in bytes; the engine test does the same with messages', 'life.4'),
  ...lateSends('its confirm'),
  ...because('what is on its way when the time is over is counted as unknown', 'sendmany.4'),
  ...because('AMQP tells nobody how many messages consumers have in hand', 'stats.5'),
  ...because('the server removes what has expired and tells nobody', 'time.1'),
  ...because('a topic has no limit of capacity here, and says so', 'topic.6', 'death.7'),
  ...OWNED_BY_THE_SYSTEM,
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
