// postgres:// against the suite, on a real server.

import { onlyWith } from '../engines/only-with.fixture.ts';
import { postgres as engine } from '../engines/postgres.fixture.ts';
import { postgres } from '../places/postgres/capabilities.ts';
import { HASTY_ABORTS, lateSends, OWNED_BY_THE_SYSTEM, testConformance } from './engine.fixture.ts';

onlyWith(engine, 'conformance of mailboxes on postgres://', (url) => {
  // Addresses hold no password: peers have it from here.
  process.env['PGPASSWORD'] = decodeURIComponent(new URL(url).password);
  testConformance({
    url: (name) => `${url}?mailbox=${name}`,
    capabilities: postgres,
    skip: [
      ...lateSends('its commit'),
      ...(['worker', 'child'] as const).map((shape) => ({ rule: 'abort.3', shape, reason: HASTY_ABORTS })),
      ...OWNED_BY_THE_SYSTEM,
    ],
  });
});
