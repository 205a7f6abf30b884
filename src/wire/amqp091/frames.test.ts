import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FrameParser, type FrameHandler, type FrameProblem } from './frames.ts';

interface Seen {
  readonly frames: { type: number; channel: number; payload: string }[];
  readonly problems: FrameProblem[];
}

function watch(): Seen & { readonly handler: FrameHandler } {
  const frames: Seen['frames'] = [];
  const problems: FrameProblem[] = [];
  const handler: FrameHandler = {
    frame: (type, channel, buffer, start, end) =>
      frames.push({ type, channel, payload: buffer.toString('hex', start, end) }),
    broken: (problem) => problems.push(problem),
  };
  return { frames, problems, handler };
}

function frame(type: number, channel: number, payload: Uint8Array, mark = 0xce): Buffer {
  const head = Buffer.alloc(7);
  head[0] = type;
  head.writeUInt16BE(channel, 1);
  head.writeUInt32BE(payload.length, 3);
  return Buffer.concat([head, payload, Buffer.from([mark])]);
}

const anyFrame = fc.tuple(fc.nat(255), fc.nat(65535), fc.uint8Array({ maxLength: 200 }));

describe('frames', () => {
  test('come out the same however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 40 })),
        (list, cuts) => {
          const bytes = Buffer.concat(list.map(([type, channel, payload]) => frame(type, channel, payload)));
          const { frames, problems, handler } = watch();
          const parser = new FrameParser(handler);
          let at = 0;
          for (const cut of [...cuts, bytes.length]) {
            parser.push(bytes.subarray(at, at + cut));
            at = Math.min(bytes.length, at + cut);
          }
          expect(problems).toEqual([]);
          expect(frames).toEqual(
            list.map(([type, channel, payload]) => ({
              type,
              channel,
              payload: Buffer.from(payload).toString('hex'),
            })),
          );
          expect(parser.heldBytes).toBe(0);
        },
      ),
    );
  });

  test('one byte at a time is enough', () => {
    const { frames, handler } = watch();
    const parser = new FrameParser(handler);
    for (const byte of frame(1, 7, Buffer.from('abc'))) parser.push(Buffer.from([byte]));
    expect(frames).toEqual([{ type: 1, channel: 7, payload: '616263' }]);
  });

  test('a frame larger than agreed is refused by its size, before its payload comes', () => {
    const { frames, problems, handler } = watch();
    const parser = new FrameParser(handler);
    parser.push(Buffer.from([3, 0, 1, 0xff, 0xff, 0xff, 0xff]));
    expect(problems).toMatchObject([{ kind: 'too-large', size: 0xffffffff, max: 8184 }]);
    parser.push(frame(1, 0, Buffer.alloc(4)));
    expect(frames).toEqual([]);
  });

  test('a wrong end mark ends the stream, whole or in pieces', () => {
    const bytes = frame(1, 0, Buffer.alloc(4), 0);
    for (const cut of [bytes.length, 3, 11]) {
      const { problems, handler } = watch();
      const parser = new FrameParser(handler);
      parser.push(bytes.subarray(0, cut));
      parser.push(bytes.subarray(cut));
      expect(problems).toMatchObject([{ kind: 'end-mark', found: 0 }]);
    }
  });

  test('a declared size takes no memory: only what has arrived is kept', () => {
    const { handler } = watch();
    const parser = new FrameParser(handler);
    parser.payloadMax = 128 * 1024 * 1024;
    parser.push(Buffer.from([3, 0, 1, 0x07, 0xff, 0xff, 0xff, 1, 2, 3]));
    const before = process.memoryUsage().arrayBuffers;
    parser.push(Buffer.alloc(100));
    expect(parser.heldBytes).toBe(110);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
  });

  test('random bytes never throw', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 10 }), (chunks) => {
        const parser = new FrameParser(watch().handler);
        for (const chunk of chunks) parser.push(Buffer.from(chunk));
      }),
    );
  });
});
