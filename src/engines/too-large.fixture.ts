// A message that is larger than what the engine itself takes, whatever the mailbox allows: what every place must do about it.

import { expect } from 'vitest';
import { isNaruError, type NaruErrorCode } from '../errors/index.ts';
import { open } from '../index.ts';

interface Expected {
  /** What it is refused with; another one where the engine breaks the connection and does not say why. */
  readonly code?: NaruErrorCode;
  /** What becomes of messages that were written behind it before it was refused. */
  readonly behind?: 'confirmed' | 'NARU_OUTCOME_UNKNOWN';
}

/**
 * It is refused with a code, alone and among others; those arrive, and the handle goes on.
 * @param bytes  more than the engine takes
 */
export async function refusesTooLarge(
  url: string,
  bytes: number,
  { code = 'NARU_TOO_LARGE', behind = 'confirmed' }: Expected = {},
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
  // On the same turn: they may share a request.
  const among = [Uint8Array.of(2), large, Uint8Array.of(3), Uint8Array.of(4)].map(outcome);
  expect(await Promise.all(among)).toEqual(['confirmed', code, behind, behind]);
  expect(await outcome(Uint8Array.of(5))).toBe('confirmed');
  // What had gone out beside it may come twice, with its id.
  const ids = new Map<string, number | undefined>();
  const arriving = behind === 'confirmed' ? [1, 2, 3, 4, 5] : [1, 2, 5];
  while (ids.size < arriving.length) {
    const { id, data } = await consumer.receive({ timeoutMs: 20_000 });
    ids.set(id, data[0]);
  }
  expect([...ids.values()]).toEqual(arriving);
}
