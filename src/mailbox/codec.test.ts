import { assert, jsonValue, property, string, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isNaruError } from '../errors/index.ts';
import { resolveCodec, type CodecName } from './codec.ts';

const decodes = (name: CodecName, bytes: readonly number[]): unknown =>
  resolveCodec(name).decode(Uint8Array.from(bytes));

describe('what a codec encoded it decodes:', () => {
  test('json, any JSON value', () => {
    const codec = resolveCodec('json');
    assert(
      property(jsonValue(), (value) => {
        // -0 has no JSON form of its own.
        expect(codec.decode(codec.encode(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test('text, any text', () => {
    const codec = resolveCodec('text');
    assert(property(string({ unit: 'grapheme' }), (text) => codec.decode(codec.encode(text)) === text));
    expect(codec.decode(codec.encode('\uFEFFwith a byte order mark'))).toBe('\uFEFFwith a byte order mark');
  });

  test('bytes, any bytes, without a copy', () => {
    const codec = resolveCodec('bytes');
    assert(property(uint8Array(), (bytes) => codec.decode(codec.encode(bytes)) === bytes));
  });

  test('v8, what structuredClone() clones', () => {
    const codec = resolveCodec('v8');
    for (const value of [undefined, 2n ** 90n, new Date(5), new Map([[1, new Set([2])]]), [Number.NaN, -0]]) {
      expect(codec.decode(codec.encode(value))).toEqual(value);
    }
  });
});

describe('a codec refuses', () => {
  test.each([undefined, () => 1, Symbol('s'), 1n, new Uint8Array(1), Buffer.from('x')])(
    'json: %s',
    (value) => {
      expect(() => resolveCodec('json').encode(value)).toThrow(/JSON|BigInt/);
    },
  );

  test('json: a circle', () => {
    const circle: unknown[] = [];
    circle.push(circle);
    expect(() => resolveCodec('json').encode(circle)).toThrow(/circular/);
  });

  test('bytes: what is no Uint8Array', () => {
    for (const value of ['text', [1], new ArrayBuffer(1), new Uint16Array(1), undefined]) {
      expect(() => resolveCodec('bytes').encode(value)).toThrow(/Uint8Array/);
    }
  });

  test('text: what is no string', () => {
    for (const value of [1, undefined, new String('x'), null]) {
      expect(() => resolveCodec('text').encode(value)).toThrow(/string/);
    }
  });

  test('to decode what is no UTF-8, no JSON, or nothing', () => {
    expect(() => decodes('text', [0xff])).toThrow();
    expect(() => decodes('json', [0x22, 0xff, 0x22])).toThrow();
    expect(() => decodes('json', [])).toThrow();
    expect(() => decodes('json', [0xef, 0xbb, 0xbf, 0x31])).toThrow();
    expect(() => decodes('v8', [1, 2, 3])).toThrow();
    expect(() => decodes('v8', [])).toThrow();
  });
});

describe('resolveCodec', () => {
  test('json is the default, and a codec of the program is taken as it is', () => {
    const own = { encode: () => new Uint8Array(0), decode: () => 1 };
    expect(resolveCodec(undefined)).toBe(resolveCodec('json'));
    expect(resolveCodec(own)).toBe(own);
  });

  test.each(['xml', '', 'toString', '__proto__'])('refuses "%s"', (name) => {
    let thrown: unknown;
    try {
      resolveCodec(name as CodecName);
    } catch (error) {
      thrown = error;
    }
    expect(isNaruError(thrown, 'NARU_INVALID_ARGUMENT')).toBe(true);
  });
});
