// A producer and a consumer of one mailbox while its server is killed again and again; what each send came to, and what arrived.

import { expect } from 'vitest';
import { isNaruError } from '../errors/index.ts';
import { open } from '../index.ts';

export interface Witnessed {
  /** Numbers whose send was confirmed. */
  readonly confirmed: readonly number[];
  readonly outcomes: ReadonlyMap<number, string>;
  /** The ids under which each number arrived. */
  readonly got: ReadonlyMap<number, readonly string[]>;
}

/** @param restart  kills the server and starts it again */
export async function watchKills(
  address: string,
  kills: number,
  restart: () => Promise<void>,
): Promise<Witnessed> {
  await using producer = await open(address);
  await using consumer = await open(address);
  // An ack that a dying connection swallowed: the message comes again, and that is looked at.
  consumer.on('error', () => undefined);
  const outcomes = new Map<number, string>();
  const got = new Map<number, string[]>();
  const over = new AbortController();
  // Whatever fails, nobody sends for ever.
  using _ = { [Symbol.dispose]: () => over.abort() };
  const consuming = consumer.consume(({ data, id }) => {
    const n = data as number;
    got.set(n, [...(got.get(n) ?? []), id]);
  });
  const sending = (async () => {
    for (let n = 1; !over.signal.aborted; n += 1) {
      try {
        await producer.send(n);
        outcomes.set(n, 'confirmed');
      } catch (error) {
        outcomes.set(n, isNaruError(error) ? error.code : String(error));
      }
    }
  })();
  const more = async (): Promise<void> => {
    const before = got.size;
    await expect.poll(() => got.size, { timeout: 90_000 }).toBeGreaterThan(before);
  };
  for (let kill = 1; kill <= kills; kill += 1) {
    await more();
    await restart();
  }
  await more();
  over.abort();
  await sending;
  const confirmed = [...outcomes].filter(([, what]) => what === 'confirmed').map(([n]) => n);
  await expect.poll(() => confirmed.filter((n) => !got.has(n)), { timeout: 60_000 }).toEqual([]);
  await consuming.stop();
  return { confirmed, outcomes, got };
}
