// Segments: messages of several writers come back whole however they were mixed; what lost its beginning or its end is told.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  SEGMENT_BYTES,
  SEGMENT_HEAD,
  segmented,
  segmentedSize,
  SegmentReader,
  writeHead,
} from './segments.ts';

/** The segments of a message, each as it would be written. */
function pieces(message: Buffer, mark: number): Buffer[] {
  const whole = segmented(message, mark);
  const list: Buffer[] = [];
  for (let at = 0; at < whole.length; at += SEGMENT_BYTES) list.push(whole.subarray(at, at + SEGMENT_BYTES));
  return list;
}

function read(
  stream: Buffer,
  reader: SegmentReader = new SegmentReader(1_000_000),
  most = Infinity,
): string[] {
  const out: Buffer[] = [];
  reader.cut(stream, (source, from, to) => out.push(source.subarray(from, to)), most);
  return out.map((body) => body.toString('latin1'));
}

const text = (length: number, letter: string): string => letter.repeat(length);

describe('segments', () => {
  test('a message that fits in one has a head; longer ones have one for each segment', () => {
    expect(segmentedSize(1)).toBe(1 + SEGMENT_HEAD);
    expect(segmentedSize(SEGMENT_BYTES - SEGMENT_HEAD)).toBe(SEGMENT_BYTES);
    expect(segmentedSize(SEGMENT_BYTES - SEGMENT_HEAD + 1)).toBe(SEGMENT_BYTES + 1 + SEGMENT_HEAD);
    const one = Buffer.alloc(segmentedSize(5), 'hello', 'latin1');
    writeHead(one, 0, 5, 7);
    one.write('hello', SEGMENT_HEAD);
    expect(one.equals(segmented(Buffer.from('hello'), 7))).toBe(true);
  });

  test('messages of several writers come back, however their segments are mixed', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(
        fc.array(lengths, { minLength: 1, maxLength: 4 }),
        fc.infiniteStream(fc.nat()),
        (writers, choice) => {
          const queues = writers.map((own, who) =>
            own.flatMap((length) => pieces(Buffer.from(text(length, String(who))), who)),
          );
          const mixed: Buffer[] = [];
          while (queues.some((queue) => queue.length > 0)) {
            const open = queues.filter((queue) => queue.length > 0);
            mixed.push((open[(choice.next().value as number) % open.length] as Buffer[]).shift() as Buffer);
          }
          const got = read(Buffer.concat(mixed));
          for (const [who, own] of writers.entries()) {
            expect(got.filter((body) => body.startsWith(String(who))).map((body) => body.length)).toEqual(
              own,
            );
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test('at most so many are taken; the rest is for the next call', () => {
    const stream = Buffer.concat(['a', 'b', 'c'].map((letter) => segmented(Buffer.from(letter), 1)));
    const reader = new SegmentReader(10);
    expect(read(stream, reader, 2)).toEqual(['a', 'b']);
    expect(read(stream.subarray(reader.cutBytes), reader)).toEqual(['c']);
  });

  test('a message without its end, or without its beginning, is told and not given', () => {
    const long = pieces(Buffer.from(text(10_000, 'l')), 1);
    const short = segmented(Buffer.from('short'), 1);
    const reader = new SegmentReader(1_000_000);
    expect(read(Buffer.concat([...long.slice(0, 2), short]), reader)).toEqual(['short']);
    expect(reader.takeLoss()).toEqual({ torn: 1, tooLarge: 0, strayBytes: 0 });
    expect(read(Buffer.concat([...long.slice(1), short]), reader)).toEqual(['short']);
    expect(reader.takeLoss()).toEqual({ torn: 1, tooLarge: 0, strayBytes: 0 });
    expect(read(Buffer.concat(long.slice(0, 1)), reader)).toEqual([]);
    expect(reader.takeLoss()).toBeUndefined();
    reader.end();
    expect(reader.takeLoss()).toEqual({ torn: 1, tooLarge: 0, strayBytes: 0 });
    expect(reader.unfinished).toBe(0);
  });

  test('a message over the limit is counted once and costs nothing more', () => {
    const reader = new SegmentReader(5_000);
    const stream = Buffer.concat([segmented(Buffer.alloc(50_000), 1), segmented(Buffer.from('fine'), 1)]);
    expect(read(stream, reader)).toEqual(['fine']);
    expect(reader.takeLoss()).toEqual({ torn: 0, tooLarge: 1, strayBytes: 0 });
  });

  test('writers that die in the middle of a message, one after the other, cost no more than a few', () => {
    const reader = new SegmentReader(1_000_000);
    for (let mark = 0; mark < 1_000; mark += 1) {
      read((pieces(Buffer.alloc(5_000), mark) as [Buffer])[0], reader);
    }
    expect(reader.unfinished).toBe(64);
    expect(reader.takeLoss()?.torn).toBe(1_000 - 64);
  });

  test('random bytes and changed ones give messages or losses, nothing else; what follows is found again', () => {
    const fine = segmented(Buffer.from('fine'), 9);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        const stream = Buffer.concat([noise, Buffer.alloc(2 * SEGMENT_BYTES), fine]);
        expect(read(stream).at(-1)).toBe('fine');
      }),
    );
  });
});
