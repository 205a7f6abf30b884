// A network between a handle and its engine that is slow, cuts what is being written in two, or never lets a message through: what every place
// behind a connection must do about it. One that falls silent is half-open.fixture.ts.

import { expect } from 'vitest';
import { isNaruError } from '../errors/index.ts';
import { open } from '../index.ts';
import { FaultProxy } from '../link/fault-proxy.fixture.ts';
import { type Again, type Arrival, isTold } from './traffic.fixture.ts';

const BODY_BYTES = 15_000;
/** In the middle of a message, after what a connection begins with (to Redis 25 kB of scripts) and some others. */
const CUT_BYTES = 70_000;
const COUNT = 30;
const DELAY_MS = 50;
const OUTCOMES = /^(confirmed|NARU_(OUTCOME_UNKNOWN|DISCONNECTED))$/;

/**
 * Every send ends and says how; what was confirmed arrives, what comes again is told; afterwards the handle goes on.
 * @param url  of the engine, with its query
 */
export async function survivesBadNetwork(url: string, again: Again): Promise<void> {
  const proxy = await FaultProxy.to(Number(new URL(url).port));
  try {
    await using near = await open(proxy.through(url), { codec: 'bytes', role: 'producer' });
    await using far = await open(url, { codec: 'bytes', role: 'consumer' });
    far.on('error', () => undefined);
    near.on('error', () => undefined);
    const got = new Map<number, Arrival[]>();
    const consuming = far.consume(({ data, id, redelivered }) => {
      const n = Buffer.from(data).readUInt32BE(0);
      got.set(n, [...(got.get(n) ?? []), { id, redelivered }]);
    });
    const outcomes = new Map<number, string>();
    const send = async (n: number, bytes = BODY_BYTES): Promise<void> => {
      const body = Buffer.alloc(bytes);
      body.writeUInt32BE(n, 0);
      const outcome = await near.send(body).then(
        () => 'confirmed',
        (error: unknown) => (isNaruError(error) ? error.code : String(error)),
      );
      outcomes.set(n, outcome);
    };
    proxy.delayMs = DELAY_MS;
    const started = performance.now();
    await Promise.all([1, 2, 3].map((n) => send(n)));
    expect(performance.now() - started).toBeGreaterThanOrEqual(2 * DELAY_MS - 1);
    expect([...outcomes.values()]).toEqual(['confirmed', 'confirmed', 'confirmed']);
    proxy.delayMs = 0;
    proxy.cutAfterBytes = CUT_BYTES;
    proxy.reset();
    for (let n = 4; n <= COUNT; n += 1) await send(n);
    expect(proxy.connections).toBeGreaterThan(3);
    // It is larger than what a connection lives.
    await send(COUNT + 1, CUT_BYTES * 2);
    expect(outcomes.get(COUNT + 1)).toBe('NARU_OUTCOME_UNKNOWN');
    proxy.cutAfterBytes = Number.POSITIVE_INFINITY;
    proxy.reset();
    await expect
      .poll(async () => (await send(COUNT + 2), outcomes.get(COUNT + 2)), { timeout: 20_000 })
      .toBe('confirmed');
    const confirmed = [...outcomes].filter(([, what]) => what === 'confirmed').map(([n]) => n);
    await expect.poll(() => confirmed.filter((n) => !got.has(n)), { timeout: 20_000 }).toEqual([]);
    await consuming.stop();
    expect([...outcomes.values()].filter((what) => !OUTCOMES.test(what))).toEqual([]);
    for (const [n, arrivals] of got) if (n <= COUNT) expect([n, isTold(arrivals, again)]).toEqual([n, true]);
    for (const n of got.keys()) expect([n, outcomes.get(n)]).not.toEqual([n, 'NARU_DISCONNECTED']);
  } finally {
    await proxy.close();
  }
}
