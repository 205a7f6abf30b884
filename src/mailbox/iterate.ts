// Iteration over a mailbox: one message at a time, or everything that is there in batches. Settling is automatic unless the
// handle says manual: what a loop had is acked when it asks for the next; what it leaves behind goes back.

import type { Delivery, Receiver } from './driver.ts';
import type { Incoming } from './incoming.ts';
import type { Intake } from './intake.ts';
import type { Message } from './message.ts';
import { nextTurn, turnIsOver, type WaitLimits } from './waiting.ts';

/** What the iterators need of their mailbox. */
export interface IterationSource<T> {
  readonly intake: Intake;
  readonly incoming: Incoming<T>;
  readonly auto: boolean;
  /** Messages fetched ahead at most. */
  readonly max: number;
  readonly limits: WaitLimits;
}

/** Fetches deliveries in batches and keeps what was not used, to give it back. */
class Prefetch<T> {
  readonly source: IterationSource<T>;
  #receiver: Receiver | undefined;
  #batch: Delivery[] = [];
  #index = 0;
  #returning: Promise<void> | undefined;

  constructor(source: IterationSource<T>) {
    this.source = source;
  }

  get receiver(): Receiver | undefined {
    return this.#receiver;
  }

  next(): Delivery | undefined {
    const delivery = this.#batch[this.#index];
    if (delivery !== undefined) this.#index += 1;
    return delivery;
  }

  /** The rest of the batch at once. */
  all(): Delivery[] {
    const rest = this.#index === 0 ? this.#batch : this.#batch.slice(this.#index);
    this.#batch = [];
    this.#index = 0;
    return rest;
  }

  /** Takes what is there without waiting. @returns false when nothing is, or when the event loop must turn first */
  refillNow(): boolean {
    const receiver = this.#receiver;
    if (receiver === undefined || turnIsOver()) return false;
    this.#batch = [];
    this.#index = 0;
    return this.source.intake.takeMany(receiver, this.source.max, this.#batch) > 0;
  }

  /** Waits for more. @returns false when the mailbox has ended */
  async refill(): Promise<boolean> {
    const { intake, max, limits } = this.source;
    if (turnIsOver()) await nextTurn();
    if (intake.finished) return false;
    this.#receiver = await intake.attach(limits);
    this.#batch = await intake.wait(this.#receiver, max, limits);
    this.#index = 0;
    return this.#batch.length > 0;
  }

  /** Gives back what was fetched and not handed out. */
  release(): void {
    for (const delivery of this.all()) this.putBack(delivery, 'release');
  }

  /** Gives one back, unless the handle has given everything back already. */
  putBack(delivery: Delivery, outcome: 'release' | 'requeue'): void {
    const { intake, incoming } = this.source;
    const receiver = this.#receiver;
    if (receiver === undefined || receiver !== intake.attached) return;
    if (!incoming.canAck) {
      // Where reading deletes, what was handed out is gone; what was only fetched ahead need not be.
      if (outcome === 'release') receiver.putBack?.(delivery);
      return;
    }
    if (receiver.poll === undefined) {
      receiver.settle(delivery, outcome, 0);
      return;
    }
    this.#returning = new Promise((resolve) => {
      receiver.settle(delivery, outcome, 0, () => resolve());
    });
  }

  /** The end of a loop; comes when a remote place has what was given back: whoever receives next finds it in its old order. */
  async end(): Promise<IteratorReturnResult<undefined>> {
    await this.#returning;
    return { value: undefined, done: true };
  }
}

/** `for await (const message of mailbox)`. */
export class MessageIterator<T> implements AsyncIterableIterator<Message<T>> {
  readonly #prefetch: Prefetch<T>;
  #current: Message<T> | undefined;
  #done = false;

  constructor(source: IterationSource<T>) {
    this.#prefetch = new Prefetch(source);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Message<T>, undefined>> {
    const receiver = this.#prefetch.receiver;
    if (receiver !== undefined && !this.#done) {
      this.#settleCurrent(receiver);
      if (this.#prefetch.source.intake.finished) return this.return();
      const delivery =
        this.#prefetch.next() ?? (this.#prefetch.refillNow() ? this.#prefetch.next() : undefined);
      if (delivery !== undefined) {
        const message = this.#prefetch.source.incoming.handOutOrSkip(receiver, delivery);
        if (message !== undefined && !(message instanceof Promise)) {
          this.#hold(message);
          return Promise.resolve({ value: message, done: false });
        }
        if (message !== undefined) return this.#nextSlow(message);
      }
    }
    return this.#nextSlow(undefined);
  }

  /** The loop ended early (break, return, throw): the current message and what was fetched ahead go back. */
  return(): Promise<IteratorResult<Message<T>, undefined>> {
    this.#done = true;
    const { source } = this.#prefetch;
    const current = this.#current;
    this.#current = undefined;
    this.#prefetch.release();
    if (current !== undefined) {
      if (source.auto && current.markSettled('nack')) this.#prefetch.putBack(current.delivery, 'requeue');
      source.intake.hold(-1);
    }
    return this.#prefetch.end();
  }

  async #nextSlow(
    pending: Promise<Message<T> | undefined> | undefined,
  ): Promise<IteratorResult<Message<T>, undefined>> {
    let message = await pending;
    while (message === undefined && !this.#done) {
      const delivery = this.#prefetch.next();
      if (delivery !== undefined && this.#prefetch.receiver !== undefined) {
        message = await this.#prefetch.source.incoming.handOutOrSkip(this.#prefetch.receiver, delivery);
      } else if (!(await this.#prefetch.refill())) {
        this.#done = true;
      }
    }
    if (message === undefined || this.#done) {
      if (message !== undefined) this.#prefetch.putBack(message.delivery, 'release');
      this.#prefetch.release();
      return { value: undefined, done: true };
    }
    this.#hold(message);
    return { value: message, done: false };
  }

  #hold(message: Message<T>): void {
    this.#current = message;
    this.#prefetch.source.intake.hold(1);
  }

