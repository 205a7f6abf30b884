// The layout document and the code say the same; and no two fields overlap.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as L from './layout.ts';
import { headerWord, laneWord, participantWord } from './memory.ts';

const text = readFileSync(new URL('../../docs/internals/shm-layout.md', import.meta.url), 'utf8');

/** Rows `| offset | bytes | name |` of a section. */
function table(section: string): { offset: number; bytes: number; name: string }[] {
  const part = text.split(`### ${section}\n`)[1]?.split('\n## ')[0]?.split('\n### ')[0] ?? '';
  return [...part.matchAll(/^\| (\d+) \| (\d+|length) \| (\w+) \|/gm)].map((row) => ({
    offset: Number(row[1]),
    bytes: row[2] === 'length' ? 1 : Number(row[2]),
    name: row[3] ?? '',
  }));
}

test.each([
  ['Header', L.HEADER, L.PAGE_BYTES],
  ['Participant', L.PARTICIPANT, L.PARTICIPANT_STRIDE],
  ['Lane', L.LANE, L.LANE_STRIDE],
  ['Record', L.RECORD, 16],
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

test('the document has every flag, mark and number', () => {
  for (const [name, value] of Object.entries(L.RECORD_FLAG))
    expect(text).toContain(`| 0x${value.toString(16)} | ${name} |`);
  for (const value of [L.MAGIC, L.KIND, L.READY]) expect(text).toContain(`0x${value.toString(16)}`);
  expect(text).toContain(`layout version ${L.VERSION_MAJOR}.${L.VERSION_MINOR}`);
  expect(text).toContain(`64 × 256`);
  expect([L.PARTICIPANTS, L.PARTICIPANT_STRIDE, L.LANE_STRIDE, L.CURSOR_STRIDE]).toEqual([64, 256, 512, 128]);
  expect(L.LANE.identity + L.IDENTITY_BYTES_MAX).toBeLessThanOrEqual(L.LANE.head + L.LINE_BYTES);
  expect(L.LANE.takenIdentity + L.IDENTITY_BYTES_MAX).toBeLessThanOrEqual(L.LANE_STRIDE);
});

test('what different sides write never shares two adjacent cache lines', () => {
  const line = (offset: number): number => Math.floor(offset / L.LINE_BYTES);
  expect(line(L.LANE.tail)).not.toBe(line(L.LANE.head));
  expect(line(L.LANE.owner)).not.toBe(line(L.LANE.tail));
  expect(line(L.PARTICIPANT.state)).not.toBe(line(L.PARTICIPANT.bell));
  expect(line(L.HEADER.consumerMask)).not.toBe(line(L.HEADER.membership));
  expect(line(L.LANE.hold)).not.toBe(line(L.LANE.tail));
});

test('table entries lie one after the other', () => {
  expect(headerWord(L.HEADER.ready)).toBe(64);
  expect(participantWord(1, 0) - participantWord(0, 0)).toBe(64);
  expect(participantWord(63, 0) * 4 + 256).toBe(laneWord(0, 0) * 4);
  expect(laneWord(1, 0) - laneWord(0, 0)).toBe(128);
});
