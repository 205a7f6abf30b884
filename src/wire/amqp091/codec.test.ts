import { deepStrictEqual } from 'node:assert';
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  changeHeaders,
  checkTable,
  CODEC_LIMITS,
  decodeProperties,
  decodeTable,
  emptyTable,
  encodeProperties,
  headersOf,
  joinProperties,
  PropertyScan,
  PROPERTY,
  readBasicConsume,
  readConnectionStartOk,
  readQueueDeclare,
  Reader,
  splitProperties,
  tablePiece,
  writeBasicConsume,
  writeConnectionStartOk,
  writeQueueDeclare,
  Writer,
  type Field,
  type FieldTable,
  type Properties,
} from './index.ts';

const scalars: fc.Arbitrary<Field> = fc.oneof(
  fc.boolean().map((value) => ({ type: 't' as const, value })),
  fc.integer({ min: -128, max: 127 }).map((value) => ({ type: 'b' as const, value })),
  fc.integer({ min: 0, max: 255 }).map((value) => ({ type: 'B' as const, value })),
  fc.integer({ min: -32768, max: 32767 }).map((value) => ({ type: 's' as const, value })),
  fc.integer({ min: 0, max: 65535 }).map((value) => ({ type: 'u' as const, value })),
  fc.integer().map((value) => ({ type: 'I' as const, value })),
  fc.nat().map((value) => ({ type: 'i' as const, value })),
  fc.double({ noNaN: true }).map((value) => ({ type: 'd' as const, value })),
  fc.float({ noNaN: true }).map((value) => ({ type: 'f' as const, value })),
  fc.maxSafeInteger().map((value) => ({ type: 'l' as const, value })),
  fc.bigInt({ min: 2n ** 60n, max: 2n ** 63n - 1n }).map((value) => ({ type: 'l' as const, value })),
  fc.nat().map((value) => ({ type: 'T' as const, value })),
  fc.string({ unit: 'binary' }).map((value) => ({ type: 'S' as const, value })),
  fc.uint8Array({ maxLength: 40 }).map((value) => ({ type: 'x' as const, value })),
  fc
    .tuple(fc.nat(255), fc.integer())
    .map(([scale, digits]) => ({ type: 'D' as const, value: { scale, digits } })),
  fc.constant({ type: 'V' as const, value: null }),
);
const names = fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom('__proto__', 'constructor', ''));

function asTable(entries: readonly (readonly [string, Field])[]): FieldTable {
  const table = emptyTable();
  for (const [name, field] of entries) table[name] = field;
  return table;
}

const { table: tables } = fc.letrec<{ field: Field; table: FieldTable }>((tie) => ({
  field: fc.oneof(
    { depthSize: 'small' },
    scalars,
    fc.array(tie('field'), { maxLength: 4 }).map((value) => ({ type: 'A' as const, value })),
    tie('table').map((value) => ({ type: 'F' as const, value })),
  ),
  table: fc.array(fc.tuple(names, tie('field')), { maxLength: 5 }).map(asTable),
}));

function encoded(table: FieldTable): Buffer {
  const writer = new Writer();
  writer.table(table);
  return writer.take().subarray(4);
}

/** A table in a table in a table … */
function nested(depth: number): Buffer {
  let inner = Buffer.alloc(0);
  for (let level = 1; level < depth; level += 1) {
    const head = Buffer.from([1, 0x61, 0x46, 0, 0, 0, 0]);
    head.writeUInt32BE(inner.length, 3);
    inner = Buffer.concat([head, inner]);
  }
  return inner;
}

