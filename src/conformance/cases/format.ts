// Bytes in = bytes out: bodies, headers, sizes, codecs, schemas.

import type { Schema } from '../../mailbox/schema.ts';
import type { Rule } from '../rule.ts';

/** Texts that break naive encodings. */
const WEIRD: readonly string[] = [
  '',
  ' ',
  'line\nbreak\r\n',
  '\u0000nul',
  'ünïcödé – 나루 – 🛶',
  '__proto__',
  'constructor',
  '"quotes", {braces} and \\backslashes\\',
  'x'.repeat(2_000),
];

/** A schema of our own: Standard Schema asks for no package. */
function schemaOf(check: (value: unknown) => boolean): Schema<unknown, unknown> {
  return {
    '~standard': {
      version: 1,
      vendor: 'naru-conformance',
      validate: (value) => (check(value) ? { value } : { issues: [{ message: 'not what it must be' }] }),
    },
  };
}

/** A body whose every byte can be checked. */
function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) bytes[i] = (i * 31 + (i >> 8)) & 0xff;
  return bytes;
}

export const format: readonly Rule[] = [
  {
    id: 'format.1',
    text: 'a body of 0 bytes and one that is no UTF-8 arrive as they were sent',
    covers: ['R7'],
    async run(t) {
      const near = await t.open({ codec: 'bytes' });
      const far = await t.far({ codec: 'bytes' });
      const bodies = [new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(0xff, 0xfe, 0x80, 0), pattern(1000)];
      for (const body of bodies) await near.send(body);
      const seen = await far.receiveCount(bodies.length);
      t.equal(
        seen.map(({ data }) => Buffer.from(data as Uint8Array).toString('hex')),
        bodies.map((body) => Buffer.from(body).toString('hex')),
        'the bodies',
      );
    },
  },
  {
    id: 'format.2',
    text: 'a body of maxMessageBytes arrives, one byte more is NARU_TOO_LARGE and nothing is sent',
    covers: ['R7', 'R8'],
    async run(t) {
      const near = await t.open({ codec: 'bytes' });
      const far = await t.far({ codec: 'bytes' });
      const size = t.capabilities.limits.maxMessageBytes;
      await t.rejects(near.send(new Uint8Array(size + 1)), 'NARU_TOO_LARGE');
      const body = pattern(size);
      const sending = near.send(body);
      const { data } = await far.receive({ timeoutMs: 10_000 });
      await sending;
      t.equal((data as Uint8Array).byteLength, size, 'the length');
      t.ok(Buffer.compare(body, data as Uint8Array) === 0, 'every byte is the same');
      await t.rejects(far.receive({ timeoutMs: 20 }), 'NARU_TIMEOUT');
    },
  },
  {
    id: 'format.3',
    text: 'a limit given as maxMessageBytes holds to the byte',
    covers: ['R8'],
    async run(t) {
      const near = await t.open({ codec: 'bytes', maxMessageBytes: 1_000 });
      const far = await t.far({ codec: 'bytes' });
      await t.rejects(near.send(new Uint8Array(1_001)), 'NARU_TOO_LARGE');
      if (t.has('trySync')) {
        await t.rejects(() => near.trySend(new Uint8Array(1_001)), 'NARU_TOO_LARGE');
      }
      await near.send(pattern(1_000));
      const { data } = await far.receive({ timeoutMs: 8_000 });
      t.ok(Buffer.compare(pattern(1_000), data as Uint8Array) === 0, 'every byte is the same');
    },
  },
  {
    id: 'format.4',
    text: 'with slotBytes a body of that length passes and a longer one is NARU_TOO_LARGE',
    needs: ['fixedSlots'],
    async run(t) {
      const near = await t.open({ codec: 'bytes', slotBytes: 64 });
      const far = await t.far({ codec: 'bytes' });
      await near.send(pattern(64));
      await t.rejects(near.send(pattern(65)), 'NARU_TOO_LARGE');
      const { data } = await far.receive({ timeoutMs: 8_000 });
      t.equal([...(data as Uint8Array)], [...pattern(64)], 'the body');
    },
  },
  {
    id: 'format.5',
    text: 'headers of any text arrive as they were sent, in their order',
    needs: ['headers'],
    covers: ['R7'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      const entries: [string, string][] = WEIRD.map((text, i) => [text, WEIRD[WEIRD.length - 1 - i] ?? '']);
      const headers = Object.fromEntries(entries);
      await near.send('x', { headers });
      const { headers: got } = await far.receive({ timeoutMs: 8_000 });
      t.equal(Object.entries(got), Object.entries(headers), 'the headers');
      t.ok(Object.hasOwn(got, '__proto__'), '__proto__ is a header like any other');
    },
  },
  {
    id: 'format.6',
    text: 'id, type, content type, correlation id and reply-to arrive as they were sent, with sender and time',
    needs: ['headers'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      for (const text of WEIRD) {
        const fields = { id: `i${text}`, type: text, contentType: text, correlationId: text };
        const before = Date.now();
        const receipt = await near.send(text, fields);
        const got = await far.receive({ timeoutMs: 8_000 });
        t.equal(receipt.id, fields.id, 'the id of the receipt');
        t.equal(got.data, text, 'the data');
        t.equal(
          { id: got.id, type: got.type, contentType: got.contentType, correlationId: got.correlationId },
          fields,
          'the fields',
        );
        t.equal(got.sender, near.identity, 'the sender');
        t.ok(got.time >= before - 1 && got.time <= Date.now() + 1, 'the time is the time of sending');
      }
    },
  },
  {
    id: 'format.7',
    text: 'messages without an id of their own have unique ids, the same at both ends',
    needs: ['headers'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      const ids: string[] = [];
      for (let n = 0; n < 20; n += 1) ids.push((await near.send(n)).id);
      const seen = await far.receiveCount(20);
      t.equal(new Set(ids).size, 20, 'the number of different ids');
      t.equal(
        seen.map(({ id }) => id),
        ids,
        'the ids',
      );
    },
  },
  {
    id: 'format.8',
    text: 'data survives each codec: json, text, bytes and v8',
    async run(t) {
      const data: Record<'json' | 'text' | 'bytes' | 'v8', unknown> = {
        json: { deep: [1, 'two', null, { three: true }], empty: {}, text: WEIRD.join('|') },
        text: WEIRD.join('|'),
        bytes: pattern(300),
        v8: new Map<unknown, unknown>([
          ['date', new Date(0)],
          ['big', 2n ** 70n],
          [1, undefined],
        ]),
      };
      for (const codec of ['json', 'text', 'bytes', 'v8'] as const) {
        const near = await t.site(codec).open({ codec });
        const far = await t.site(codec).far({ codec });
        await near.send(data[codec]);
        const { data: got } = await far.receive({ timeoutMs: 8_000 });
        const plain = codec === 'bytes' ? Uint8Array.from(got as Uint8Array) : got;
        t.equal(plain, data[codec], `data through codec ${codec}`);
      }
    },
  },
  {
    id: 'format.9',
    text: 'data the codec cannot encode is NARU_INVALID_MESSAGE in the call, and nothing is sent',
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      const circular: Record<string, unknown> = {};
      circular['self'] = circular;
      for (const data of [undefined, 1n, circular, new Uint8Array(3), () => undefined]) {
        await t.rejects(near.send(data), 'NARU_INVALID_MESSAGE');
      }
      if (t.has('headers')) {
        await t.rejects(near.send(1, { headers: { n: 1 as never } }), 'NARU_INVALID_ARGUMENT');
      }
      await near.send('good');
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 'good', 'the first message');
    },
  },
  {
    id: 'format.10',
    text: 'data that does not fit the schema is refused by send and by sendMany, and nothing is sent',
    async run(t) {
      const near = await t.open({ schema: schemaOf((value) => typeof value === 'number') });
      const far = await t.far();
      await t.rejects(near.send('text'), 'NARU_INVALID_MESSAGE');
      await t.rejects(near.sendMany(['text']), 'NARU_INVALID_MESSAGE');
      await near.send(7);
      t.equal((await far.receive({ timeoutMs: 8_000 })).data, 7, 'the first message');
    },
  },
  {
    id: 'format.11',
    text: 'a message that does not fit the schema is refused on receive, once, and the next one is fine',
    async run(t) {
      const near = await t.open({ schema: schemaOf((value) => typeof value === 'number') });
      const far = await t.far();
      await far.send('text');
      await far.send(7);
      await t.rejects(near.receive({ timeoutMs: 8_000 }), 'NARU_INVALID_MESSAGE');
      t.equal((await near.receive({ timeoutMs: 8_000 })).data, 7, 'the next message');
    },
  },
  {
    id: 'format.12',
    text: 'the body that a receiver got is its own: what comes later does not change it',
    covers: ['R7'],
    async run(t) {
      const near = await t.open({ ...t.small, codec: 'bytes' });
      const far = await t.far({ codec: 'bytes' });
      const count = 300;
      const kept: Uint8Array[] = [];
      const sending = (async () => {
        for (let n = 0; n < count; n += 1) await far.send(new Uint8Array(1_000).fill(n & 0xff));
      })();
      while (kept.length < count) kept.push((await near.receive({ timeoutMs: 8_000 })).data as Uint8Array);
      await sending;
      const changed = kept.findIndex((body, n) => !body.every((byte) => byte === (n & 0xff)));
      t.equal(changed, -1, 'the first body that changed');
    },
  },
  {
    id: 'format.13',
    text: 'what a sender does to its buffer after send() came back does not change the message',
    covers: ['R1'],
    async run(t) {
      const near = await t.open({ codec: 'bytes' });
      const buffer = new Uint8Array(100);
      for (let n = 1; n <= 10; n += 1) {
        buffer.fill(n);
        await near.send(buffer);
      }
      buffer.fill(0xff);
      const far = await t.far({ codec: 'bytes' });
      const seen = await far.receiveCount(10);
      t.equal(
        seen.map(({ data }) => (data as Uint8Array)[50]),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        'a byte of each body',
      );
    },
  },
  {
    id: 'format.14',
    text: 'the type of a message arrives as it was sent',
    needs: ['type'],
    async run(t) {
      const near = await t.open();
      const far = await t.far();
      for (const type of ['1', '7', '4711']) {
        await near.send(type, { type });
        const got = await far.receive({ timeoutMs: 8_000 });
        t.equal([got.data, got.type], [type, type], 'the data and the type');
      }
    },
  },
];
