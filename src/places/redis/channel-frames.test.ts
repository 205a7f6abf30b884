// Frames of a channel: messages come back whole and in order, frames keep their bounds, and what is no frame is told before anything of it is used.

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { frameEnd, frameOf, readFrame } from './channel-frames.ts';

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Messages one behind the other; none begins with 0, as no named envelope does. */
function together(texts: readonly string[]): { spans: Span[]; bytes: Buffer } {
  let to = 0;
  const spans = texts.map((text) => ({ from: to, to: (to += text.length) }));
  return { spans, bytes: Buffer.from(texts.join(''), 'latin1') };
}

function read(frame: Buffer): string[] {
  const texts: string[] = [];
  readFrame(frame, (from, to) => texts.push(frame.toString('latin1', from, to)));
  return texts;
}

const message = fc.string({ minLength: 1, maxLength: 300, unit: fc.constantFrom('a', 'b', '\u0001') });

test('what goes in comes out, in order; a single message is published as it is', () => {
  expect(frameOf([{ from: 2, to: 5 }], Buffer.from('xxabcyy')).toString()).toBe('abc');
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 600 }), (texts) => {
      const { spans, bytes } = together(texts);
      const out: string[] = [];
      for (let from = 0; from < spans.length; ) {
        const end = frameEnd(spans, from);
        out.push(...read(frameOf(spans.slice(from, end), bytes)));
        from = end;
      }
      expect(out).toEqual(texts);
    }),
  );
});

test('a frame has 256 messages and 64 KiB at most; a longer message goes alone', () => {
  const long = 'x'.repeat(65_537);
  const cut = (texts: readonly string[]): number[] => {
    const { spans } = together(texts);
    const ends: number[] = [];
    for (let end = 0; end < spans.length; ) ends.push((end = frameEnd(spans, end)));
    return ends;
  };
  expect(cut(Array.from({ length: 600 }, () => 'x'))).toEqual([256, 512, 600]);
  expect(cut(['a', long, 'b', 'c', long])).toEqual([1, 2, 4, 5]);
  expect(cut(['a'.repeat(32_768), 'b'.repeat(32_768), 'c'])).toEqual([2, 3]);
});

test('what strangers publish is refused before anything of it is used', () => {
  const { spans, bytes } = together(['one', 'two', 'three']);
  const frame = frameOf(spans, bytes);
  const refused = (bad: Buffer): void => {
    const seen: string[] = [];
    expect(() => {
      readFrame(bad, (from, to) => seen.push(`${from}-${to}`));
    }).toThrow(expect.objectContaining({ code: 'NARU_INVALID_MESSAGE' }));
    expect(seen).toEqual([]);
  };
  for (let length = 1; length < frame.length; length += 1) refused(frame.subarray(0, length));
  refused(Buffer.concat([frame, Buffer.alloc(1)]));
  for (const [at, value] of [
    [1, 2],
    [2, 0],
    [2, 4],
    [3, 255],
    [4, 4],
    [7, 255],
  ] as const) {
    const bad = Buffer.from(frame);
    bad[at] = value;
    refused(bad);
  }
});
