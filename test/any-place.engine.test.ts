// Example 25 over the engines that run: one and the same program, and only its URLs differ. What needs no engine is in its expected output.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { activemq } from '#naru/engines/activemq.fixture';
import { artemis } from '#naru/engines/artemis.fixture';
import type { Engine } from '#naru/engines/engine.fixture';
import { kafka } from '#naru/engines/kafka.fixture';
import { onlyWith } from '#naru/engines/only-with.fixture';
import { postgres } from '#naru/engines/postgres.fixture';
import { rabbitmq } from '#naru/engines/rabbitmq.fixture';
import { redis, valkey } from '#naru/engines/redis.fixture';

const PROGRAM = fileURLToPath(new URL('../examples/25-any-place.js', import.meta.url));
const name = `ferry-${process.pid}-${randomBytes(4).toString('hex')}`;

/** How a mailbox of each engine is named, and how far its messages get. */
const PLACES: readonly (readonly [Engine, string, string])[] = [
  [postgres, `?mailbox=${name}`, 'durable'],
  [redis, `?mailbox=${name}`, 'placed'],
  [redis, `?channel=${name}`, 'placed'],
  [valkey, `?mailbox=${name}`, 'placed'],
  [kafka, `?topic=${name}&create=if-missing`, 'placed'],
  [rabbitmq, `?queue=${name}`, 'placed'],
  [artemis, `?queue=${name}`, 'durable'],
  [activemq, `?queue=${name}`, 'placed'],
];

for (const [engine, query, reached] of PLACES) {
  onlyWith(engine, `one program crosses ${engine.name} by ${query.slice(1, query.indexOf('='))}`, (url) => {
    test('by its URL alone', { timeout: 60_000 }, async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, `${url}${query}`]);
      const scheme = url.slice(0, url.indexOf(':'));
      expect(stdout).toBe(`${scheme}: Ara, Bora, Chan (${reached})\n`);
    });
  });
}
