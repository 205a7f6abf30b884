// Tests that need an engine: they run when `npm run test:engines` started it, and are listed as skipped otherwise.

import { describe } from 'vitest';
import type { Engine } from './engine.fixture.ts';

/**
 * A group of tests of one engine.
 * @param tests gets the URL of the instance that all test files share; names in it must be the file's own
 */
export function onlyWith(engine: Engine, what: string, tests: (url: string) => void): void {
  const url = process.env[engine.variable];
  const title = url === undefined ? `${what} (skipped: npm run test:engines -- ${engine.name})` : what;
  describe.skipIf(url === undefined)(title, () =>
    tests(url ?? engine.url({ folder: '', port: 0, spare: [0, 0], extra: [] })),
  );
}
