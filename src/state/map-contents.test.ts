// The entries of a map of one process: what they hold in memory.

import { expect, test } from 'vitest';
import { MapContents } from './map-contents.ts';

test('a short value that came in a large Buffer holds only itself', () => {
  const contents = new MapContents({
    place: 'memory',
    maxEntries: 10,
    capacityBytes: 1_000_000,
    now: () => 0,
  });
  const chunk = Buffer.alloc(65_536, 7);
  contents.set('a', chunk.subarray(100, 101), { only: undefined, ttlMs: undefined }, 'memory://a');
  expect(contents.get('a')?.value.buffer.byteLength).toBe(1);
});
