// activemq:// against the suite: all of it on a real Artemis, what queues and topics are about on a real Classic.

import { activemq as classic } from '../engines/activemq.fixture.ts';
import { artemis } from '../engines/artemis.fixture.ts';
import { onlyWith } from '../engines/only-with.fixture.ts';
import { activemq } from '../places/activemq/capabilities.ts';
import {
  because,
  lateSends,
  OWNED_BY_THE_SYSTEM,
  testConformance,
  withoutCapacity,
  withoutSeats,
} from './engine.fixture.ts';
import type { ConformanceSkip } from './options.ts';

const SKIPS: readonly ConformanceSkip[] = [
  ...withoutCapacity(
    "capacity is the server's setting and no option here; that a full address holds up sends is in activemq.engine.test.ts",
  ),
  ...because('an address has no limit of capacity here', 'topic.6'),
  ...withoutSeats('ActiveMQ'),
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
  ...lateSends('its acceptance'),
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
  ...OWNED_BY_THE_SYSTEM,
];

onlyWith(artemis, 'conformance of mailboxes on activemq://, with Artemis', (url) => {
  // Addresses hold no password: peers have it from here.
  process.env['NARU_ACTIVEMQ_PASSWORD'] = decodeURIComponent(new URL(url).password);
  testConformance({
    url: (name) => `${url}?queue=${name}`,
    capabilities: activemq,
    small: {},
    caseTimeoutMs: 45_000,
    skip: SKIPS,
  });
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
  testConformance({
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
});