  #settleCurrent(receiver: Receiver): void {
    const current = this.#current;
    if (current === undefined) return;
    const { auto, incoming, intake } = this.#prefetch.source;
    this.#current = undefined;
    if (auto) incoming.autoAck(receiver, current);
    intake.hold(-1);
  }
}

const NONE: readonly Delivery[] = [];

/** `for await (const messages of mailbox.batches())`: everything that is there, up to a limit, at least one. */
export class BatchIterator<T> implements AsyncIterableIterator<Message<T>[]> {
  readonly #prefetch: Prefetch<T>;
  #current: Message<T>[] = [];
  /** Those of the messages of `#current`, where they are at hand. */
  #deliveries: readonly Delivery[] = NONE;
  #done = false;

  constructor(source: IterationSource<T>) {
    this.#prefetch = new Prefetch(source);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Message<T>[], undefined>> {
    this.#settleCurrent();
    while (!this.#done && !this.#prefetch.source.intake.finished) {
      if (!this.#prefetch.refillNow() && !(await this.#prefetch.refill())) break;
      const deliveries = this.#prefetch.all();
      const batch = this.#handOutPlain(deliveries) ?? (await this.#handOut(deliveries));
      if (batch.length > 0) {
        this.#current = batch;
        this.#prefetch.source.intake.hold(1);
        return { value: batch, done: false };
      }
    }
    this.#done = true;
    return { value: undefined, done: true };
  }

  return(): Promise<IteratorResult<Message<T>[], undefined>> {
    this.#done = true;
    const { source } = this.#prefetch;
    const current = this.#current;
    this.#current = [];
    if (source.auto) {
      for (const message of current) {
        if (message.markSettled('nack')) this.#prefetch.putBack(message.delivery, 'requeue');
      }
    }
    if (current.length > 0) source.intake.hold(-1);
    return this.#prefetch.end();
  }

  #handOutPlain(deliveries: readonly Delivery[]): Message<T>[] | undefined {
    const { receiver, source } = this.#prefetch;
    const batch = receiver && source.incoming.handOutPlain(receiver, deliveries);
    this.#deliveries = batch === undefined ? NONE : deliveries;
    return batch;
  }

  async #handOut(deliveries: readonly Delivery[]): Promise<Message<T>[]> {
    const { receiver, source } = this.#prefetch;
    const batch: Message<T>[] = [];
    if (receiver === undefined) return batch;
    for (const delivery of deliveries) {
      const handed = source.incoming.handOutOrSkip(receiver, delivery);
      const message = handed instanceof Promise ? await handed : handed;
      if (message !== undefined) batch.push(message);
    }
    return batch;
  }

  #settleCurrent(): void {
    const { receiver, source } = this.#prefetch;
    const current = this.#current;
    if (current.length === 0 || receiver === undefined) return;
    this.#current = [];
    this.#ack(source, receiver, current);
    source.intake.hold(-1);
  }

  #ack(source: IterationSource<T>, receiver: Receiver, current: readonly Message<T>[]): void {
    if (!source.auto) return;
    const unsettled = markAll(current, this.#deliveries);
    source.incoming.autoAckAll(receiver, unsettled);
  }
}

/**
 * Marks messages as acked.
 * @param deliveries  theirs in the same order, if that is known: then most loops need no new list
 * @returns the deliveries of those that were not settled before
 */
function markAll(
  messages: readonly Message<unknown>[],
  deliveries: readonly Delivery[],
): readonly Delivery[] {
  let index = 0;
  // The loop may have changed the list it was given: then it is no longer parallel.
  for (; index < messages.length; index += 1) {
    const message = messages[index] as Message<unknown>;
    if (message.delivery !== deliveries[index] || !message.markSettled('ack')) break;
  }
  if (index === messages.length && index === deliveries.length) return deliveries;
  const unsettled = deliveries.slice(0, index);
  for (; index < messages.length; index += 1) {
    const message = messages[index] as Message<unknown>;
    if (message.markSettled('ack')) unsettled.push(message.delivery);
  }
  return unsettled;
}
