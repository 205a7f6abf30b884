// The sending end. What offer() takes is published at once, many without waiting for each other; where the mailbox has a limit, one after the
// other, because a queue that is full refuses one message and takes the next, and the order would be lost.

import { isNaruError, NaruError } from '../../errors/index.ts';
import type { DriverHooks, Outgoing, Sender } from '../../mailbox/driver.ts';
import type { Delays, Route } from './delays.ts';
import type { PublishSettings } from './properties.ts';
import { Publication, type PublicationOwner, type Published } from './publication.ts';
import type { Publisher } from './publisher.ts';

/** Messages and bytes that may be under way. */
const PENDING_MAX = 2_048;
const PENDING_BYTES_MAX = 16_777_216;
/** While there is no room: how often to look whether some came free, in milliseconds. Servers do not tell. */
const LOOK_MS = 40;

export interface SenderInit {
  readonly publisher: Publisher;
  readonly hooks: DriverHooks;
  readonly text: string;
  readonly route: Route;
  readonly delays: Delays;
  readonly publishing: PublishSettings;
  /** A confirm says that the message survives a power cut. */
  readonly confirmsDurable: boolean;
  /** How many more messages the queue takes; undefined: it has no limit. */
  readonly look: (() => Promise<number>) | undefined;
  /** No queue took a message: of a topic nobody heard it, of a mailbox the queue is gone. */
  readonly returned: () => 'dropped' | Error;
  readonly lost: (count: number, error: Error) => void;
  readonly hold: (isNeeded: boolean) => void;
  readonly onClose: () => Promise<void>;
}

export class AmqpSender implements Sender {
  readonly #init: SenderInit;
  readonly #owner: PublicationOwner = { over: ({ message }, what) => this.#over(message, what) };
  readonly #queueOwner: PublicationOwner = { over: (head, what) => this.#headOver(head, what) };
  /** Taken and not yet published: where one follows the other. */
  #queue: Publication[] = [];
  #isPublishing = false;
  /** Taken, and a queue for their delay is still being made. */
  #delayed = 0;
  /** As it was when somebody looked, less what was taken since. */
  #room = 0;
  /** Since this end was attached; what is taken and not confirmed, or failed, is under way. */
  #taken = 0;
  #confirmed = 0;
  #looking: Promise<void> | undefined;
  #again: NodeJS.Timeout | undefined;
  #isWaiting = false;
  #idle: (() => void)[] = [];
  #closed: Promise<void> | undefined;

  constructor(init: SenderInit) {
    this.#init = init;
  }

