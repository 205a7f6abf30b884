// Cutting bytes into lines: whatever the bytes and wherever the chunks break, joining gives back what went in.

import { array, assert, constantFrom, integer, oneof, property } from 'fast-check';
import { expect, test } from 'vitest';
import { LineSplitter } from './lines.ts';

function split(chunks: readonly Buffer[]): { lines: Uint8Array[]; rest: Uint8Array | undefined } {
  const splitter = new LineSplitter();
  const lines = chunks.flatMap((chunk) => splitter.push(chunk));
  return { lines, rest: splitter.end() };
}

test('lines and rest joined again are the input, for any bytes and any chunks', () => {
  const byte = oneof(constantFrom(10, 13, 0, 255), integer({ min: 0, max: 255 }));
  assert(
    property(array(array(byte, { maxLength: 20 }), { maxLength: 20 }), (arrays) => {
      const chunks = arrays.map((bytes) => Buffer.from(bytes));
      const { lines, rest } = split(chunks);
      const joined = Buffer.concat([
        ...lines.flatMap((line) => [line, Buffer.from('\n')]),
        rest ?? Buffer.alloc(0),
      ]);
      expect(joined.equals(Buffer.concat(chunks))).toBe(true);
      expect(lines.some((line) => line.includes(10))).toBe(false);
    }),
  );
});

test('an input that ends in a line feed has no rest', () => {
  expect(split([Buffer.from('a\n\n')])).toEqual({
    lines: [Buffer.from('a'), Buffer.alloc(0)],
    rest: undefined,
  });
});

test('the length of an unfinished line is known before it ends', () => {
  const splitter = new LineSplitter();
  splitter.push(Buffer.from('one\ntw'));
  splitter.push(Buffer.from('o'));
  expect(splitter.partialBytes).toBe(3);
});
