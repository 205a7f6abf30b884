// The envelope: what goes in comes out, and no bytes of a stranger do anything but give NARU_INVALID_MESSAGE.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isNaruError } from '../errors/index.ts';
import {
  decodeEnvelope,
  decodeFields,
  encodedSize,
  encodeEnvelope,
  FIELD_LIMITS,
  PREFIX_BYTES,
} from './envelope.ts';
import type { Encodable } from './envelope.ts';

const text = fc.string({ unit: 'binary', maxLength: 40 });
const fields = fc.record(
  {
    id: text,
    contentType: text,
    correlationId: text,
    replyTo: text,
    key: text,
    type: text,
    priority: fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 }),
    ttlMs: fc.double({ min: 0, max: 1e15, noNaN: true }),
    delayMs: fc.nat(),
    headers: fc.dictionary(text, text, { maxKeys: 8 }),
  },
  { requiredKeys: [] },
);
const message = fc.record({
  body: fc.uint8Array({ maxLength: 200 }),
  sequence: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  time: fc.double({ noNaN: true }),
  fields: fc.option(fields, { nil: undefined }),
});

function encode(
  value: Encodable,
  before = 0,
  after = 0,
): { bytes: Uint8Array; view: DataView; size: number } {
  const size = encodedSize(value);
  const bytes = new Uint8Array(before + size + after).fill(0xa5);
  const view = new DataView(bytes.buffer);
  expect(encodeEnvelope(value, bytes, view, before)).toBe(before + size);
  return { bytes, view, size };
}

describe('envelope', () => {
  test('every message comes back as it was, at any offset', () => {
    fc.assert(
      fc.property(message, fc.nat(9), (value, before) => {
        const { bytes, view, size } = encode(value, before, 3);
        const back = decodeEnvelope(bytes, view, before, size, 'me');
        expect(Buffer.from(back.body)).toEqual(Buffer.from(value.body));
        expect(back.sequence).toBe(value.sequence);
        expect(back.time).toBe(value.time);
        expect(back.sender).toBe('me');
        expect(JSON.stringify(back.fields)).toBe(JSON.stringify(sorted(value.fields)));
        expect([...bytes.subarray(before + size)]).toEqual([0xa5, 0xa5, 0xa5]);
      }),
    );
  });

  test('a message without fields takes 16 bytes more than its body', () => {
    expect(encodedSize({ body: new Uint8Array(64), fields: undefined })).toBe(PREFIX_BYTES + 64);
  });

  test('a header named __proto__ is a header like any other', () => {
    const headers = JSON.parse('{"__proto__":"x","constructor":"y"}') as Record<string, string>;
    const { bytes, view, size } = encode({
      body: new Uint8Array(0),
      sequence: 1,
      time: 0,
      fields: { headers },
    });
    const back = decodeEnvelope(bytes, view, 0, size, '').fields?.headers ?? {};
    expect(Object.keys(back)).toEqual(['__proto__', 'constructor']);
    expect(Object.getPrototypeOf(back)).toBeNull();
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  test('a lone surrogate becomes U+FFFD and keeps the sizes right', () => {
    const value = {
      body: new Uint8Array(1),
      sequence: 1,
      time: 0,
      fields: { id: 'a\ud800b', key: '\udc00' },
    };
    const { bytes, view, size } = encode(value);
    expect(decodeEnvelope(bytes, view, 0, size, '').fields).toEqual({ id: 'a\ufffdb', key: '\ufffd' });
  });

  test('changed, cut and random bytes give a message or NARU_INVALID_MESSAGE, nothing else', () => {
    const mutations = fc.array(fc.tuple(fc.nat(400), fc.integer({ min: 0, max: 255 })), { maxLength: 6 });
    fc.assert(
      fc.property(message, mutations, fc.nat(400), (value, changes, cut) => {
        const { bytes, view, size } = encode(value);
        for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
        expectMessageOrRefusal(() => decodeEnvelope(bytes, view, 0, Math.min(size, cut), ''));
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        expectMessageOrRefusal(() => decodeEnvelope(bytes, new DataView(bytes.buffer), 0, bytes.length, ''));
        expectMessageOrRefusal(() => decodeFields(bytes, 0, bytes.length));
      }),
    );
  });

  test('lengths beyond the end, headers beyond the limit and a tag twice are refused', () => {
    const field = (tag: number, length: number, ...rest: number[]): number[] => [
      tag,
      length,
      0,
      0,
      0,
      ...rest,
    ];
    for (const bytes of [
      field(1, 9, 65),
      field(7, 3, 0, 0, 0),
      field(10, 4, 255, 255, 255, 255),
      [...field(1, 1, 65), ...field(1, 1, 66)],
      field(8, 8, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f),
      field(1, 2, 0xc3, 0x28),
    ]) {
      expect(() => decodeFields(Uint8Array.from(bytes), 0, bytes.length)).toThrow(/cannot be read|not UTF-8/);
    }
    expect(decodeFields(Uint8Array.from(field(99, 1, 0)), 0, 6)).toEqual({});
  });

  test('a sender cannot write what a receiver would refuse', () => {
    const body = new Uint8Array(0);
    const many = Object.fromEntries(
      Array.from({ length: FIELD_LIMITS.headersMax + 1 }, (_, i) => [`h${i}`, '']),
    );
    expect(() => encodedSize({ body, fields: { headers: many } })).toThrow(/1025 headers, the limit is 1024/);
    const large = 'x'.repeat(FIELD_LIMITS.fieldsBytesMax);
    expect(() => encodedSize({ body, fields: { id: large } })).toThrow(/the limit is 1048576/);
    expect(() => encodedSize({ body, fields: { priority: 1.5 } })).toThrow(/priority/);
    expect(() => encodedSize({ body, fields: { ttlMs: Number.NaN } })).toThrow(/ttlMs/);
    const wrong = { headers: { a: 1 } } as unknown as { headers: Record<string, string> };
    expect(() => encodedSize({ body, fields: wrong })).toThrow(/headers are text/);
  });
});

function expectMessageOrRefusal(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    if (!isNaruError(error, 'NARU_INVALID_MESSAGE')) throw error;
  }
}

/** Fields in the order in which they are encoded. */
function sorted(value: Encodable['fields']): Encodable['fields'] {
  if (value === undefined) return undefined;
  const { id, contentType, correlationId, replyTo, key, type, priority, ttlMs, delayMs, headers } = value;
  return JSON.parse(
    JSON.stringify({ id, contentType, correlationId, replyTo, key, type, priority, ttlMs, delayMs, headers }),
  ) as Encodable['fields'];
}
