// A node of Kafka that is killed, and a network that goes silent, through each package.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Running, startEngine } from '../../engines/engine.fixture.ts';
import { kafka } from '../../engines/kafka.fixture.ts';
import { onlyWith } from '../../engines/only-with.fixture.ts';
import { isNaruError } from '../../errors/index.ts';
import { open } from '../../index.ts';
import { FaultProxy } from '../../link/fault-proxy.fixture.ts';
import { loadFirst } from './loaded.fixture.ts';
import { CLIENTS, type ClientName } from './options.ts';

const KILLS = 20;
const AHEAD = 500;
const OUTCOMES = /^(confirmed|NARU_(OUTCOME_UNKNOWN|DISCONNECTED))$/;

/** Sends numbers one after the other and consumes them, until it is told to stop. */
class Traffic {
  readonly outcomes = new Map<number, string>();
  readonly got = new Map<number, string[]>();
  readonly #over = new AbortController();
  #sending: Promise<void> | undefined;

  async run(address: string, act: (progress: () => Promise<void>) => Promise<void>): Promise<void> {
    await using producer = await open(address, { role: 'producer', create: 'if-missing' });
    await using consumer = await open(address, { role: 'consumer' });
    // Each ack waits for its commit: many at once share one.
    const consuming = consumer.consume(
      ({ data, id }) => {
        const n = data as number;
        this.got.set(n, [...(this.got.get(n) ?? []), id]);
      },
      { concurrency: 64 },
    );
    this.#sending = this.#send(async (n) => {
      await producer.send(n);
    });
    await act(() => this.#progress());
    this.#over.abort();
    await this.#sending;
    const confirmed = [...this.outcomes].filter(([, what]) => what === 'confirmed').map(([n]) => n);
    await expect.poll(() => confirmed.filter((n) => !this.got.has(n)), { timeout: 60_000 }).toEqual([]);
    await consuming.stop();
  }

  async #send(send: (n: number) => Promise<void>): Promise<void> {
    for (let n = 1; !this.#over.signal.aborted; n += 1) {
      try {
        await send(n);
        this.outcomes.set(n, 'confirmed');
      } catch (error) {
        this.outcomes.set(n, isNaruError(error) ? error.code : String(error));
      }
      // A producer has no room to wait for here: it would be far ahead.
      const isAhead = (): boolean => n - this.got.size > AHEAD && !this.#over.signal.aborted;
      if (isAhead()) await expect.poll(isAhead, { timeout: 60_000 }).toBe(false);
    }
  }

  async #progress(): Promise<void> {
    const before = this.got.size;
    await expect.poll(() => this.got.size, { timeout: 60_000 }).toBeGreaterThan(before);
  }

  /** Every send ended in a way that is told, and what came twice carries the same id. */
  check(): void {
    expect([...this.outcomes.values()].filter((what) => !OUTCOMES.test(what))).toEqual([]);
    for (const n of this.got.keys()) expect(this.outcomes.get(n)).not.toBe('NARU_DISCONNECTED');
    for (const ids of this.got.values()) expect(new Set(ids).size).toBe(1);
  }
}

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
    const traffic = new Traffic();
    await traffic.run(`${engine.url}?topic=killed&client=${client}`, async (progress) => {
      for (let kill = 1; kill <= KILLS; kill += 1) {
        await progress();
        await engine.restart();
      }
      await progress();
    });
    traffic.check();
  });

  test(`${client}: a network that goes silent ends sends in time, and is got over when it speaks again`, {
    timeout: 180_000,
  }, async () => {
    await using engine = await startEngine(kafka);
    const proxy = await behindProxy(engine);
    try {
      const traffic = new Traffic();
      await traffic.run(`kafka://127.0.0.1:${proxy.port}?topic=silent&client=${client}`, async (progress) => {
        for (const fault of ['stall', 'reset', 'pieces'] as const) {
          await progress();
          if (fault === 'reset') proxy.reset();
          else if (fault === 'pieces') proxy.pieceBytes = 7;
          else {
            const unknown = (): number =>
              [...traffic.outcomes.values()].filter((what) => what !== 'confirmed').length;
            proxy.isStalled = true;
            await expect.poll(unknown, { timeout: 60_000 }).toBeGreaterThan(0);
            proxy.isStalled = false;
            proxy.reset();
          }
          await progress();
        }
        proxy.pieceBytes = 0;
      });
      traffic.check();
    } finally {
      await proxy.close();
    }
  });
}
