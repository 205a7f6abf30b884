// Redis from Debian's packages, with a password; nothing on disk unless the test that starts it asks for it.

import { existsSync } from 'node:fs';
import type { Engine } from './engine.fixture.ts';
import { ask } from './probe.fixture.ts';

const PASSWORD = 'r3d1s-p4ssw0rd';
const SETTINGS = ['--bind', '127.0.0.1', '--requirepass', PASSWORD, '--save', '', '--loglevel', 'warning'];

export const redis: Engine = {
  name: 'redis',
  variable: 'NARU_TEST_REDIS',
  packages: ['redis-server'],
  program: () => ['/usr/bin/redis-server', '/usr/bin/valkey-server'].find((path) => existsSync(path)),
  command: ({ folder, port, extra }) => ({
    program: redis.program() as string,
    args: ['--port', String(port), '--dir', folder, ...SETTINGS, ...extra],
  }),
  isReady: async ({ port }) => /PONG/.test(await ask(port, `AUTH ${PASSWORD}\r\nPING\r\n`)),
  url: ({ port }) => `redis://:${PASSWORD}@127.0.0.1:${port}/0`,
};