  offer(batch: readonly Outgoing[], from: number): number {
    let at = from;
    for (; at < batch.length; at += 1) {
      const message = batch[at] as Outgoing;
      if (!this.#fits(message)) break;
      this.#take(message);
    }
    this.#wait(at < batch.length);
    return at - from;
  }

  async poll(): Promise<void> {
    if (this.#init.look === undefined) return;
    await this.#look().catch((error: unknown) => this.#fail(error));
  }

  /** Something was confirmed: there may be room. */
  changed(): void {
    if (!this.#isWaiting || this.#init.look !== undefined) return;
    if (this.#init.publisher.pending <= PENDING_MAX / 2) this.#init.hooks.writable();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  get #isBusy(): boolean {
    return this.#taken > this.#confirmed;
  }

  #fits({ body, fields, confirm }: Outgoing): boolean {
    const { publisher, look, confirmsDurable } = this.#init;
    if (fields?.delayMs !== undefined && fields.delayMs > 0) this.#checkDelay(fields.ttlMs);
    if (confirm === 'durable' && !confirmsDurable)
      throw this.#unsupported('confirm "durable" on a classic queue');
    if (publisher.pending + this.#delayed + this.#queue.length >= PENDING_MAX) return false;
    const isBusy = publisher.pending > 0 && publisher.pendingBytes + body.byteLength > PENDING_BYTES_MAX;
    if (isBusy) return false;
    return look === undefined || this.#room >= 1;
  }

  /** @throws NARU_UNSUPPORTED */
  #checkDelay(ttlMs: number | undefined): void {
    if (this.#init.look !== undefined)
      throw this.#unsupported('a delay in a mailbox with a limit of capacity');
    if (ttlMs !== undefined) throw this.#unsupported('a delay together with a time to live');
  }

  #unsupported(what: string): NaruError {
    const { text } = this.#init;
    return new NaruError('NARU_UNSUPPORTED', `${text}: ${what} is more than this server can do`, {
      place: 'amqp',
      mailbox: text,
    });
  }

  #take(message: Outgoing): void {
    if (!this.#isBusy) this.#init.hold(true);
    this.#taken += 1;
    const { delayMs } = message.fields ?? {};
    const { publisher, look, route, publishing } = this.#init;
    if (delayMs !== undefined && delayMs > 0)
      void this.#later({ ...message, body: Buffer.from(message.body) }, delayMs);
    else if (look === undefined) publisher.publish(new Publication(route, message, publishing, this.#owner));
    else {
      this.#room -= 1;
      this.#queue.push(new Publication(route, message, publishing, this.#queueOwner));
      this.#publishNext();
    }
  }

  async #later(message: Outgoing, delayMs: number): Promise<void> {
    this.#delayed += 1;
    try {
      const key = await this.#init.delays.queueFor(delayMs);
      const { publisher, publishing } = this.#init;
      publisher.publish(new Publication({ exchange: '', key }, message, publishing, this.#owner));
    } catch (error) {
      this.#over(message, error as Error);
    } finally {
      this.#delayed -= 1;
    }
  }

  #publishNext(): void {
    const [head] = this.#queue;
    if (head === undefined || this.#isPublishing) return;
    this.#isPublishing = true;
    this.#init.publisher.publish(head);
  }

  #headOver(head: Publication, what: Published): void {
    this.#isPublishing = false;
    if (what === 'refused') {
      // Others were faster. It keeps its place.
      this.#room = 0;
      this.#again ??= setTimeout(() => this.#lookAgain(), LOOK_MS);
      return;
    }
    this.#queue.shift();
    this.#over(head.message, what);
    this.#publishNext();
  }

  #over(message: Outgoing, what: Published): void {
    this.#confirmed += 1;
    const outcome = what === 'returned' ? this.#init.returned() : what;
    if (outcome instanceof Error) {
      if (message.done === undefined) this.#init.lost(1, outcome);
      else message.done(outcome);
    } else if (outcome === 'refused') {
      const error = new NaruError(
        'NARU_FULL',
        `${this.#init.text}: the server refused the message: the queue is full`,
        {
          place: 'amqp',
          mailbox: this.#init.text,
        },
      );
      if (message.done === undefined) this.#init.lost(1, error);
      else message.done(error);
    } else message.done?.();
    if (this.#isBusy) return;
    this.#init.hold(this.#isWaiting);
    const idle = this.#idle;
    this.#idle = [];
    for (const listener of idle) listener();
  }

  #wait(isRefused: boolean): void {
    const isNew = isRefused && !this.#isWaiting;
    this.#isWaiting = isRefused;
    this.#init.hold(isRefused || this.#isBusy);
    if (isNew && this.#init.look !== undefined) this.#lookAgain();
  }

  #lookAgain(): void {
    clearTimeout(this.#again);
    this.#again = undefined;
    this.#look()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        if (this.#closed !== undefined) return;
        if (this.#isWaiting && this.#room >= 1) this.#init.hooks.writable();
        this.#publishNext();
        if (this.#isWaiting) this.#again ??= setTimeout(() => this.#lookAgain(), LOOK_MS);
      });
  }

  #look(): Promise<void> {
    const { look } = this.#init;
    if (look === undefined) return Promise.resolve();
    this.#looking ??= this.#lookNow(look).finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** What was not confirmed when it asks, and what is taken while it does, may be in the number or not: it is taken off, to be safe. */
  async #lookNow(look: () => Promise<number>): Promise<void> {
    if (this.#isBusy) await this.#firstOver();
    const known = this.#confirmed;
    const room = await look();
    this.#room = room - (this.#taken - known);
  }

  /** Waits a moment for what is under way. */
  #firstOver(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, LOOK_MS);
      this.#idle.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #fail(error: unknown): void {
    if (isNaruError(error, 'NARU_DISCONNECTED') || isNaruError(error, 'NARU_CLOSED')) return;
    if (this.#closed === undefined) this.#init.hooks.event('error', { error: error as Error });
  }

  async #close(): Promise<void> {
    this.#isWaiting = false;
    this.#init.hold(false);
    if (this.#isBusy) await new Promise<void>((resolve) => this.#idle.push(resolve));
    clearTimeout(this.#again);
    await this.#init.onClose();
  }
}
