// A producer and a consumer of one mailbox while something is done to its server: what became of every send, and what arrived. What must hold
// of it is checked here, because it is the same for every engine.

import { expect } from 'vitest';
import { isNaruError } from '../errors/index.ts';
import { open } from '../index.ts';

/** How a message that comes again is told: it says so, or it has the id it had. */
export type Again = 'marked' | 'same id';

export interface TrafficOptions {
  /** Messages handled at once. Default: 1. */
  readonly concurrency?: number;
  /** How many confirmed messages may be on their way, where nothing else holds the producer up. Default: any number. */
  readonly ahead?: number;
}

export interface Arrival {
  readonly id: string;
  readonly redelivered: boolean;
}

const ENDINGS = new Set(['confirmed', 'NARU_OUTCOME_UNKNOWN', 'NARU_DISCONNECTED']);

/** Waits until one more message has arrived. */
export type Progress = () => Promise<void>;

export class Traffic {
  readonly #outcomes = new Map<number, string>();
  readonly #got = new Map<number, Arrival[]>();
  readonly #options: TrafficOptions;

  constructor(options: TrafficOptions = {}) {
    this.#options = options;
  }

  /** Sends that did not end as confirmed. */
  get failures(): number {
    return this.#outcomes.size - this.#confirmed.length;
  }

  /** Sends numbers without a pause and consumes them until `act` is over and all that was confirmed has arrived. */
  async run(address: string, act: (progress: Progress) => Promise<void>): Promise<void> {
    await using producer = await open(address, { role: 'producer', create: 'if-missing', codec: 'json' });
    await using consumer = await open(address, { role: 'consumer', codec: 'json' });
    // An ack that a dying connection swallowed: the message comes again, and that is looked at.
    consumer.on('error', () => undefined);
    const over = new AbortController();
    // Whatever fails, nobody sends for ever.
    using _ = { [Symbol.dispose]: () => over.abort() };
    const { concurrency = 1 } = this.#options;
    const consuming = consumer.consume(
      ({ data, id, redelivered }) => {
        const n = data as number;
        this.#got.set(n, [...(this.#got.get(n) ?? []), { id, redelivered }]);
      },
      { concurrency },
    );
    const sending = this.#send((n) => producer.send(n), over.signal);
    await act(() => this.#progress());
    over.abort();
    await sending;
    const isMissing = (n: number): boolean => !this.#got.has(n);
    await expect.poll(() => this.#confirmed.filter(isMissing), { timeout: 60_000 }).toEqual([]);
    await consuming.stop();
  }

  /** Every send ended in a way that is told; what comes again is told as `again` says; what was refused never comes. */
  check(again: Again): void {
    expect([...this.#outcomes.values()].filter((what) => !ENDINGS.has(what))).toEqual([]);
    for (const [n, arrivals] of this.#got) expect([n, isTold(arrivals, again)]).toEqual([n, true]);
    for (const n of this.#got.keys())
      expect([n, this.#outcomes.get(n)]).not.toEqual([n, 'NARU_DISCONNECTED']);
  }

  get #confirmed(): number[] {
    return [...this.#outcomes].filter(([, what]) => what === 'confirmed').map(([n]) => n);
  }

  async #send(send: (n: number) => Promise<unknown>, over: AbortSignal): Promise<void> {
    const { ahead = Number.POSITIVE_INFINITY } = this.#options;
    for (let n = 1; !over.aborted; n += 1) {
      try {
        await send(n);
        this.#outcomes.set(n, 'confirmed');
      } catch (error) {
        this.#outcomes.set(n, isNaruError(error) ? error.code : String(error));
      }
      const isAhead = (): boolean => n - this.#got.size > ahead && !over.aborted;
      if (isAhead()) await expect.poll(isAhead, { timeout: 60_000 }).toBe(false);
    }
  }

  async #progress(): Promise<void> {
    const before = this.#got.size;
    await expect.poll(() => this.#got.size, { timeout: 90_000 }).toBeGreaterThan(before);
  }
}

export function isTold(arrivals: readonly Arrival[], again: Again): boolean {
  if (again === 'marked') return arrivals.slice(1).every(({ redelivered }) => redelivered);
  return new Set(arrivals.map(({ id }) => id)).size === 1;
}
