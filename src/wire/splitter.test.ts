// Frames: whatever the network makes of a stream, the same frames come out; whatever a stranger sends, memory stays bounded.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isNaruError } from '../errors/index.ts';
import { FrameType, FrameWriter, parseJson, readAddressed, readCoded, readList } from './frames.ts';
import { chunkOf, encodePreamble, FrameSplitter } from './splitter.ts';

const LIMIT = 70_000;

interface Seen {
  readonly type: number;
  readonly payload: string;
}

/** A splitter that notes what it hands out. */
function collector(limit = LIMIT): { splitter: FrameSplitter; seen: Seen[]; versions: number[][] } {
  const seen: Seen[] = [];
  const versions: number[][] = [];
  const splitter = new FrameSplitter(limit, {
    preamble: (major, minor) => versions.push([major, minor]),
    frame: (type, chunk, start, end) =>
      seen.push({ type, payload: chunk.bytes.subarray(start, end).toString('hex') }),
  });
  return { splitter, seen, versions };
}

/** The bytes of a stream: preamble and frames. */
function streamOf(frames: readonly { type: number; payload: Uint8Array }[]): Buffer {
  const parts: Buffer[] = [encodePreamble(1, 0)];
  for (const { type, payload } of frames) {
    const head = Buffer.alloc(5);
    head.writeUInt32LE(payload.length + 1, 0);
    head[4] = type;
    parts.push(head, Buffer.from(payload));
  }
  return Buffer.concat(parts);
}

const frame = fc.record({
  type: fc.integer({ min: 0, max: 255 }),
  payload: fc.uint8Array({ maxLength: 300 }),
});

describe('the splitter', () => {
  test('gives the same frames wherever the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1 }),
        (frames, cuts) => {
          const stream = streamOf(frames);
          const { splitter, seen, versions } = collector();
          let from = 0;
          for (let i = 0; from < stream.length; i += 1) {
            const to = from + (cuts[i % cuts.length] as number);
            splitter.push(stream.subarray(from, to));
            from = to;
          }
          expect(versions).toEqual([[1, 0]]);
          expect(seen).toEqual(
            frames.map(({ type, payload }) => ({ type, payload: Buffer.from(payload).toString('hex') })),
          );
          expect(splitter.keptBytes).toBe(0);
        },
      ),
    );
  });

  test('gives the same frames when the stream is cut in two at every byte', () => {
    const frames = [0, 1, 7, 300].map((length, type) => ({
      type,
      payload: new Uint8Array(length).fill(type),
    }));
    const stream = streamOf(frames);
    for (let cut = 0; cut <= stream.length; cut += 1) {
      const { splitter, seen } = collector();
      splitter.push(stream.subarray(0, cut));
      splitter.push(stream.subarray(cut));
      expect(seen.map(({ type }) => type)).toEqual([0, 1, 2, 3]);
    }
  });

  test('refuses a stream that does not begin with the preamble, at its first wrong byte', () => {
    for (const text of ['G', 'NARX', 'AMQP\0\0\x09\x01', '\x16\x03\x01']) {
      expect(() => collector().splitter.push(Buffer.from(text, 'latin1'))).toThrow(
        /does not speak the protocol/,
      );
    }
  });

  test('refuses lengths of 0 and over the limit before it keeps anything', () => {
    for (const length of [0, LIMIT + 1, 0xffffffff]) {
      const { splitter } = collector();
      splitter.push(encodePreamble(1, 0));
      const head = Buffer.alloc(5);
      head.writeUInt32LE(length, 0);
      expect(() => splitter.push(head)).toThrow(/allowed are 1 to 70000/);
      expect(splitter.keptBytes).toBe(0);
    }
  });

  test('keeps memory for what came, not for what was announced', () => {
    const { splitter } = collector(16 * 1024 * 1024);
    splitter.push(encodePreamble(1, 0));
    const head = Buffer.alloc(100);
    head.writeUInt32LE(16 * 1024 * 1024, 0);
    splitter.push(head);
    expect(splitter.keptBytes).toBeLessThanOrEqual(4096);
    for (let i = 0; i < 100; i += 1) splitter.push(Buffer.alloc(1000));
    expect(splitter.keptBytes).toBeLessThanOrEqual(2 * 101_000);
  });

  test('stops in the middle of a chunk when it is told to', () => {
    const seen: number[] = [];
    const splitter = new FrameSplitter(LIMIT, {
      preamble: () => undefined,
      frame: (type) => {
        seen.push(type);
        splitter.stop();
      },
    });
    splitter.push(streamOf([1, 2, 3].map((type) => ({ type, payload: new Uint8Array(3) }))));
    splitter.push(Buffer.alloc(10));
    expect(seen).toEqual([1]);
  });

  test('survives random bytes: frames or NARU_CORRUPT, nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(40), (bytes, cut) => {
        const { splitter } = collector(200);
        splitter.push(encodePreamble(1, 0));
        expectFramesOrCorrupt(() => {
          splitter.push(Buffer.from(bytes.subarray(0, cut)));
          splitter.push(Buffer.from(bytes.subarray(cut)));
        });
        expect(splitter.keptBytes).toBeLessThanOrEqual(4096);
      }),
    );
  });
});

