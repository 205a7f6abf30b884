// Requests that came before: the same Idempotency-Key gets the same answer, and nothing is sent twice. Bounded in number and time.

import { createHash } from 'node:crypto';
import { NaruError } from '../../errors/index.ts';
import { HTTP } from './limits.ts';

/** What a request was answered with. */
export interface Answer {
  readonly status: number;
  readonly value: unknown;
}

interface Known {
  readonly print: string;
  readonly answer: Promise<Answer>;
  readonly at: number;
}

export class Idempotency {
  readonly #known = new Map<string, Known>();
  readonly #now: () => number;

  /** @param now  milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * Does something once for each key.
   * @returns the answer, and whether it is that of an earlier request
   * @throws NARU_EXISTS  the key came before with another body; and what `act` throws: then the key is free again
   */
  async once(
    key: string,
    body: Uint8Array,
    act: () => Promise<Answer>,
  ): Promise<Answer & { isReplay: boolean }> {
    this.#forgetOld();
    const print = createHash('sha256').update(body).digest('base64');
    const known = this.#known.get(key);
    if (known !== undefined) {
      if (known.print === print) return { ...(await known.answer), isReplay: true };
      throw new NaruError(
        'NARU_EXISTS',
        'this Idempotency-Key came before with another body: use a new one',
        {
          place: 'http',
        },
      );
    }
    const answer = act();
    const entry = { print, answer, at: this.#now() };
    this.#known.set(key, entry);
    if (this.#known.size > HTTP.keysMax) this.#forgetFirst();
    try {
      return { ...(await answer), isReplay: false };
    } catch (error) {
      if (this.#known.get(key) === entry) this.#known.delete(key);
      throw error;
    }
  }

  #forgetOld(): void {
    const since = this.#now() - HTTP.keysMs;
    for (const [key, { at }] of this.#known) {
      if (at > since) return;
      this.#known.delete(key);
    }
  }

  #forgetFirst(): void {
    const first = this.#known.keys().next();
    if (first.done !== true) this.#known.delete(first.value);
  }
}
