// From a delivery to the message in the user's hand, and back: decoding, the schema, poison, settling. Who waits for what
// is in intake.ts.

import { NaruError } from '../errors/index.ts';
import { resolveCodec, type Codec } from './codec.ts';
import type { DeadLetter } from './dead-letter.ts';
import type { Diagnostics } from './diagnostics.ts';
import type { Delivery, DriverFacts, Outcome, Receiver } from './driver.ts';
import type { EventHub } from './events.ts';
import type { Intake } from './intake.ts';
import { Message, type MessageKeeper } from './message.ts';
import { unsupported } from './outgoing.ts';
import { validate, type Schema } from './schema.ts';

/** What handing out needs to know of the handle. */
export interface IncomingSettings {
  readonly mailbox: string;
  readonly codec: Codec;
  /** Runs on receive; undefined = none. */
  readonly schema: Schema | undefined;
  /** The place settles at all. */
  readonly canAck: boolean;
  /** nack() takes a delay. */
  readonly canDelay: boolean;
  readonly deadLetter: DeadLetter | undefined;
  readonly reply: (message: Message<unknown>, data: unknown) => Promise<void>;
}

export class Incoming<T> implements MessageKeeper {
  readonly #facts: DriverFacts;
  readonly #intake: Intake;
  readonly #events: EventHub;
  readonly #diagnostics: Diagnostics;
  readonly #settings: IncomingSettings;
  /** The body itself is the data: nothing can fail, nothing is copied. */
  readonly #plain: boolean;
  readonly dropped: Record<string, number> = {};
  acked = 0;
  requeued = 0;
  rejected = 0;

  constructor(
    facts: DriverFacts,
    intake: Intake,
    events: EventHub,
    diagnostics: Diagnostics,
    settings: IncomingSettings,
  ) {
    this.#facts = facts;
    this.#intake = intake;
    this.#events = events;
    this.#diagnostics = diagnostics;
    this.#settings = settings;
    this.#plain = settings.codec === resolveCodec('bytes') && settings.schema === undefined;
  }

  get canAck(): boolean {
    return this.#settings.canAck;
  }

