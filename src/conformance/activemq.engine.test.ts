// activemq:// against the suite: all of it on a real Artemis, what queues and topics are about on a real Classic.

import { afterAll, test } from 'vitest';
import { activemq as classic } from '../engines/activemq.fixture.ts';
import { artemis } from '../engines/artemis.fixture.ts';
import { onlyWith } from '../engines/only-with.fixture.ts';
import { activemq } from '../places/activemq/capabilities.ts';
import { type ConformanceSkip, conformanceSuite } from './index.ts';

const because = (reason: string, ...rules: readonly string[]): ConformanceSkip[] =>
  rules.map((rule) => ({ rule, reason }));

const SKIPS: readonly ConformanceSkip[] = [
  ...because(
    "capacity is the server's setting and no option here; that a full address holds up sends is in activemq.engine.test.ts",
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
    'topic.6',
  ),
  ...because('relation is advisory: ActiveMQ gives out no seats', 'life.12', 'life.13', 'death.6'),
  ...because(
    'ActiveMQ does not say who sends and who listens: only nobody "keep" is taken',
    'nobody.2',
    'nobody.3',
    'nobody.4',
    'nobody.6',
    'nobody.5',
    'stats.3',
    // What they are about is in src/places/activemq/activemq.engine.test.ts.
    'topic.1',
    'topic.3',
  ),
  ...because(
    'a send waits for its acceptance: who aborts that wait does not learn whether it came to pass',
    'sendmany.3',
    'sendmany.5',
    'abort.4',
  ),
  ...because(
    'the server hands out one message after the other: a batch may be smaller than what waits, and what is behind it is new',
    'iteration.6',
  ),
  ...because(
    'thousands of aborted receives are over before 1,000 messages have crossed a busy server',
    'abort.3',
  ),
  ...because('the server removes what has expired and tells nobody', 'time.1'),
  ...because(
    'ActiveMQ counts only what was given back: what a killed consumer had in hand comes again with its id and no mark',
    'death.1',
  ),
  ...because('the owner is the system: a mailbox lives until it is removed', 'death.9'),
];

onlyWith(artemis, 'conformance of mailboxes on activemq://, with Artemis', (url) => {
  // Addresses hold no password: peers have it from here.
  process.env['NARU_ACTIVEMQ_PASSWORD'] = decodeURIComponent(new URL(url).password);
  const suite = conformanceSuite({
    url: (name) => `${url}?queue=${name}`,
    capabilities: activemq,
    small: {},
    caseTimeoutMs: 45_000,
    skip: SKIPS,
  });
  for (const { name, skip, run } of suite.cases)
    test.skipIf(skip !== undefined)(name, { timeout: 60_000 }, run);
  afterAll(() => suite.close());
});

/** What Classic gives back is for the same consumer first; when that one leaves, others get it without a mark, behind what came meanwhile. */
const NOT_ON_CLASSIC: readonly ConformanceSkip[] = [
  ...SKIPS,
  ...because(
    'Classic forgets what it counted when the link that gave a message back ends',
    'settle.2',
    'settle.6',
    'settle.7',
    'settle.11',
    'iteration.2',
    'iteration.13',
    'consume.5',
    'order.8',
  ),
  ...because('Classic cannot be asked what exists, nor told to remove it', 'topic.7'),
];

onlyWith(classic, 'conformance of mailboxes on activemq://, with Classic', (url) => {
  const { features, limits } = activemq;
  const suite = conformanceSuite({
    url: (name) => `${url}?queue=${name}`,
    capabilities: {
      ...activemq,
      features: { ...features, priority: 'none', depth: 'none', peek: 'none' },
      limits: { ...limits, priorityMax: 0 },
    },
    small: {},
    caseTimeoutMs: 45_000,
    shapes: ['process'],
    only: ['format', 'order', 'settle', 'iteration', 'sendmany', 'consume', 'requests', 'topic', 'time'],
    skip: NOT_ON_CLASSIC,
  });
  for (const { name, skip, run } of suite.cases)
    test.skipIf(skip !== undefined)(name, { timeout: 60_000 }, run);
  afterAll(() => suite.close());
});
