// Chromium from Debian's packages, without a window, driven by its DevTools protocol (page.fixture.ts). Every name leads to this
// machine, so that tests have pages of other origins.

import { existsSync } from 'node:fs';
import type { Engine } from './engine.fixture.ts';

const SETTINGS = [
  '--headless=new',
  // Its sandbox cannot start as root; it sees only pages of the tests.
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--no-first-run',
  '--host-resolver-rules=MAP * 127.0.0.1',
];

export const chromium: Engine = {
  name: 'chromium',
  variable: 'NARU_TEST_CHROMIUM',
  packages: ['chromium'],
  program: () => ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path)),
  command: ({ folder, port, extra }) => ({
    program: chromium.program() as string,
    args: [
      ...SETTINGS,
      `--remote-debugging-port=${port}`,
      `--user-data-dir=${folder}`,
      ...extra,
      'about:blank',
    ],
  }),
  isReady: async ({ port }) => (await fetch(`http://127.0.0.1:${port}/json/version`)).ok,
  url: ({ port }) => `http://127.0.0.1:${port}`,
  readyMs: 60_000,
};