  /**
   * Makes the message that the user gets; a promise where the schema is asynchronous.
   * @throws NARU_INVALID_MESSAGE  it cannot be decoded; it has been rejected (dead letter, or dropped and counted)
   */
  handOut(receiver: Receiver, delivery: Delivery): Message<T> | Promise<Message<T>> {
    this.noteHandOut(receiver, delivery);
    if (this.#plain) return new Message(delivery.body as T, delivery, this);
    let data: T | Promise<T>;
    try {
      data = this.#decode(delivery);
    } catch (error) {
      this.#rejectPoison(delivery, error);
      throw error;
    }
    if (this.#settings.schema === undefined || !(data instanceof Promise))
      return new Message(data as T, delivery, this);
    return data.then(
      (value) => new Message(value, delivery, this),
      (error: unknown) => {
        this.#rejectPoison(delivery, error);
        throw error;
      },
    );
  }

  /** Tells the sender that waits for it, and those who trace, that the user has this message. */
  noteHandOut(receiver: Receiver, delivery: Delivery): void {
    if (delivery.receipt) receiver.received(delivery);
    if (!this.#diagnostics.heard('receive')) return;
    this.#diagnostics.publish('receive', 'receive', 1, {
      traceparent: delivery.fields?.headers?.['traceparent'],
    });
  }

  /**
   * handOut() for a whole batch at once, where the body itself is the data: nothing can fail and nothing waits.
   * @returns undefined where each must be handed out by itself
   */
  handOutPlain(receiver: Receiver, deliveries: readonly Delivery[]): Message<T>[] | undefined {
    if (!this.#plain || this.#diagnostics.heard('receive')) return undefined;
    const messages: Message<T>[] = [];
    for (let index = 0; index < deliveries.length; index += 1) {
      const delivery = deliveries[index] as Delivery;
      if (delivery.receipt) receiver.received(delivery);
      messages.push(new Message(delivery.body as T, delivery, this));
    }
    return messages;
  }

  /** handOut() for loops: poison becomes an `error` event and undefined, and the loop goes on. */
  handOutOrSkip(
    receiver: Receiver,
    delivery: Delivery,
  ): Message<T> | undefined | Promise<Message<T> | undefined> {
    try {
      const message = this.handOut(receiver, delivery);
      return message instanceof Promise ? message.catch((error: unknown) => this.#skip(error)) : message;
    } catch (error) {
      return this.#skip(error);
    }
  }

  /** Settles without being asked: at hand-out, or when a loop asks for the next message. */
  autoAck(receiver: Receiver, message: Message<unknown>): void {
    // After close or disconnect the message has gone back to the place already.
    if (receiver !== this.#intake.attached || !message.markSettled('ack') || !this.#settings.canAck) return;
    this.acked += 1;
    receiver.settle(message.delivery, 'ack', 0);
  }

  /** The same for a batch whose messages are marked already. */
  autoAckAll(receiver: Receiver, deliveries: readonly Delivery[]): void {
    if (receiver !== this.#intake.attached || deliveries.length === 0 || !this.#settings.canAck) return;
    this.acked += deliveries.length;
    receiver.ackAll(deliveries);
  }

  settle(delivery: Delivery, outcome: Outcome, delayMs: number): Promise<void> {
    const { mailbox, canAck } = this.#settings;
    const { capabilities } = this.#facts;
    if (!canAck) {
      // Where reading deletes, an ack has happened already; anything else cannot.
      if (outcome === 'ack') return Promise.resolve();
      return Promise.reject(
        unsupported(capabilities, 'requeue', outcome === 'reject' ? 'reject()' : 'nack()', mailbox),
      );
    }
    if (delayMs > 0 && !this.#settings.canDelay) {
      return Promise.reject(unsupported(capabilities, 'delay', 'nack({ delayMs })', mailbox));
    }
    const receiver = this.#intake.attached;
    if (receiver === undefined) {
      return Promise.reject(
        new NaruError(
          'NARU_CLOSED',
          `${mailbox}: closed; the message has gone back and will be delivered again`,
          { mailbox },
        ),
      );
    }
    this.#count(outcome);
    if (this.#diagnostics.heard('settle')) this.#diagnostics.publish('settle', outcome, 1);
    return new Promise((resolve, reject) => {
      receiver.settle(delivery, outcome, delayMs, (error) =>
        error === undefined ? resolve() : reject(error),
      );
    });
  }

  extend(delivery: Delivery, ms: number): void {
    const receiver = this.#intake.attached;
    if (receiver?.extend === undefined || this.#facts.capabilities.features.lease !== 'native') {
      throw unsupported(this.#facts.capabilities, 'lease', 'extend()', this.#settings.mailbox);
    }
    receiver.extend(delivery, ms);
  }

  /** To the dead-letter mailbox first, and only then out of this one: a crash between leaves it in both, never in none. */
  async reject(message: Message<unknown>, reason: string): Promise<void> {
    const { deadLetter } = this.#settings;
    if (deadLetter !== undefined) await deadLetter.take(message, reason);
    else this.#drop('rejected');
    if (this.#settings.canAck) await this.settle(message.delivery, 'reject', 0);
  }

  reply(message: Message<unknown>, data: unknown): Promise<void> {
    return this.#settings.reply(message, data);
  }

  /** Decodes without settling: for replies and for peek. */
  async decode(delivery: Delivery): Promise<Message<T>> {
    return new Message(await this.#decode(delivery), delivery, this);
  }

  #decode(delivery: Delivery): T | Promise<T> {
    const { codec, schema, mailbox } = this.#settings;
    let data: unknown;
    try {
      data = codec.decode(delivery.body);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new NaruError(
        'NARU_INVALID_MESSAGE',
        `${mailbox}: a message of ${delivery.body.byteLength} bytes from ${delivery.sender || 'a stranger'} cannot be decoded: ${why}; do both sides use the same codec?`,
        { mailbox, cause },
      );
    }
    return (schema === undefined ? data : validate(schema, data, mailbox)) as T | Promise<T>;
  }

  /** A message that cannot be read would fail for ever: it leaves the mailbox, once and counted. */
  #rejectPoison(delivery: Delivery, error: unknown): void {
    const { deadLetter, canAck } = this.#settings;
    const reason = error instanceof Error ? error.message : String(error);
    if (deadLetter === undefined) this.#drop('undecodable');
    const done = async (): Promise<void> => {
      const raw = new Message(delivery.body, delivery, this);
      if (deadLetter !== undefined) await deadLetter.take(raw, reason);
      if (canAck) await this.settle(delivery, 'reject', 0);
    };
    done().catch((failure: unknown) => this.#events.emit('error', { error: toError(failure) }));
  }

  #skip(error: unknown): undefined {
    this.#events.emit('error', { error: toError(error) });
    return undefined;
  }

  #drop(reason: string): void {
    this.dropped[reason] = (this.dropped[reason] ?? 0) + 1;
    this.#events.emit('drop', { reason, count: 1 });
  }

  #count(outcome: Outcome): void {
    if (outcome === 'ack') this.acked += 1;
    else if (outcome === 'reject') this.rejected += 1;
    else this.requeued += 1;
  }
}

/** Anything thrown, as an Error. */
export function toError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value));
}