describe('the writer', () => {
  test('puts many frames into one buffer, and a large one into one of its own', () => {
    const emitted: Buffer[] = [];
    let woken = 0;
    const writer = new FrameWriter({ emit: (bytes) => emitted.push(bytes), wake: () => (woken += 1) });
    const message = { body: Buffer.alloc(100, 7), sequence: 1, time: 2, fields: undefined };
    for (let i = 0; i < 10; i += 1) writer.send(message, 116, i % 2);
    writer.flush();
    expect([emitted.length, woken]).toEqual([1, 1]);
    writer.send({ ...message, body: Buffer.alloc(200_000) }, 200_016, 0);
    writer.flush();
    writer.bare(FrameType.ping);
    writer.flush();
    writer.flush();
    expect(emitted.length).toBe(3);
    const { splitter, seen } = collector(300_000);
    splitter.push(encodePreamble(1, 0));
    for (const bytes of emitted) splitter.push(bytes);
    expect(seen.map(({ type }) => type)).toEqual([
      ...Array.from({ length: 11 }, () => FrameType.send),
      FrameType.ping,
    ]);
  });

  test('writes what the readers read', () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 });
    fc.assert(
      fc.property(
        text,
        fc.nat(0xffff),
        fc.array(fc.double({ noNaN: true }), { maxLength: 20 }),
        (words, id, numbers) => {
          const written: Buffer[] = [];
          const writer = new FrameWriter({ emit: (bytes) => written.push(bytes), wake: () => undefined });
          const body = Buffer.from(words);
          const message = { body, sequence: id, time: 1, fields: undefined };
          writer.coded(FrameType.request, id, 3, words);
          writer.list(FrameType.ack, numbers);
          writer.addressed(FrameType.reply, id, 9, words, message, 16 + body.length);
          writer.flush();
          const read: unknown[] = [];
          const splitter = new FrameSplitter(LIMIT, {
            preamble: () => undefined,
            frame: (type, chunk, start, end) => {
              if (type === FrameType.ack) read.push(readList(type, chunk, start, end));
              else if (type === FrameType.request) read.push(readCoded(type, chunk, start, end));
              else {
                const { offset, ...head } = readAddressed(type, chunk, start, end);
                read.push({ ...head, size: end - offset });
              }
            },
          });
          splitter.push(encodePreamble(1, 0));
          for (const bytes of written) splitter.push(bytes);
          expect(read).toEqual([
            { id, code: 3, text: words },
            numbers,
            { id, extra: 9, text: words, size: 16 + body.length },
          ]);
        },
      ),
    );
  });

  test('readers meet random payloads with an error of Naru or a value', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const chunk = chunkOf(Buffer.from(bytes));
        for (const read of [readCoded, readList, readAddressed]) {
          expectFramesOrCorrupt(() => read(1, chunk, 0, bytes.length));
        }
        expectFramesOrCorrupt(() => parseJson(Buffer.from(bytes).toString('latin1')));
      }),
    );
  });
});

function expectFramesOrCorrupt(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    if (!isNaruError(error, 'NARU_CORRUPT') && !isNaruError(error, 'NARU_INVALID_MESSAGE')) throw error;
  }
}
