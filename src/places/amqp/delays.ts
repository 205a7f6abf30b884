// Messages that become visible later, with what every server has: a queue for each length of delay, whose messages the server moves on
// when they have lain there so long. Lengths are rounded up to one of a thousand, so that there are never more queues than that.

import type { AmqpChannel } from './protocol.ts';
import { NAMES } from './names.ts';
import type { BoxSettings } from './settings.ts';

/** Of a length so many leading bits count: a delay is exceeded by a thirty-second at most. */
const BITS = 5;
/** How much longer than its messages such a queue stays when nobody declares it anew, in milliseconds. */
const REST_MS = 600_000;
/** How long its last declaration counts. */
const FRESH_MS = 300_000;
const MS_MAX = 2 ** 31 - 1;

/** @returns at least `ms`, with few digits */
export function roundedDelay(ms: number): number {
  const whole = Math.max(1, Math.ceil(ms));
  const step = 2 ** Math.max(0, Math.floor(Math.log2(whole)) - BITS);
  return Math.min(MS_MAX, Math.ceil(whole / step) * step);
}

/** Where the mailbox's messages go. */
export interface Route {
  readonly exchange: string;
  readonly key: string;
}

export class Delays {
  readonly #settings: BoxSettings;
  readonly #route: Route;
  readonly #use: <T>(use: (channel: AmqpChannel) => Promise<T>) => Promise<T>;
  readonly #declared = new Map<number, number>();

  /** @param use  gives a channel */
  constructor(
    settings: BoxSettings,
    route: Route,
    use: <T>(use: (channel: AmqpChannel) => Promise<T>) => Promise<T>,
  ) {
    this.#settings = settings;
    this.#route = route;
    this.#use = use;
  }

  /** Where a message goes that is to be seen in `ms` milliseconds. @throws NARU_DISCONNECTED, … */
  async queueFor(ms: number): Promise<string> {
    const length = roundedDelay(ms);
    const { id, name, survives } = this.#settings;
    const queue = NAMES.delay(id === '' ? name : id, length);
    const now = performance.now();
    if (now - (this.#declared.get(length) ?? Number.NEGATIVE_INFINITY) < FRESH_MS) return queue;
    await this.#use((channel) =>
      channel.assertQueue(queue, {
        durable: survives === 'restart',
        arguments: {
          'x-queue-type': 'classic',
          'x-message-ttl': length,
          'x-expires': Math.min(MS_MAX, length + REST_MS),
          'x-dead-letter-exchange': this.#route.exchange,
          'x-dead-letter-routing-key': this.#route.key,
        },
      }),
    );
    this.#declared.set(length, now);
    return queue;
  }

  /** The server may have forgotten them. */
  reset(): void {
    this.#declared.clear();
  }
}
