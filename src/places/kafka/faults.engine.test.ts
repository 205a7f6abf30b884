// A node of Kafka that is killed, and a network that goes silent, is slow or cuts requests in two, through each package.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Running, startEngine } from '../../engines/engine.fixture.ts';
import { kafka } from '../../engines/kafka.fixture.ts';
import { survivesKills } from '../../engines/kills.fixture.ts';
import { onlyWith } from '../../engines/only-with.fixture.ts';
import { Traffic } from '../../engines/traffic.fixture.ts';
import { FaultProxy } from '../../link/fault-proxy.fixture.ts';
import { loadFirst } from './loaded.fixture.ts';
import { CLIENTS, type ClientName } from './options.ts';

const KILLS = 20;
const DELAY_MS = 20;
/** Somewhere in a request, after those that a connection begins with. */
const CUT_BYTES = 3_000;
/** Each ack waits for its commit: many at once share one. And a topic has no room to wait for: a producer would be far ahead. */
const TRAFFIC = { concurrency: 64, ahead: 500 };

/** A node that tells its clients to come through a proxy. */
async function behindProxy(engine: Running): Promise<FaultProxy> {
  const { folder, port } = engine.site;
  const proxy = await FaultProxy.to(port);
  const file = join(folder, 'server.properties');
  const text = readFileSync(file, 'utf8');
  const own = `advertised.listeners=OPEN://127.0.0.1:${port}`;
  writeFileSync(file, text.replace(own, `advertised.listeners=OPEN://127.0.0.1:${proxy.port}`));
  await engine.restart();
  return proxy;
}

loadFirst();

onlyWith(kafka, 'mailboxes on kafka:// when things break', () => {
  for (const client of CLIENTS) each(client);
});

function each(client: ClientName): void {
  test(`${client}: the node is killed ${KILLS} times: sends end as confirmed, failed or unknown, and nothing confirmed is lost`, {
    timeout: 1_200_000,
  }, async () => {
    await using engine = await startEngine(kafka);
    const address = `${engine.url}?topic=killed&client=${client}`;
    await survivesKills(address, KILLS, 'same id', () => engine.restart(), TRAFFIC);
  });

  test(`${client}: a network that goes silent ends sends in time, and is got over when it speaks again; so is one that is slow or cuts requests in two`, {
    timeout: 180_000,
  }, async () => {
    await using engine = await startEngine(kafka);
    const proxy = await behindProxy(engine);
    try {
      const traffic = new Traffic(TRAFFIC);
      await traffic.run(`kafka://127.0.0.1:${proxy.port}?topic=silent&client=${client}`, async (progress) => {
        for (const fault of ['stall', 'reset', 'pieces', 'delay', 'cut'] as const) {
          await progress();
          if (fault === 'reset') proxy.reset();
          else if (fault === 'pieces') proxy.pieceBytes = 7;
          else if (fault === 'delay') proxy.delayMs = DELAY_MS;
          else if (fault === 'cut') {
            const { connections } = proxy;
            proxy.cutAfterBytes = CUT_BYTES;
            proxy.reset();
            await expect.poll(() => proxy.connections, { timeout: 60_000 }).toBeGreaterThan(connections + 4);
            proxy.cutAfterBytes = Number.POSITIVE_INFINITY;
          } else {
            const before = traffic.failures;
            proxy.isStalled = true;
            await expect.poll(() => traffic.failures, { timeout: 60_000 }).toBeGreaterThan(before);
            proxy.isStalled = false;
            proxy.reset();
          }
          await progress();
          proxy.pieceBytes = 0;
          proxy.delayMs = 0;
        }
      });
      traffic.check('same id');
    } finally {
      await proxy.close();
    }
  });
}
