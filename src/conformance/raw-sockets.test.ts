// unix:// and tcp:// with format=raw against the part of the suite that fits them. A raw socket is a wire between a listener
// and those that connect, not a mailbox that several share: nothing waits in it for somebody who comes later, and who sent
// something cannot receive it again.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, test } from 'vitest';
import { tcpRaw } from '../places/tcp/capabilities.ts';
import { unixRaw } from '../places/unix/capabilities.ts';
import { conformanceSuite } from './index.ts';

const FITTING = `
  life.1 life.2 life.6 life.7 life.11 life.14 life.15 life.16 life.17
  sync.1 sync.2 sync.3 sync.20 sync.21 sync.23 sync.24 sync.25 sync.26
  format.1 format.2 format.3 format.4 format.8 format.9 format.10 format.11 format.12
  order.1 order.3 full.2 full.3 full.6 full.7 nobody.2 nobody.4
  iteration.7 iteration.10 sendmany.1 sendmany.2 sendmany.5 consume.2 consume.7
  topic.1 topic.2 topic.6 stats.3 abort.1 abort.2 abort.3 abort.4 abort.6
  lacking.priority lacking.ttl lacking.delay lacking.headers lacking.reply lacking.groups lacking.orderingKey
  lacking.dedup lacking.receipts lacking.durable lacking.peek lacking.trySync lacking.waitSync lacking.replay
  lacking.retain lacking.dropOldest lacking.rendezvous lacking.several
`
  .trim()
  .split(/\s+/);

const folder = mkdtempSync(join(tmpdir(), 'naru-raw-'));
const frame = 'format=raw&frame=length';
const suites = [
  conformanceSuite({
    url: (name) => `unix://${folder}/${name}?${frame}`,
    capabilities: unixRaw,
    only: FITTING,
    shapes: ['process', 'child'],
  }),
  conformanceSuite({
    url: () => `tcp://127.0.0.1:0?listen&${frame}`,
    capabilities: tcpRaw,
    only: FITTING,
    shapes: ['process'],
  }),
];

for (const { cases } of suites) {
  for (const { name, skip, run } of cases) test.skipIf(skip !== undefined)(name, run);
}

afterAll(async () => {
  await Promise.all(suites.map((suite) => suite.close()));
  rmSync(folder, { recursive: true, force: true });
});
