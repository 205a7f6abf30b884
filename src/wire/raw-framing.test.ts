// Plain bytes: every frame gives back what was written, however the stream is cut, and no more than the limit is kept.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type RawFrame, type RawFraming, rawSize, RawSplitter, writeRaw } from './raw-framing.ts';

const framing = (frame: RawFrame, over: Partial<RawFraming> = {}): RawFraming => ({
  frame,
  maxMessageBytes: 1000,
  slotBytes: 8,
  ...over,
});

function write(bodies: readonly Uint8Array[], { frame, ...rest }: RawFraming): Buffer {
  const parts = bodies.map((body) => {
    const bytes = Buffer.alloc(rawSize(body, { frame, ...rest }));
    expect(writeRaw(body, frame, bytes, 0)).toBe(bytes.length);
    return bytes;
  });
  return Buffer.concat(parts);
}

function cut(stream: Buffer, cuts: readonly number[], settings: RawFraming): string[] {
  const splitter = new RawSplitter(settings);
  const out: Buffer[] = [];
  let from = 0;
  for (let i = 0; from < stream.length; i += 1) {
    const to = from + (cuts[i % cuts.length] as number);
    splitter.push(stream.subarray(from, to), out);
    from = to;
  }
  const last = splitter.end();
  return [...out, ...(last === undefined ? [] : [last])].map((body) => body.toString('hex'));
}

const hex = (body: Uint8Array): string => Buffer.from(body).toString('hex');
const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });

describe('raw frames', () => {
  test.each(['lines', 'length', 'fixed'] as const)(
    '%s: bodies come back however the stream is cut',
    (frame) => {
      const settings = framing(frame);
      const body =
        frame === 'fixed'
          ? fc.uint8Array({ minLength: 8, maxLength: 8 })
          : fc
              .uint8Array({ maxLength: 60 })
              .map((bytes) => (frame === 'lines' ? bytes.filter((b) => b !== 10) : bytes));
      fc.assert(
        fc.property(fc.array(body, { maxLength: 12 }), cuts, (bodies, at) => {
          expect(cut(write(bodies, settings), at, settings)).toEqual(bodies.map(hex));
        }),
      );
    },
  );

  test('chunk and eof lose no byte', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 900 }), cuts, (bytes, at) => {
        expect(cut(Buffer.from(bytes), at, framing('chunk')).join('')).toBe(hex(bytes));
        expect(cut(Buffer.from(bytes), at, framing('eof'))).toEqual([hex(bytes)]);
      }),
    );
  });

  test('a last line without line break counts, a carriage return is kept, empty lines are messages', () => {
    expect(cut(Buffer.from('a\r\n\nb'), [2], framing('lines'))).toEqual([
      hex(Buffer.from('a\r')),
      '',
      hex(Buffer.from('b')),
    ]);
  });

  test('a body that its frame cannot tell apart is refused', () => {
    expect(() => rawSize(Buffer.from('a\nb'), framing('lines'))).toThrow(/line break/);
    expect(() => rawSize(Buffer.alloc(7), framing('fixed'))).toThrow(/7 bytes.*must have 8/);
    expect(() => rawSize(Buffer.alloc(0), framing('chunk'))).toThrow(/empty message/);
    expect(rawSize(Buffer.alloc(0), framing('length'))).toBe(4);
  });

  test('a stream that ends within a message is an error, not a message', () => {
    const half = new RawSplitter(framing('length'));
    half.push(Buffer.from([0, 0, 0, 5, 1, 2]), []);
    expect(() => half.end()).toThrow(/ended within a message/);
    const slot = new RawSplitter(framing('fixed'));
    slot.push(Buffer.alloc(3), []);
    expect(() => slot.end()).toThrow(/ended within a message/);
  });

  test('what is longer than the limit is refused before it is kept', () => {
    const out: Buffer[] = [];
    const lines = new RawSplitter(framing('lines', { maxMessageBytes: 10 }));
    expect(() => {
      lines.push(Buffer.from('short\n0123456789'), out);
      lines.push(Buffer.from('X'), out);
    }).toThrow(/the limit is 10/);
    expect(out.map(String)).toEqual(['short']);
    expect(lines.keptBytes).toBe(10);
    const length = new RawSplitter(framing('length'));
    expect(() => length.push(Buffer.from([0xff, 0xff, 0xff, 0xff]), out)).toThrow(/the limit is 1000/);
    expect(() => new RawSplitter(framing('eof')).push(Buffer.alloc(1001), out)).toThrow(/the limit is 1000/);
  });

  test('bytes that trickle in one by one cost no more than themselves', () => {
    const splitter = new RawSplitter(framing('lines', { maxMessageBytes: 100_000 }));
    const started = performance.now();
    for (let i = 0; i < 100_000; i += 1) splitter.push(Buffer.from([65]), []);
    expect(splitter.keptBytes).toBe(100_000);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});
