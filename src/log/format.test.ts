// The document of the format and the code say the same; and the checksum is CRC-32C.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { crc32c } from './crc32c.ts';
import * as F from './format.ts';
import { newMemory } from './memory.ts';
import { eachRun, Runs } from './runs.ts';

const text = readFileSync(new URL('../../docs/internals/log.md', import.meta.url), 'utf8');

/** Rows `| offset | bytes | name |` of a section. */
function table(section: string): { offset: number; bytes: number; name: string }[] {
  const part = text.split(`### ${section}\n`)[1]?.split('\n## ')[0]?.split('\n### ')[0] ?? '';
  return [...part.matchAll(/^\| (\d+) \| (\d+) \| (\w+) \|/gm)].map((row) => ({
    offset: Number(row[1]),
    bytes: Number(row[2]),
    name: row[3] ?? '',
  }));
}

test.each([
  ['Header', F.FILE_HEADER, F.FILE_HEADER_BYTES],
  ['Record', F.RECORD, F.RECORD_HEADER_BYTES],
  ['Mark', F.MARK_BODY, F.MARK_BODY_BYTES],
  ['Segment entry', F.SEGMENT_ENTRY, F.SEGMENT_ENTRY_BYTES],
  ['Index row', F.INDEX_ROW, F.INDEX_ROW_BYTES],
])('%s: the document has every field at its place, without gaps', (section, fields, size) => {
  const rows = table(section);
  expect(Object.fromEntries(rows.map(({ name, offset }) => [name, offset]))).toEqual(fields);
  let end = 0;
  for (const { offset, bytes, name } of rows) {
    expect(offset, name).toBe(end);
    end = offset + bytes;
  }
  expect(end).toBe(size);
});

test('the document has every kind, mark and number', () => {
  for (const [name, value] of Object.entries(F.KIND)) expect(text).toContain(`| ${value} | ${name} |`);
  for (const value of [F.MAGIC, ...Object.values(F.FILE_KIND)])
    expect(text).toContain(`0x${value.toString(16)}`);
  expect(text).toContain(`format version ${F.VERSION_MAJOR}.${F.VERSION_MINOR}`);
  expect([F.FIRST_RECORD_AT, F.SECTOR_BYTES]).toEqual([512, 512]);
});

describe('CRC-32C', () => {
  /** Bit by bit, as the standard has it. */
  function slowly(bytes: Uint8Array): number {
    let crc = ~0;
    for (const byte of bytes) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    }
    return ~crc;
  }

  test('has the values of RFC 3720, B.4', () => {
    const of = (bytes: Uint8Array): string => {
      const memory = newMemory(bytes.length);
      memory.bytes.set(bytes);
      return (crc32c(memory, 0, bytes.length) >>> 0).toString(16);
    };
    expect(of(new Uint8Array(32))).toBe('8a9136aa');
    expect(of(new Uint8Array(32).fill(255))).toBe('62a8ab43');
    expect(of(Uint8Array.from({ length: 32 }, (_, at) => at))).toBe('46dd794e');
    expect(of(new TextEncoder().encode('123456789'))).toBe('e3069283');
  });

  test('is the same at every length, and in two steps', () => {
    const memory = newMemory(300);
    memory.bytes.forEach((_, at) => {
      memory.bytes[at] = (at * 131) ^ (at >> 3);
    });
    for (let length = 0; length < 280; length += 1) {
      const whole = slowly(memory.bytes.subarray(8, 8 + length));
      expect(crc32c(memory, 8, 8 + length)).toBe(whole);
      const cut = length & ~3;
      expect(crc32c(memory, 8 + cut, 8 + length, crc32c(memory, 8, 8 + cut))).toBe(whole);
    }
  });
});

describe('runs', () => {
  test('come out as they went in, in pieces of any size', () => {
    const runs = new Runs();
    const sequences = [5, 6, 7, 3, 2 ** 40, 2 ** 40 + 1, 9, 10, 2 ** 52 - 2, 1];
    for (const sequence of sequences) runs.add(sequence);
    const found: number[] = [];
    while (!runs.isEmpty) {
      const bytes = runs.take(32);
      expect(bytes.length).toBeGreaterThan(0);
      expect(
        eachRun(bytes, 2 ** 52, (first, length) =>
          found.push(...Array.from({ length }, (_, at) => first + at)),
        ),
      ).toBe(true);
    }
    expect(found).toEqual(sequences);
    expect(runs.take(100)).toEqual(new Uint8Array());
  });

  test('hostile ones are refused', () => {
    for (const bytes of [
      [1],
      [1, 1],
      [2],
      [2, 0],
      [2, 233, 7],
      [255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 1],
    ]) {
      expect(eachRun(Uint8Array.from(bytes), 1000, () => undefined)).toBe(false);
    }
  });
});

test.each([
  '0000001.0.seg',
  '00000001.0.sog',
  '00000001.00.seg',
  '0000000G.0.seg',
  '../00000001.0.seg',
  '00000001.0.seg ',
])('"%s" is not the name of a segment', (name) => {
  expect(F.parseFileName(name, 'seg')).toBeUndefined();
});
