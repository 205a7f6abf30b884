// The layout page says what the code does.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { BLOCK, ENTRY, SHARD, TABLE } from '../table/layout.ts';
import { DATA_OFFSET, STATE_HEADER, TABLE_OFFSET } from './layout.ts';

const page = readFileSync(
  fileURLToPath(new URL('../../docs/internals/state-layout.md', import.meta.url)),
  'utf8',
);

/** Offsets by field of the table under a heading. */
function tableUnder(heading: string): Record<string, number> {
  const start = page.indexOf(heading);
  expect(start, heading).toBeGreaterThan(0);
  const section = page.slice(start + heading.length).split(/\n#/)[0] ?? '';
  const rows = [...section.matchAll(/^\| (\d+) \| (\w+) \|/gm)];
  return Object.fromEntries(rows.map(([, offset, field]) => [field ?? '', Number(offset)]));
}

test.each([
  ['## Header page', STATE_HEADER],
  ['### Table header', TABLE],
  ['### Shard', SHARD],
  ['### Block', BLOCK],
  ['### First block of an entry', ENTRY],
])('%s', (heading, fields) => {
  expect(tableUnder(heading)).toEqual(fields);
});

test('where the data begin', () => {
  expect([DATA_OFFSET, TABLE_OFFSET]).toEqual([20480, 2048]);
});
