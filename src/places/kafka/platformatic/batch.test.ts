// A batch must be what the package itself would write, byte for byte; where the package is wrong, what it reads.

import { expect, test } from 'vitest';
import { HEADER, type OutRecord } from '../client.ts';
import { encodeBatch } from './batch.ts';
import { loadPackage, type Package } from './package.ts';
import { type Batch, recordsOf } from './records.ts';

/** What the package itself writes and reads with. */
interface Own extends Package {
  readonly Reader: { from(bytes: Buffer): object };
  readRecordsBatch(reader: object): Batch;
  createRecordsBatch(
    messages: readonly object[],
    options: { producerId: bigint; producerEpoch: number; sequences: { getWithDefault(): number } },
  ): { readonly buffer: Buffer };
}

const NOW = 1_764_460_800_000;
const PRODUCER = { producerId: 4_711_000_000_042n, producerEpoch: 3 };

function record(over: Partial<OutRecord> = {}): OutRecord {
  return {
    partition: 0,
    key: null,
    value: Buffer.from('hello'),
    envelope: Buffer.from([1, 2, 3]),
    headers: undefined,
    timestamp: NOW,
    ...over,
  };
}

const CASES: Readonly<Record<string, readonly OutRecord[]>> = {
  'one record': [record()],
  'empty bodies and keys': [record({ value: Buffer.alloc(0), key: Buffer.alloc(0) })],
  'keys and headers of users': [
    record({ key: Buffer.from('käse'), headers: { a: Buffer.from('1'), naïve: Buffer.alloc(200, 'x') } }),
    record({ headers: {} }),
  ],
  'times that go back': [record(), record({ timestamp: NOW - 1_000 }), record({ timestamp: NOW + 70_000 })],
  'lengths at the edges of their numbers': [0, 63, 64, 8_191, 8_192, 1_048_575, 1_048_576].map((length) =>
    record({ value: Buffer.alloc(length, 'v'), envelope: Buffer.alloc(length, 'e') }),
  ),
  'many records': Array.from({ length: 3_000 }, (_, index) =>
    record({ value: Buffer.from(String(index)), timestamp: NOW + (index >> 4) }),
  ),
};

test.each(Object.entries(CASES))('%s', async (_, records) => {
  const loaded = (await loadPackage()) as Own;
  const written = encodeBatch(records, { ...PRODUCER, sequence: 70_000 }, loaded.crc32c);
  const messages = records.map(({ key, value, envelope, headers, timestamp }) => {
    const named: [string, Buffer][] = [[HEADER, envelope], ...Object.entries(headers ?? {})];
    return {
      key,
      value,
      headers: new Map(named.map(([name, bytes]) => [Buffer.from(name), bytes])),
      topic: 't',
      partition: 0,
      timestamp: BigInt(timestamp),
    };
  });
  const sequences = { getWithDefault: () => 70_000 };
  const theirs = loaded.createRecordsBatch(messages, { ...PRODUCER, sequences }).buffer;
  expect(written.equals(theirs)).toBe(true);
});

test('times that are more than 32 bits of milliseconds apart', async () => {
  const loaded = (await loadPackage()) as Own;
  const times = [NOW, 0, NOW + 2 ** 31, NOW - 2 ** 32, NOW + 2 ** 40, 8_640_000_000_000_000];
  const records = times.map((timestamp) => record({ timestamp }));
  const written = encodeBatch(records, { ...PRODUCER, sequence: 0 }, loaded.crc32c);
  const read = loaded.readRecordsBatch(loaded.Reader.from(written));
  expect(recordsOf([read], 0).list.map(({ timestamp }) => timestamp)).toEqual(times);
});

test('after the largest number of a record the next is 0', async () => {
  const { crc32c } = await loadPackage();
  const sequenceOf = (sequence: number): number =>
    encodeBatch([record()], { ...PRODUCER, sequence }, crc32c).readInt32BE(53);
  expect(sequenceOf(2 ** 31 - 1)).toBe(2 ** 31 - 1);
  expect(sequenceOf(2 ** 31)).toBe(0);
  expect(sequenceOf(3 * 2 ** 31 + 5)).toBe(5);
});
