// A lost connection comes back after whatever time heals, and ends with what it does not. The connections here are plain objects:
// what a real one does is tested with each engine.

import { expect, test } from 'vitest';
import { NaruError, type NaruErrorCode } from '../errors/index.ts';
import { type Connected, Reconnecting } from './reconnecting.ts';

const SETTINGS = { place: 'postgres', text: 'postgres://host/db' };

/** A connection whose second attempt fails with `code`. */
async function losing(code: NaruErrorCode): Promise<Reconnecting<Connected & { readonly attempt: number }>> {
  let attempt = 0;
  let lose = (): void => undefined;
  const self = await Reconnecting.open(
    (lost) => {
      lose = lost;
      attempt += 1;
      if (attempt === 2) return Promise.reject(new NaruError(code, 'it failed', SETTINGS));
      const nothing = (): void => undefined;
      return Promise.resolve({ attempt, ref: nothing, unref: nothing, destroy: nothing });
    },
    SETTINGS,
    new AbortController().signal,
  );
  lose();
  return self;
}

for (const code of ['NARU_DISCONNECTED', 'NARU_OUTCOME_UNKNOWN', 'NARU_TIMEOUT', 'NARU_LIMIT'] as const) {
  test(`${code} while it comes back is tried again, and who waited is served`, async () => {
    const connection = await losing(code);
    expect(await connection.run(({ attempt }) => Promise.resolve(attempt))).toBe(3);
    connection.close();
  });
}

for (const code of ['NARU_DENIED', 'NARU_NOT_FOUND', 'NARU_CORRUPT'] as const) {
  test(`${code} while it comes back ends it: who waited, and who comes later, is told so`, async () => {
    const connection = await losing(code);
    const use = (): Promise<number> => connection.run(({ attempt }) => Promise.resolve(attempt));
    await expect(use()).rejects.toMatchObject({ code });
    await expect(use()).rejects.toMatchObject({ code });
  });
}
