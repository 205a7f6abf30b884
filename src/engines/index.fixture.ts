// Every engine that tests use: what `npm run test:engines` installs and starts. A new engine is its own file and one line here.

import { activemq } from './activemq.fixture.ts';
import { artemis } from './artemis.fixture.ts';
import { kafka } from './kafka.fixture.ts';
import { chromium } from './chromium.fixture.ts';
import { memcached } from './memcached.fixture.ts';
import { postgres } from './postgres.fixture.ts';
import { rabbitmq } from './rabbitmq.fixture.ts';
import { oldestRedis, redis, tooOldRedis, valkey } from './redis.fixture.ts';
import type { Engine } from './engine.fixture.ts';

export const ENGINES: readonly Engine[] = [
  chromium,
  redis,
  valkey,
  oldestRedis,
  tooOldRedis,
  postgres,
  memcached,
  rabbitmq,
  kafka,
  artemis,
  activemq,
];
