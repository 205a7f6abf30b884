// A consumer that takes one message and then nothing: what it holds meanwhile. Tests only.

import { expect } from 'vitest';
import { open } from '../index.ts';

/** @param url  of a queue that was never there and tells its depth; it is removed */
export async function holdsNoMoreThanItsPrefetch(url: string): Promise<void> {
  await using mailbox = await open(`${url}&prefetch=50`);
  await mailbox.sendMany(Array.from({ length: 2_000 }, (_, n) => n));
  for await (const { data } of mailbox) {
    const { place } = await mailbox.stats();
    expect(data).toBe(0);
    expect(place.unsettled).toBeLessThanOrEqual(50);
    expect(place.depth + place.unsettled).toBe(2_000);
    break;
  }
  await mailbox.unlink();
}
