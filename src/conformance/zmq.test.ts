// zmq:// against the part of the suite that fits each pattern. An end of ZeroMQ sends or receives, and what it sent it cannot
// receive itself; nothing waits in it for somebody who comes later. So for each pattern those rules are named in which the handle
// that binds is at the one end and all others at the other.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Capabilities } from '../mailbox/capabilities.ts';
import { ofPattern, type Pattern, zmq, zmqIpc, zmqRaw } from '../places/zmq/capabilities.ts';
import { type ConformanceSuite, conformanceSuite } from './index.ts';

const words = (text: string): string[] => text.trim().split(/\s+/);

/** What no pattern has must be refused by each. */
const LACKING = words(`
  lacking.deadLetter lacking.priority lacking.ttl lacking.delay lacking.headers lacking.type lacking.reply lacking.deliverAll
  lacking.groups lacking.orderingKey lacking.dedup lacking.receipts lacking.durable lacking.depth lacking.peek lacking.trySync
  lacking.waitSync lacking.replay lacking.retain lacking.overwrite lacking.dropOldest lacking.rendezvous lacking.fixedSlots
  lacking.end lacking.claim lacking.views lacking.several
`);
/** The handle that binds sends. */
const SENDING = words(`
  life.2 life.11 life.14 life.16 life.17 sync.1 sync.2 sync.3 sync.5 sync.20 sync.23 sync.27
  format.1 format.2 format.3 format.5 format.6 format.7 format.8 format.9 format.10 format.14
  order.1 nobody.2 sendmany.1 sendmany.2 sendmany.6 stats.3 abort.4
`);
/** The same where a message goes to one. */
const TO_ONE = words(`
  life.7 sync.6 sync.7 sync.25 order.3 full.2 full.3 full.6 full.7 full.8 nobody.4 sendmany.5 abort.2
`);
/** The handle that binds receives. */
const RECEIVING = words(`
  life.6 life.11 life.15 life.16 life.17 sync.21 sync.24 sync.26 format.11 format.12 iteration.7 consume.7 abort.1 abort.3 abort.6
`);

const FITTING: Readonly<Record<Pattern, readonly string[]>> = {
  push: [...SENDING, ...TO_ONE, 'exit.3', 'death.5'],
  pull: [...RECEIVING, 'iteration.10', 'death.2', 'death.4', 'death.5', 'exit.5'],
  pub: [...SENDING, ...words('sync.6 sync.7 life.5 nobody.5 nobody.6 iteration.12 topic.1 topic.2 topic.6')],
  sub: RECEIVING,
  req: [
    ...SENDING.filter((rule) => rule !== 'format.6'),
    ...TO_ONE,
    ...words('requests.1 requests.3 requests.4 requests.5 requests.7 requests.10'),
  ],
  rep: [...RECEIVING, 'requests.2', 'requests.9'],
  pair: [
    ...SENDING,
    ...RECEIVING,
    ...TO_ONE.filter((rule) => rule !== 'sync.6' && rule !== 'order.3'),
    ...words('life.1 sync.22 iteration.10 consume.2 death.2 death.4 death.5 exit.2 exit.3 exit.4 exit.5'),
  ],
};

const folder = mkdtempSync(join(tmpdir(), 'naru-zmq-'));

function suiteOf(pattern: Pattern, mode: Capabilities, only = FITTING[pattern]): ConformanceSuite {
  const format = mode.mode === 'envelope' ? '&format=envelope' : '';
  const query = `?pattern=${pattern}&bind${format}`;
  return conformanceSuite({
    url: (name) =>
      mode.scheme === 'zmq' ? `zmq://127.0.0.1:0${query}` : `zmq+ipc://${folder}/${name}${query}`,
    capabilities: ofPattern(mode, pattern),
    only: [...only, ...LACKING],
    shapes: ['process', 'child'],
    small: { capacityMessages: 16 },
  });
}

const suites = [
  suiteOf('push', zmqRaw),
  suiteOf('pull', zmqRaw),
  suiteOf('pub', zmq),
  suiteOf('sub', zmq),
  suiteOf('req', zmq),
  suiteOf('rep', zmq),
  suiteOf('req', zmqRaw, words('requests.1 requests.3 requests.4 requests.10')),
  suiteOf('pair', zmqRaw),
  suiteOf('pair', zmqIpc),
];
for (const { cases } of suites) {
  for (const { name, skip, run } of cases) test.skipIf(skip !== undefined)(name, run);
}

test('no socket file is left', () => {
  expect(readdirSync(folder)).toEqual([]);
});

afterAll(async () => {
  await Promise.all(suites.map((suite) => suite.close()));
  rmSync(folder, { recursive: true, force: true });
});
