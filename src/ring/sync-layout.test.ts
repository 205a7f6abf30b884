// The layout document of locks, semaphores and events and the code say the same; and no two fields overlap.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as L from './layout.ts';
import * as S from './sync-layout.ts';

const text = readFileSync(new URL('../../docs/internals/sync-layout.md', import.meta.url), 'utf8');

/** Rows `| offset | bytes | name |` of a section. */
function table(section: string): { offset: number; bytes: number; name: string }[] {
  const part = text.split(`### ${section}\n`)[1]?.split('\n## ')[0]?.split('\n### ')[0] ?? '';
  return [...part.matchAll(/^\| (\d+) \| (\d+) \| (\w+) \|/gm)].map(([, offset, bytes, name = '']) => ({
    offset: Number(offset),
    bytes: Number(bytes),
    name,
  }));
}

test.each([
  ['Header', S.SYNC_HEADER, L.PAGE_BYTES],
  ['Participant', S.SYNC_PARTICIPANT, L.PARTICIPANT_STRIDE],
])('%s: the document has every field at its place', (section, fields, size) => {
  const rows = table(section);
  expect(Object.fromEntries(rows.map(({ name, offset }) => [name, offset]))).toEqual(fields);
  let end = 0;
  for (const { offset, bytes, name } of rows) {
    expect(offset, name).toBeGreaterThanOrEqual(end);
    end = offset + bytes;
  }
  expect(end).toBeLessThanOrEqual(size);
});

test('the document has every number', () => {
  expect(text).toContain(`0x${S.SYNC_KIND.toString(16)}: "SYNC"`);
  expect(text).toContain(`layout version ${S.SYNC_VERSION_MAJOR}.${S.SYNC_VERSION_MINOR}`);
  expect(text).toContain(`| fileBytes | ${S.SYNC_FILE_BYTES} |`);
});

test('what a mailbox has too is at the same place, and permits are beside nothing of the doorbell', () => {
  for (const [name, offset] of Object.entries(S.SYNC_HEADER))
    if (name in L.HEADER) expect(offset, name).toBe(L.HEADER[name as keyof typeof L.HEADER]);
  expect(S.SYNC_PARTICIPANT.permits).toBeGreaterThan(L.PARTICIPANT.wants + 4);
  // Read and swapped as one word of 64 bits.
  expect(S.SYNC_HEADER.value % 8).toBe(0);
});
