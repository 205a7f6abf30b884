// A message that is larger than what the engine itself takes, whatever the mailbox allows: what every place must do about it.

import { expect } from 'vitest';
import { isNaruError, type NaruErrorCode } from '../errors/index.ts';
import { open } from '../index.ts';

/**
 * It is refused with a code, alone and among others; those arrive, and the handle goes on.
 * @param bytes  more than the engine takes
 * @param code   what it is refused with where the engine does not say why it breaks the connection
 */
export async function refusesTooLarge(
  url: string,
  bytes: number,
  code: NaruErrorCode = 'NARU_TOO_LARGE',
): Promise<void> {
  await using producer = await open(url, { codec: 'bytes', role: 'producer' });
  await using consumer = await open(url, { codec: 'bytes', role: 'consumer' });
  // A place that drops what nobody hears drops nothing from now on.
  await consumer.connect('consumer');
  const outcome = (body: Uint8Array): Promise<string> =>
    producer.send(body).then(
      () => 'confirmed',
      (error: unknown) => (isNaruError(error) ? error.code : String(error)),
    );
  const large = new Uint8Array(bytes);
  expect(await outcome(large)).toBe(code);
  expect(await outcome(Uint8Array.of(1))).toBe('confirmed');
  // One after the other on the same turn: they may share a request.
  const among = [Uint8Array.of(2), large, Uint8Array.of(3), Uint8Array.of(4)].map(outcome);
  expect(await Promise.all(among)).toEqual(['confirmed', code, 'confirmed', 'confirmed']);
  expect(await outcome(Uint8Array.of(5))).toBe('confirmed');
  // What had gone out beside it may come twice, with its id.
  const ids = new Map<string, number | undefined>();
  while (ids.size < 5) {
    const { id, data } = await consumer.receive({ timeoutMs: 20_000 });
    ids.set(id, data[0]);
  }
  expect([...ids.values()]).toEqual([1, 2, 3, 4, 5]);
}