describe('field tables', () => {
  test('what is written is read back, with its types', () => {
    fc.assert(
      fc.property(tables, (table) => {
        const bytes = encoded(table);
        checkTable(bytes, 0, bytes.length);
        // Not expect(): it looks at `constructor`, which may be a field here.
        deepStrictEqual(decodeTable(bytes, 0, bytes.length), table);
      }),
    );
  });

  test('a field named __proto__ is a field and no prototype', () => {
    const bytes = encoded(
      asTable([['__proto__', { type: 'F', value: asTable([['admin', { type: 't', value: true }]]) }]]),
    );
    const table = decodeTable(bytes, 0, bytes.length);
    expect(Object.keys(table)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(table)).toBe(null);
    expect(({} as Record<string, unknown>)['admin']).toBe(undefined);
  });

  test('64 tables inside each other are read, 65 are refused, and so are 18,700', () => {
    const deepest = nested(CODEC_LIMITS.nestingMax);
    checkTable(deepest, 0, deepest.length);
    decodeTable(deepest, 0, deepest.length);
    for (const depth of [CODEC_LIMITS.nestingMax + 1, 18_700]) {
      const bytes = nested(depth);
      expect(() => checkTable(bytes, 0, bytes.length)).toThrow('nested more than 64');
      expect(() => decodeTable(bytes, 0, bytes.length)).toThrow('nested more than 64');
    }
  });

  test('a table of more fields than allowed is refused before it is built', () => {
    const bytes = Buffer.alloc(2 * (CODEC_LIMITS.fieldsMax + 1));
    for (let at = 0; at < bytes.length; at += 2) bytes[at + 1] = 0x56;
    expect(() => checkTable(bytes, 0, bytes.length)).toThrow('more than 4096 fields');
    expect(() => decodeTable(bytes, 0, bytes.length)).toThrow('more than 4096 fields');
  });

  test('checking and decoding agree on every sequence of bytes, and never throw anything else', () => {
    const fails = (fn: () => void): boolean => {
      try {
        fn();
        return false;
      } catch (error) {
        expect(error).toMatchObject({ code: 'NARU_INVALID_MESSAGE' });
        return true;
      }
    };
    const mutated = fc
      .tuple(tables, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }))
      .map(([table, changes]) => {
        const bytes = encoded(table);
        for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
        return bytes;
      });
    fc.assert(
      fc.property(
        fc.oneof(
          mutated,
          fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
        ),
        (bytes) => {
          const checked = fails(() => checkTable(bytes, 0, bytes.length));
          const decoded = fails(() => decodeTable(bytes, 0, bytes.length));
          // A name that is not UTF-8 passes on unread and is refused where it is read.
          if (checked) expect(decoded).toBe(true);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('properties', () => {
  const short = fc.string({ maxLength: 30 });
  const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
    fc.option(value, { nil: undefined });
  const properties = fc
    .record({
      contentType: optional(short),
      headers: optional(tables),
      deliveryMode: optional(fc.nat(255)),
      priority: optional(fc.nat(255)),
      correlationId: optional(short),
      replyTo: optional(short),
      expiration: optional(short),
      timestamp: optional(fc.nat()),
      userId: optional(short),
      clusterId: optional(short),
    })
    .map(
      (value) => Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as Properties,
    );

  test('what is written is read back, and taken apart and joined it is the same bytes', () => {
    fc.assert(
      fc.property(properties, (value) => {
        const bytes = encodeProperties(value);
        deepStrictEqual(decodeProperties(bytes, 0, bytes.length), value);
        expect(joinProperties(splitProperties(bytes, 0, bytes.length))).toStrictEqual(bytes);
      }),
    );
  });

  test('a scan finds a property without making anything', () => {
    const bytes = encodeProperties({ contentType: 'a/b', expiration: '1000', deliveryMode: 2 });
    const scan = new PropertyScan();
    scan.scan(bytes, 0, bytes.length);
    expect(scan.has(PROPERTY.headers)).toBe(false);
    expect(bytes[scan.starts[PROPERTY.deliveryMode] as number]).toBe(2);
    const start = (scan.starts[PROPERTY.expiration] as number) + 1;
    expect(bytes.toString('utf8', start, scan.ends[PROPERTY.expiration])).toBe('1000');
  });

  test('properties that are cut off, too long or with unknown flags are refused', () => {
    const good = encodeProperties({
      contentType: 'a/b',
      headers: asTable([['a', { type: 'V', value: null }]]),
      timestamp: 7,
    });
    const scan = new PropertyScan();
    for (let end = 0; end < good.length; end += 1) {
      expect(() => scan.scan(good, 0, end)).toThrow('AMQP data cannot be read');
    }
    expect(() => scan.scan(Buffer.concat([good, Buffer.alloc(1)]), 0, good.length + 1)).toThrow(
      'after the last',
    );
    expect(() => scan.scan(Buffer.from([0, 1]), 0, 2)).toThrow('flags 1');
  });

  test('headers are changed in place: what stays keeps its bytes', () => {
    const before = tablePiece(
      asTable([
        ['keep', { type: 'd', value: 0.1 }],
        ['drop', { type: 'S', value: 'x' }],
      ]),
    );
    const after = changeHeaders(before, new Set(['drop']), asTable([['new', { type: 'I', value: 7 }]]));
    expect(headersOf(after)).toStrictEqual(
      asTable([
        ['keep', { type: 'd', value: 0.1 }],
        ['new', { type: 'I', value: 7 }],
      ]),
    );
  });
});

describe('methods', () => {
  const inner = (frame: Buffer): Reader => new Reader().reset(frame, 11, frame.length - 1);

  test('arguments are read as they were written', () => {
    const writer = new Writer();
    const declare = {
      queue: 'orders',
      passive: false,
      durable: true,
      exclusive: false,
      autoDelete: true,
      nowait: false,
      args: asTable([['x-max-length', { type: 'I', value: 5 }]]),
    };
    writeQueueDeclare(writer, 3, declare);
    expect(readQueueDeclare(inner(writer.take()))).toStrictEqual(declare);
    const consume = {
      queue: 'q',
      consumerTag: 't',
      noLocal: true,
      noAck: false,
      exclusive: true,
      nowait: true,
      args: emptyTable(),
    };
    writeBasicConsume(writer, 1, consume);
    expect(readBasicConsume(inner(writer.take()))).toStrictEqual(consume);
    const startOk = {
      clientProperties: emptyTable(),
      mechanism: 'PLAIN',
      response: Buffer.from('\0guest\0guest'),
      locale: 'en_US',
    };
    writeConnectionStartOk(writer, 0, startOk);
    expect(readConnectionStartOk(inner(writer.take()))).toEqual(startOk);
  });

  test('arguments that end too early, or names that are not UTF-8, are refused', () => {
    const writer = new Writer();
    writeQueueDeclare(writer, 3, {
      queue: 'orders',
      passive: false,
      durable: true,
      exclusive: false,
      autoDelete: true,
      nowait: false,
      args: emptyTable(),
    });
    const frame = writer.take();
    for (let end = 11; end < frame.length - 1; end += 1) {
      expect(() => readQueueDeclare(new Reader().reset(frame, 11, end))).toThrow('AMQP data cannot be read');
    }
    frame[14] = 0xff;
    expect(() => readQueueDeclare(inner(frame))).toThrow('not UTF-8');
  });

  test('a name longer than 255 bytes is not written', () => {
    expect(() => new Writer().shortstr('ä'.repeat(128))).toThrow('256 bytes');
  });

  test('the checked-in codec is what the generator makes', async () => {
    const root = new URL('../../../', import.meta.url);
    const { generate } = (await import(new URL('scripts/generate-amqp.mjs', root).href)) as {
      generate: () => Map<string, string>;
    };
    for (const [name, text] of generate()) {
      expect(readFileSync(new URL(`src/wire/amqp091/methods/${name}`, root), 'utf8'), name).toBe(text);
    }
  });
});
