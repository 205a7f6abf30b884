// A received message in a page's hand. What settling and answering do is the mailbox's.

import { NaruError } from '../errors/index.ts';
import { messageId } from '../mailbox/receipt.ts';
import type { Delivery, Outcome } from './consumer.ts';

/** What messages need of their mailbox. */
export interface Keeper {
  settle(delivery: Delivery, outcome: Outcome, delayMs: number): Promise<void>;
  reply(delivery: Delivery, data: unknown): Promise<void>;
}

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/** A received message. */
export class BrowserMessage<T> {
  /** The decoded body. */
  readonly data: T;
  readonly #delivery: Delivery;
  readonly #keeper: Keeper;
  #isSettled = false;

  constructor(data: T, delivery: Delivery, keeper: Keeper) {
    this.data = data;
    this.#delivery = delivery;
    this.#keeper = keeper;
  }

  /** The body as it travelled. */
  get body(): Uint8Array {
    return this.#delivery.body;
  }
  /** Unique per message; a message sent again by its producer keeps it. */
  get id(): string {
    const { fields, sender, sequence } = this.#delivery;
    return messageId(fields?.id, sender, sequence);
  }
  /** The handle that sent it. */
  get sender(): string {
    return this.#delivery.sender;
  }
  /** When it was sent, in milliseconds since the epoch, by the sender's clock. */
  get time(): number {
    return this.#delivery.time;
  }
  /** User headers; none is an empty object. */
  get headers(): Readonly<Record<string, string>> {
    return this.#delivery.fields?.headers ?? NO_HEADERS;
  }
  get type(): string | undefined {
    return this.#delivery.fields?.type;
  }
  /** Ordering key. */
  get key(): string | undefined {
    return this.#delivery.fields?.key;
  }
  get priority(): number {
    return this.#delivery.fields?.priority ?? 0;
  }
  /** Set when the sender waits for an answer: see `reply()`. */
  get replyTo(): string | undefined {
    return this.#delivery.fields?.replyTo;
  }
  /** How many times it was handed out: 1 the first time. */
  get deliveries(): number {
    return this.#delivery.deliveries;
  }
  get redelivered(): boolean {
    return this.#delivery.deliveries > 1;
  }

  /**
   * Done: it will not come again. With `settle: 'auto'` (the default) loops and `receive()` do this by themselves.
   * @throws NARU_SETTLED  it was settled before; NARU_DISCONNECTED  its connection was lost, it comes again
   */
  async ack(): Promise<void> {
    await this.#settle('ack', 0);
  }

  /** Not done: it comes again, marked, after `delayMs`. @throws as ack() */
  async nack(options: { readonly delayMs?: number } = {}): Promise<void> {
    await this.#settle('requeue', options.delayMs ?? 0);
  }

  /** Nobody can do it: it is dropped and counted. @throws as ack() */
  async reject(): Promise<void> {
    await this.#settle('reject', 0);
  }

  /** Answers a request. @throws NARU_INVALID_ARGUMENT  nobody waits; NARU_PEER_GONE  whoever asked is gone */
  async reply(data: unknown): Promise<void> {
    await this.#keeper.reply(this.#delivery, data);
  }

  /** Whether this call settles it. */
  markSettled(): boolean {
    const isFirst = !this.#isSettled;
    this.#isSettled = true;
    return isFirst;
  }

  async #settle(outcome: Outcome, delayMs: number): Promise<void> {
    if (!this.markSettled()) throw new NaruError('NARU_SETTLED', `message ${this.id} is settled already`);
    await this.#keeper.settle(this.#delivery, outcome, delayMs);
  }
}
