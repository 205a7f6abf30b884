// consume(): a handler for every message, some at once, with acks on success and retries with growing delay on failure. When
// the attempts are used up the message goes to the dead-letter mailbox, or the consumer stops: never a loop, never a loss.
// Nobody waits for an ack before the next message: on a place that is far away that would be a round trip for each.

import { isNaruError, NaruError } from '../errors/index.ts';
import { DEFAULTS } from './defaults.ts';
import { type GrowingDelay, growingDelay } from './growing-delay.ts';
import type { DeadLetter } from './dead-letter.ts';
import type { Diagnostics } from './diagnostics.ts';
import type { Delivery, Receiver } from './driver.ts';
import type { EventHub } from './events.ts';
import { InFlight } from './in-flight.ts';
import { toError, type Incoming } from './incoming.ts';
import type { Intake } from './intake.ts';
import type { Message } from './message.ts';
import type { RetryOptions } from './options.ts';
import { nextTurn, turnIsOver } from './waiting.ts';

/**
 * Called for every message. Resolve = ack, throw = try again later. The ack goes out at once and the next message does not wait for it;
 * one that fails is an `error` event, and the place delivers the message again.
 */
export type Handler<T> = (message: Message<T>) => unknown;

/** How consume() and serve() work. */
export interface ConsumeOptions {
  /** Messages handled at the same time. Default 1, which keeps their order. */
  readonly concurrency?: number;
  /** Stops the consumer: running handlers finish, and what they acked is settled. */
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
  /** Acks that may be on their way to the place at once, besides one for each handler. */
  readonly prefetch: number;
  readonly onStop: (consumption: Consumption<T>) => void;
}

/** A running consumer. */
export class Consumption<T> {
  readonly #source: ConsumeSource<T>;
  readonly #handler: Handler<T>;
  readonly #stop = new AbortController();
  readonly #running: InFlight;
  readonly #acks: InFlight;
  /**
   * Resolves when the mailbox ended or the consumer was stopped, and everything it acked is settled; rejects when it stopped because of a
   * failure.
   */
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
    const report = (error: unknown): void => this.#report(error);
    this.#running = new InFlight(concurrency, report);
    this.#acks = new InFlight(Math.max(concurrency, source.prefetch), report);
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

  /** Takes no more messages; resolves when the running handlers have finished and what they acked is settled. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.finished.catch(() => undefined);
  }

  /** Resolves when every ack that went out so far has come to the place, or failed. @internal */
  whenSettled(): Promise<void> {
    return this.#acks.whenIdle();
  }

  async #run(): Promise<void> {
    const { intake, incoming, events } = this.#source;
    try {
      const receiver = await intake.attach({ signal: this.#stop.signal });
      for (;;) {
        if (turnIsOver()) await nextTurn();
        if (this.#acks.room <= 0) await this.#acks.whenRoom();
        if (this.#running.room <= 0) await this.#running.whenRoom();
        if (this.#stop.signal.aborted) break;
        const deliveries = await intake.wait(receiver, this.#running.room, { signal: this.#stop.signal });
        if (deliveries.length === 0) break;
        for (const delivery of deliveries) {
          const message = await incoming.handOutOrSkip(receiver, delivery);
          if (message !== undefined) this.#running.add(this.#handle(receiver, message));
        }
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) {
        events.emit('error', { error: toError(error) });
        throw error;
      }
    } finally {
      await this.#running.whenIdle();
      await this.#acks.whenIdle();
    }
    const failure: unknown = this.#stop.signal.reason;
    if (failure instanceof NaruError) throw failure;
  }

  #report(error: unknown): void {
    const { intake, events } = this.#source;
    // The handle was closed under its handler: the message has gone back, as close() promises. drain() waits instead.
    if (intake.finished && isNaruError(error, 'NARU_CLOSED')) return;
    events.emit('error', { error: toError(error) });
  }

  async #handle(receiver: Receiver, message: Message<T>): Promise<void> {
    const stopExtending = this.#keepLease(receiver, message.delivery);
    try {
      await this.#attempt(message);
    } finally {
      stopExtending();
    }
  }

  async #attempt(message: Message<T>): Promise<void> {
    const { canRequeue, incoming } = this.#source;
    const started = performance.now();
    for (let attempt = message.deliveries; ; attempt += 1) {
      try {
        await this.#handler(message);
      } catch (error) {
        if (message.settled !== 'no') throw error;
        if (await this.#failed(message, attempt, error)) return;
        if (!canRequeue) continue;
        await message.nack();
        return;
      }
      if (message.settled === 'no' && incoming.canAck) this.#acks.add(message.ack());
      this.#tellDuration(started);
      return;
    }
  }

  #tellDuration(started: number): void {
    const { diagnostics } = this.#source;
    if (!diagnostics.heard('process')) return;
    diagnostics.publish('process', 'consume', 1, { durationSeconds: (performance.now() - started) / 1000 });
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
