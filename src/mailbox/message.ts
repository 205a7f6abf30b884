// A received message: headers, decoded data, and how to settle it. Knows no driver: settling goes through its keeper.

import { NaruError } from '../errors/index.ts';
import type { MessageFields } from '../wire/envelope-types.ts';
import type { Delivery, Outcome } from './driver.ts';
import { messageId } from './receipt.ts';

/** How a message was settled. */
export type Settled = 'no' | 'ack' | 'nack' | 'reject';

/** What a message needs of the mailbox it came from. */
export interface MessageKeeper {
  settle(delivery: Delivery, outcome: Outcome, delayMs: number): Promise<void>;
  extend(delivery: Delivery, ms: number): void;
  reject(message: Message<unknown>, reason: string): Promise<void>;
  reply(message: Message<unknown>, data: unknown): Promise<void>;
}

const NO_FIELDS: MessageFields = Object.freeze({});
const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/**
 * A message that was received.
 *
 * Settle it once (`settle: 'manual'` or inside `consume()`): the same call again does nothing, another one is NARU_SETTLED.
 */
export class Message<T> {
  /** The decoded (and, with a schema, validated) body. */
  readonly data: T;
  readonly #delivery: Delivery;
  readonly #keeper: MessageKeeper;
  #settled: Settled = 'no';

  constructor(data: T, delivery: Delivery, keeper: MessageKeeper) {
    this.data = data;
    this.#delivery = delivery;
    this.#keeper = keeper;
  }

  /** The body as it travelled. */
  get body(): Uint8Array {
    return this.#delivery.body;
  }
  /** Unique per message; a message sent again by its producer keeps it. '' from programs that know nothing of Naru. */
  get id(): string {
    const { fields, sender, sequence } = this.#delivery;
    return messageId(fields?.id, sender, sequence);
  }
  /** The handle that sent it, fit for `inboxOf()`; '' from strangers. */
  get sender(): string {
    return this.#delivery.sender;
  }
  /** When it was sent, in milliseconds since the epoch; 0 when unknown. */
  get time(): number {
    return this.#delivery.time;
  }
  /** User headers; none is an empty object. */
  get headers(): Readonly<Record<string, string>> {
    return this.#fields.headers ?? NO_HEADERS;
  }
  get contentType(): string | undefined {
    return this.#fields.contentType;
  }
  get correlationId(): string | undefined {
    return this.#fields.correlationId;
  }
  /** Set when the sender waits for an answer: see `reply()`. */
  get replyTo(): string | undefined {
    return this.#fields.replyTo;
  }
  /** Ordering key. */
  get key(): string | undefined {
    return this.#fields.key;
  }
  get type(): string | undefined {
    return this.#fields.type;
  }
  get priority(): number {
    return this.#fields.priority ?? 0;
  }
  get ttlMs(): number | undefined {
    return this.#fields.ttlMs;
  }
  /** How many times it was handed out: 1 the first time. */
  get deliveries(): number {
    return this.#delivery.deliveries;
  }
  get redelivered(): boolean {
    return this.#delivery.deliveries > 1;
  }
  get settled(): Settled {
    return this.#settled;
  }

  get #fields(): MessageFields {
    return this.#delivery.fields ?? NO_FIELDS;
  }

  /**
   * Done with it. Resolves when the place has it.
   * @throws NARU_SETTLED  it was nacked or rejected before
   */
  ack(): Promise<void> {
    return this.#settle('ack', () => this.#keeper.settle(this.#delivery, 'ack', 0));
  }

  /**
   * Not done: it is delivered again, marked as redelivered.
   * @param options.delayMs  not before so many milliseconds. Default 0.
   * @throws NARU_SETTLED, NARU_UNSUPPORTED  (a delay where the place has none)
   */
  nack(options: { readonly delayMs?: number } = {}): Promise<void> {
    return this.#settle('nack', () => this.#keeper.settle(this.#delivery, 'requeue', options.delayMs ?? 0));
  }

  /**
   * Never again: it goes to the dead-letter mailbox where there is one, else it is dropped and counted.
   * @throws NARU_SETTLED
   */
  reject(reason = 'rejected'): Promise<void> {
    return this.#settle('reject', () => this.#keeper.reject(this, reason));
  }

  /**
   * Asks for more time: the lease ends `ms` milliseconds from now.
   * @throws NARU_UNSUPPORTED  the place has no leases
   */
  extend(ms: number): void {
    this.#keeper.extend(this.#delivery, ms);
  }

  /**
   * Answers the sender.
   * @throws NARU_INVALID_ARGUMENT  it is no request; NARU_PEER_GONE  the requester is gone
   */
  async reply(data: unknown): Promise<void> {
    if (this.replyTo === undefined) {
      throw new NaruError('NARU_INVALID_ARGUMENT', `message ${this.id} is no request: it has no replyTo`);
    }
    await this.#keeper.reply(this, data);
  }

  /** `await using`: what was not settled goes back. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#settled === 'no') await this.nack();
  }

  toJSON(): Record<string, unknown> {
    const { id, sender, time, deliveries, data } = this;
    return { id, sender, time, ...this.#delivery.fields, deliveries, data };
  }

  /** @internal For the mailbox: settled without a call of the user (automatic settling). */
  markSettled(how: Settled): boolean {
    if (this.#settled !== 'no') return false;
    this.#settled = how;
    return true;
  }

  /** @internal */
  get delivery(): Delivery {
    return this.#delivery;
  }

  /** Not async: that would cost another promise for each message. `act` rejects rather than throws. */
  #settle(how: Settled, act: () => Promise<void>): Promise<void> {
    if (this.#settled === how) return Promise.resolve();
    if (this.#settled !== 'no') {
      return Promise.reject(
        new NaruError(
          'NARU_SETTLED',
          `message ${this.id} was settled by ${this.#settled} before; it cannot be settled by ${how} now`,
        ),
      );
    }
    this.#settled = how;
    return act();
  }
}
