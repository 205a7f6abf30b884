// kafka:// against the suite, on a real node, through each of the packages that speak to it.

import { kafka as engine } from '../engines/kafka.fixture.ts';
import { onlyWith } from '../engines/only-with.fixture.ts';
import { kafka } from '../places/kafka/capabilities.ts';
import { CLIENTS, type ClientName } from '../places/kafka/options.ts';
import {
  because,
  HASTY_ABORTS,
  lateSends,
  OWNED_BY_THE_SYSTEM,
  testConformance,
  withoutCapacity,
  withoutSeats,
} from './engine.fixture.ts';
import type { ConformanceSkip } from './options.ts';

const SKIPS: readonly ConformanceSkip[] = [
  ...withoutCapacity('a topic of Kafka has no capacity and is never full: its retention says what it keeps'),
  ...withoutSeats('Kafka'),
  ...because(
    'Kafka does not say who writes to a topic or reads it: nobody is seen to come or go, only nobody "keep" is taken',
    'nobody.2',
    'nobody.3',
    'nobody.4',
    'nobody.6',
    'stats.3',
    'death.1',
    // What they are about is in src/places/kafka/mailbox.engine.test.ts.
    'topic.1',
    'topic.3',
    'topic.6',
  ),
  ...because('a topic keeps it: a consumer that comes later may begin at the start', 'nobody.5'),
  ...because('a topic is both: whether one or all get a message is said by its readers', 'topic.7'),
  ...because(
    'Kafka counts no deliveries: what another consumer gets again has its id and no mark',
    'settle.6',
    'settle.7',
    'consume.5',
  ),
  ...because('what others have in hand only they know: Kafka knows what they have committed', 'stats.5'),
  ...because(
    'of one partition only one consumer gets messages; the rest of the rule is in mailbox.engine.test.ts',
    'order.6',
  ),
  ...lateSends('the answer of the broker'),
  ...OWNED_BY_THE_SYSTEM,
];

/** What one of the packages leaves out. */
const OF_ITS_OWN: Readonly<Record<ClientName, readonly ConformanceSkip[]>> = {
  platformatic: (['worker', 'child'] as const).map((shape) => ({
    rule: 'abort.3',
    shape,
    reason: HASTY_ABORTS,
  })),
  kafkajs: [
    ...because(HASTY_ABORTS, 'abort.3'),
    ...because('its connections have timers of their own that fire each millisecond', 'abort.5'),
  ],
};

onlyWith(engine, 'conformance of mailboxes on kafka://', (url) => {
  for (const client of CLIENTS)
    testConformance(
      {
        url: (name) => `${url}?topic=${client}-${name}&client=${client}`,
        capabilities: kafka,
        open: { create: 'if-missing' },
        small: {},
        caseTimeoutMs: 45_000,
        skip: [...SKIPS, ...OF_ITS_OWN[client]],
      },
      `${client}: `,
    );
});
