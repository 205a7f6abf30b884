// kafka:// against the suite, on a real node, through each of the packages that speak to it.

import { afterAll, test } from 'vitest';
import { kafka as engine } from '../engines/kafka.fixture.ts';
import { onlyWith } from '../engines/only-with.fixture.ts';
import { kafka } from '../places/kafka/capabilities.ts';
import { CLIENTS, type ClientName } from '../places/kafka/options.ts';
import { conformanceSuite, type ConformanceSkip } from './index.ts';

const because = (reason: string, ...rules: readonly string[]): ConformanceSkip[] =>
  rules.map((rule) => ({ rule, reason }));

const SLOW =
  '50,000 aborted receives may be over before 1,000 messages have crossed a busy server one by one';

const SKIPS: readonly ConformanceSkip[] = [
  ...because(
    'a topic of Kafka has no capacity and is never full: its retention says what it keeps',
    'life.4',
    'life.7',
    'life.8',
    'sync.22',
    'sync.25',
    'sync.27',
    'full.1',
    'full.2',
    'full.6',
    'full.7',
    'full.8',
    'sendmany.2',
    'sendmany.4',
    'stats.4',
    'abort.2',
    'death.3',
    'death.7',
    'exit.4',
    'exit.6',
  ),
  ...because('relation is advisory: Kafka gives out no seats', 'life.12', 'life.13', 'death.6'),
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
  ...because(
    'a send waits for the answer of the broker: who aborts that wait does not learn whether it came to pass',
    'sendmany.3',
    'sendmany.5',
    'abort.4',
  ),
  ...because('the owner is the system: a topic lives until it is removed', 'death.9'),
];

/** What one of the packages leaves out. */
const OF_ITS_OWN: Readonly<Record<ClientName, readonly ConformanceSkip[]>> = {
  platformatic: (['worker', 'child'] as const).map((shape) => ({ rule: 'abort.3', shape, reason: SLOW })),
  kafkajs: [
    { rule: 'abort.3', reason: SLOW },
    ...because('its connections have timers of their own that fire each millisecond', 'abort.5'),
  ],
};

onlyWith(engine, 'conformance of mailboxes on kafka://', (url) => {
  for (const client of CLIENTS) {
    const suite = conformanceSuite({
      url: (name) => `${url}?topic=${client}-${name}&client=${client}`,
      capabilities: kafka,
      open: { create: 'if-missing' },
      small: {},
      caseTimeoutMs: 45_000,
      skip: [...SKIPS, ...OF_ITS_OWN[client]],
    });
    for (const { name, skip, run } of suite.cases)
      test.skipIf(skip !== undefined)(`${client}: ${name}`, { timeout: 60_000 }, run);
    afterAll(() => suite.close());
  }
});
