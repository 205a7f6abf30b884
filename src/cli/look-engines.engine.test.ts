// naru inspect, peek, purge and rm on mailboxes of servers that run.

import { test } from 'vitest';
import type { Engine } from '../engines/engine.fixture.ts';
import { onlyWith } from '../engines/only-with.fixture.ts';
import { postgres } from '../engines/postgres.fixture.ts';
import { redis } from '../engines/redis.fixture.ts';
import { Sandbox } from './command.fixture.ts';
import { looksThrough } from './look-engines.fixture.ts';

const ENGINES: readonly (readonly [Engine, string])[] = [
  [postgres, 'postgres'],
  [redis, 'redis'],
];

for (const [engine, place] of ENGINES)
  onlyWith(engine, `a mailbox of ${place}://`, (url) => {
    test('is inspected, looked into, emptied and removed', { timeout: 300_000 }, async () => {
      await using sandbox = new Sandbox();
      await looksThrough(sandbox, `${url}?mailbox=looked-at`, place);
    });
  });
