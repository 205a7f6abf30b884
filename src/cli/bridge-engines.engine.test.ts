// naru bridge through a chain of engines: what a System V queue was given lies in a log on the disk in the end, through every
// engine that runs. Nothing is lost; count and checksum are taken at both ends.

import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Engine } from '../engines/engine.fixture.ts';
import { kafka } from '../engines/kafka.fixture.ts';
import { postgres } from '../engines/postgres.fixture.ts';
import { rabbitmq } from '../engines/rabbitmq.fixture.ts';
import { nativeProblem } from '../native/index.ts';
import { open } from '../open.ts';
import { Sandbox } from './command.fixture.ts';

/** NARU_CHAIN_COUNT makes it shorter where one only wants to see it work. */
const COUNT = Number(process.env['NARU_CHAIN_COUNT'] ?? 100_000);
const WATCHDOG_MS = 1_500_000;
/** A source whose reading deletes moves one message at a time: several bridges share the work. */
const FIRST_BRIDGES = 4;

const name = `chain-${process.pid}-${randomBytes(4).toString('hex')}`;

/** The engines in between, in the order of the chain, where they run. */
const ENGINES: readonly (readonly [Engine, (url: string) => string])[] = [
  [kafka, (url) => `${url}?topic=${name}&create=if-missing`],
  [rabbitmq, (url) => `${url}?queue=${name}&survives=restart`],
  [postgres, (url) => `${url}?mailbox=${name}`],
];

/** URLs of the engines that run. */
function middle(): string[] {
  return ENGINES.flatMap(([{ variable }, urlOf]) => {
    const url = process.env[variable];
    return url === undefined ? [] : [urlOf(url)];
  });
}

/** A sum that does not depend on the order: several bridges take from one queue. */
class Checksum {
  #sum = 0n;

  add(body: string): void {
    const digest = createHash('sha256').update(body).digest();
    this.#sum = (this.#sum + digest.readBigUInt64BE(0)) & 0xffff_ffff_ffff_ffffn;
  }

  get text(): string {
    return this.#sum.toString(16);
  }
}

const stages = nativeProblem() === undefined ? middle() : [];

describe.skipIf(stages.length < 2)(
  'naru bridge (skipped: npm run test:engines -- kafka rabbitmq postgres)',
  () => {
    test(`${COUNT} messages through ${stages.length + 2} places, nothing lost`, {
      timeout: WATCHDOG_MS,
    }, async () => {
      await using sandbox = new Sandbox();
      sandbox.share();
      const from = `sysv://${name}`;
      const target = `file://${sandbox.path('log')}`;
      const bridge = (source: string, to: string, count: number) =>
        sandbox.start(['bridge', source, to, '--count', String(count), '--timeout', '60000'], {
          watchdogMs: WATCHDOG_MS,
        });
      await using queue = await open(from, { codec: 'text', owner: 'system' });
      const urls = [...stages, target];
      // Made here, one by one: what is tested is not how many can make a topic at once.
      for (const url of stages) await (await open(url, { timeoutMs: 60_000 })).close();
      const bridges = [
        ...Array.from({ length: FIRST_BRIDGES }, () => bridge(from, urls[0] ?? '', COUNT / FIRST_BRIDGES)),
        ...urls.slice(1).map((to, at) => bridge(urls[at] ?? '', to, COUNT)),
      ];
      // A bridge that fails ends the test, also while its source is full.
      const moved = Promise.all(
        bridges.map(async ({ done }) => {
          const { code, stderr } = await done;
          if (code !== 0) throw new Error(`exit ${code}: ${stderr}`);
        }),
      );
      const sent = new Checksum();
      for (let n = 0; n < COUNT; n += 1) {
        const body = `${n}:${randomBytes(16).toString('base64')}`;
        sent.add(body);
        await Promise.race([queue.send(body), moved]);
      }
      await moved;
      await queue.unlink();
      await using log = await open(target, { codec: 'text' });
      const got = new Checksum();
      const numbers = new Set<string>();
      let count = 0;
      for await (const batch of log.batches()) {
        for (const { data } of batch) {
          got.add(data);
          numbers.add(data.split(':')[0] ?? '');
        }
        count += batch.length;
        if (count >= COUNT) break;
      }
      expect({ count, different: numbers.size, sum: got.text }).toEqual({
        count: COUNT,
        different: COUNT,
        sum: sent.text,
      });
      for (const url of stages) await (await open(url)).unlink();
    });
  },
);
