// The page about intended differences says what the list of the differential test says.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { differencesTable } from './intended.fixture.ts';

test('docs/reference/broker-differences.md has the table of intended differences', () => {
  const page = new URL('../../../docs/reference/broker-differences.md', import.meta.url);
  expect(readFileSync(page, 'utf8')).toContain(differencesTable());
});
