// A producer and a consumer of one mailbox while its server is killed again and again: what became of every send, and what arrived. What
// must hold of it is checked here, because it is the same for every engine.

import { expect } from 'vitest';
import { isNaruError } from '../errors/index.ts';
import { open } from '../index.ts';

/** How a message that comes again is told: it says so, or it has the id it had. */
export type Again = 'marked' | 'same id';

interface Arrival {
  readonly id: string;
  readonly redelivered: boolean;
}

/**
 * Sends numbers without a pause while the server is killed and started again on what it kept, `kills` times. Every send must end as
 * confirmed, failed or unknown; what was confirmed arrives; what comes again is told as `again` says; what was refused never comes.
 * @param restart  kills the server and starts it again
 */
export async function survivesKills(
  address: string,
  kills: number,
  again: Again,
  restart: () => Promise<void>,
): Promise<void> {
  await using producer = await open(address, { codec: 'json' });
  await using consumer = await open(address, { codec: 'json' });
  // An ack that a dying connection swallowed: the message comes again, and that is looked at.
  consumer.on('error', () => undefined);
  const outcomes = new Map<number, string>();
  const got = new Map<number, Arrival[]>();
  const over = new AbortController();
  // Whatever fails, nobody sends for ever.
  using _ = { [Symbol.dispose]: () => over.abort() };
  const consuming = consumer.consume(({ data, id, redelivered }) => {
    const n = data as number;
    got.set(n, [...(got.get(n) ?? []), { id, redelivered }]);
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
  const known = new Set(['confirmed', 'NARU_OUTCOME_UNKNOWN', 'NARU_DISCONNECTED']);
  expect([...outcomes.values()].filter((what) => !known.has(what))).toEqual([]);
  for (const [n, arrivals] of got) expect([n, isTold(arrivals, again)]).toEqual([n, true]);
  for (const n of got.keys()) expect([n, outcomes.get(n)]).not.toEqual([n, 'NARU_DISCONNECTED']);
}

function isTold(arrivals: readonly Arrival[], again: Again): boolean {
  if (again === 'marked') return arrivals.slice(1).every(({ redelivered }) => redelivered);
  return new Set(arrivals.map(({ id }) => id)).size === 1;
}
