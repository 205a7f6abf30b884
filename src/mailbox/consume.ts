// consume(): a handler for every message, some at once, with acks on success and retries with growing delay on failure. When
// the attempts are used up the message goes to the dead-letter mailbox, or the consumer stops: never a loop, never a loss.

import { isNaruError, NaruError } from '../errors/index.ts';
import { DEFAULTS } from './defaults.ts';
import { type GrowingDelay, growingDelay } from './growing-delay.ts';
import type { DeadLetter } from './dead-letter.ts';
import type { Diagnostics } from './diagnostics.ts';
import type { Delivery, Receiver } from './driver.ts';
import type { EventHub } from './events.ts';
import { toError, type Incoming } from './incoming.ts';
import type { Intake } from './intake.ts';
import type { Message } from './message.ts';
import type { RetryOptions } from './options.ts';

/** Called for every message. Resolve = ack, throw = try again later. */
export type Handler<T> = (message: Message<T>) => unknown;

/** How consume() and serve() work. */
export interface ConsumeOptions {
  /** Messages handled at the same time. Default 1, which keeps their order. */
  readonly concurrency?: number;
  /** Stops the consumer: running handlers finish. */
  readonly signal?: AbortSignal;
}

/** What consume() needs of its mailbox. */
export interface ConsumeSource<T> {
  readonly mailbox: string;
  readonly intake: Intake;
  readonly incoming: Incoming<T>;
  readonly events: EventHub;
  readonly diagnostics: Diagnostics;
  readonly deadLetter: DeadLetter | undefined;
  readonly retry: RetryOptions;
  /** The place takes messages back, so a retry may go to another consumer. */
  readonly canRequeue: boolean;
  readonly canDelay: boolean;
  readonly leaseMs: number | undefined;
  readonly onStop: (consumption: Consumption<T>) => void;
}

/** A running consumer. */
export class Consumption<T> {
  readonly #source: ConsumeSource<T>;
  readonly #handler: Handler<T>;
  readonly #concurrency: number;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  /** Resolves when the mailbox ended or the consumer was stopped; rejects when it stopped because of a failure. */
  readonly finished: Promise<void>;

  constructor(source: ConsumeSource<T>, handler: Handler<T>, options: ConsumeOptions) {
    const concurrency = options.concurrency ?? 1;
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 65_536) {
      throw new NaruError(
        'NARU_INVALID_ARGUMENT',
        `${source.mailbox}: concurrency must be from 1 to 65536, got ${concurrency}`,
      );
    }
    this.#source = source;
    this.#handler = handler;
    this.#concurrency = concurrency;
    options.signal?.addEventListener('abort', () => this.#stop.abort(), {
      once: true,
      signal: this.#stop.signal,
    });
    if (options.signal?.aborted === true) this.#stop.abort();
    this.finished = this.#run().finally(() => {
      this.#stop.abort();
      source.onStop(this);
    });
    // Who does not look at `finished` hears of a failure through the `error` event.
    this.finished.catch(() => undefined);
  }

  /** Takes no more messages; resolves when the running handlers have finished. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.finished.catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { intake, incoming, events } = this.#source;
    try {
      const receiver = await intake.attach({ signal: this.#stop.signal });
      while (!this.#stop.signal.aborted) {
        const free = this.#concurrency - this.#running.size;
        if (free === 0) {
          await Promise.race(this.#running);
          continue;
        }
        const deliveries = await intake.wait(receiver, free, { signal: this.#stop.signal });
        if (deliveries.length === 0) break;
        for (const delivery of deliveries) {
          const message = await incoming.handOutOrSkip(receiver, delivery);
          if (message !== undefined) this.#start(receiver, message);
        }
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) {
        events.emit('error', { error: toError(error) });
        throw error;
      }
    } finally {
      await Promise.allSettled(this.#running);
    }
    const failure: unknown = this.#stop.signal.reason;
    if (failure instanceof NaruError) throw failure;
  }

  #start(receiver: Receiver, message: Message<T>): void {
    const task = this.#handle(receiver, message)
      .catch((error: unknown) => this.#report(error))
      .finally(() => this.#running.delete(task));
    this.#running.add(task);
  }

  #report(error: unknown): void {
    const { intake, events } = this.#source;
    // The handle was closed under its handler: the message has gone back, as close() promises. drain() waits instead.
    if (intake.finished && isNaruError(error, 'NARU_CLOSED')) return;
    events.emit('error', { error: toError(error) });
  }

  async #handle(receiver: Receiver, message: Message<T>): Promise<void> {
    const stopExtending = this.#keepLease(receiver, message.delivery);
    const { canRequeue, incoming, diagnostics } = this.#source;
    const started = performance.now();
    let attempt = message.deliveries;
    for (;;) {
      try {
        await this.#handler(message);
        if (message.settled === 'no' && incoming.canAck) await message.ack();
        if (diagnostics.heard('process')) {
          diagnostics.publish('process', 'consume', 1, {
            durationSeconds: (performance.now() - started) / 1000,
          });
        }
        break;
      } catch (error) {
        if (message.settled !== 'no') throw error;
        if (await this.#failed(message, attempt, error)) break;
        if (canRequeue) {
          await message.nack();
          break;
        }
        attempt += 1;
      }
    }
    stopExtending();
  }

  /** @returns true when the message is out of this consumer's hands; false = try it again */
  async #failed(message: Message<T>, attempt: number, error: unknown): Promise<boolean> {
    const { retry, deadLetter, mailbox, canDelay } = this.#source;
    const attempts = retry.attempts ?? DEFAULTS.retryAttempts;
    const why = toError(error).message;
    if (attempt < attempts) {
      const delayMs = growingDelay(attempt, retryDelays(retry), Math.random());
      if (canDelay) {
        await message.nack({ delayMs });
        return true;
      }
      await this.#pause(delayMs);
      return false;
    }
    if (deadLetter !== undefined) {
      await message.reject(why);
      return true;
    }
    const failure = new NaruError(
      'NARU_REMOTE',
      `${mailbox}: message ${message.id} failed ${attempt} times, the last time with "${why}"; the consumer has stopped and the message is back in the mailbox (give a deadLetter URL to go on)`,
      { mailbox, cause: error },
    );
    if (this.#source.canRequeue) await message.nack();
    this.#source.events.emit('error', { error: failure });
    this.#stop.abort(failure);
    return true;
  }

  #pause(ms: number): Promise<void> {
    if (this.#stop.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      const { signal } = this.#stop;
      signal.addEventListener('abort', done, { once: true });
      function done(): void {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      }
    });
  }

  /** While the handler runs the lease must not end under it. */
  #keepLease(receiver: Receiver, delivery: Delivery): () => void {
    const { leaseMs } = this.#source;
    if (leaseMs === undefined || receiver.extend === undefined) return () => undefined;
    const timer = setInterval(() => receiver.extend?.(delivery, leaseMs), Math.max(1, leaseMs / 3));
    return () => clearInterval(timer);
  }
}

function retryDelays(retry: RetryOptions): GrowingDelay {
  const { delayMs = DEFAULTS.retryDelayMs, delayMsMax = DEFAULTS.retryDelayMsMax } = retry;
  return { delayMs, delayMsMax };
}
