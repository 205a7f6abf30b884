// The partitions that Kafka's own clients choose: figures of its own tests of murmur2.

import { expect, test } from 'vitest';
import { partitionOf } from './murmur.ts';

const KNOWN: readonly (readonly [string, number])[] = [
  ['21', -973_932_308],
  ['foobar', -790_332_482],
  ['a-little-bit-long-string', -985_981_536],
  ['a-little-bit-longer-string', -1_486_304_829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58_897_971],
  ['abc', 479_470_107],
];

test('a key has the partition that clients in Java give it', () => {
  for (const [key, hash] of KNOWN)
    for (const partitions of [1, 3, 12, 1_000_003])
      expect([key, partitionOf(Buffer.from(key), partitions)]).toEqual([
        key,
        (hash & 0x7fffffff) % partitions,
      ]);
});
