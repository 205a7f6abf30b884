// memcached from Debian's packages. Its memory (`-m`) and the largest value (`-I`) are arguments of the test that needs others.

import { existsSync } from 'node:fs';
import type { Engine } from './engine.fixture.ts';
import { ask } from './probe.fixture.ts';

export const memcached: Engine = {
  name: 'memcached',
  variable: 'NARU_TEST_MEMCACHED',
  packages: ['memcached'],
  program: () => ['/usr/bin/memcached', '/usr/local/bin/memcached'].find((path) => existsSync(path)),
  // It refuses to run as root.
  user: 'memcache',
  command: ({ port, extra }) => ({
    program: memcached.program() as string,
    args: ['-l', '127.0.0.1', '-p', String(port), '-U', '0', ...extra],
  }),
  // One that wants a password answers the question with an error, and is ready all the same.
  isReady: async ({ port }) => /^(VERSION|CLIENT_ERROR)/.test(await ask(port, 'version\r\n')),
  url: ({ port }) => `memcached://127.0.0.1:${port}`,
};
