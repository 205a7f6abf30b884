// A producer and a consumer on an engine that is killed again and again: what became of every send, and what arrived. What must hold of
// it is checked here, because it is the same for every engine.

import { expect } from 'vitest';
import { isNaruError } from '../errors/index.ts';
import { open } from '../index.ts';
import type { Running } from './engine.fixture.ts';

/**
 * Sends numbers without a pause while the engine gets SIGKILL and is started again on what it kept, `kills` times. Every send must end as
 * confirmed, failed or unknown; what was confirmed arrives; what comes again is marked; what was refused never comes.
 * @param query  of the engine's URL: `mailbox=killed`
 */
export async function survivesKills(engine: Running, query: string, kills: number): Promise<void> {
  const address = `${engine.url}?${query}`;
  await using producer = await open(address, { codec: 'json' });
  await using consumer = await open(address, { codec: 'json' });
  const outcomes = new Map<number, string>();
  const got = new Map<number, boolean[]>();
  const over = new AbortController();
  const consuming = consumer.consume(({ data, redelivered }) => {
    const n = data as number;
    got.set(n, [...(got.get(n) ?? []), redelivered]);
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
  const progress = async (): Promise<void> => {
    const before = got.size;
    await expect.poll(() => got.size, { timeout: 60_000 }).toBeGreaterThan(before);
  };
  for (let kill = 1; kill <= kills; kill += 1) {
    await progress();
    await engine.restart();
  }
  await progress();
  over.abort();
  await sending;
  const confirmed = [...outcomes].filter(([, what]) => what === 'confirmed').map(([n]) => n);
  await expect.poll(() => confirmed.filter((n) => !got.has(n)), { timeout: 60_000 }).toEqual([]);
  await consuming.stop();
  const known = new Set(['confirmed', 'NARU_OUTCOME_UNKNOWN', 'NARU_DISCONNECTED']);
  expect([...outcomes.values()].filter((what) => !known.has(what))).toEqual([]);
  for (const [n, marks] of got) expect([n, marks.slice(1).every(Boolean)]).toEqual([n, true]);
  for (const n of got.keys()) expect(outcomes.get(n)).not.toBe('NARU_DISCONNECTED');
}
