// Receiving by call rather than by loop: the fast path where a message is there, waiting where there is none. Settles at
// hand-out. Order among waiting receives is intake.ts's; loops are in iterate.ts.

import { NaruError } from '../errors/index.ts';
import type { Delivery, Receiver } from './driver.ts';
import type { Incoming } from './incoming.ts';
import type { Intake } from './intake.ts';
import type { Life } from './life.ts';
import type { Message } from './message.ts';
import { nextTurn, turnIsOver, type WaitLimits } from './waiting.ts';

/** What receiving needs of its mailbox. */
export interface ReceivingSettings<T> {
  readonly mailbox: string;
  readonly intake: Intake;
  readonly incoming: Incoming<T>;
  /** Settles at hand-out; false where the user settles. */
  readonly auto: boolean;
  readonly life: Life;
}

/** Looks at the clock once in so many receives (a power of two, less one). */
const TURN_MASK = 0xff;

export class Receiving<T> {
  readonly #settings: ReceivingSettings<T>;

  constructor(settings: ReceivingSettings<T>) {
    this.#settings = settings;
  }

  /** The oldest message; without a detour through waiting where it is there already. */
  receive(limits: WaitLimits): Promise<Message<T>> {
    const { intake, incoming } = this.#settings;
    const receiver = intake.attached;
    if (receiver === undefined) return this.#receiveLater(limits);
    // A loop of receives that never waits must still let the event loop turn.
    if ((intake.received & TURN_MASK) === TURN_MASK && turnIsOver()) return this.#receiveLater(limits);
    const delivery = intake.takeOne(receiver);
    if (delivery === undefined) return this.#receiveLater(limits);
    const message = incoming.handOut(receiver, delivery);
    if (message instanceof Promise) return message.then((made) => this.#settled(receiver, made));
    return Promise.resolve(this.#settled(receiver, message));
  }

  /** The oldest message, if there is one now. @throws NARU_INVALID_ARGUMENT where the schema is asynchronous */
  tryReceive(receiver: Receiver): Message<T> | undefined {
    const { mailbox, intake, incoming } = this.#settings;
    const delivery = intake.takeOne(receiver);
    if (delivery === undefined) return undefined;
    const message = incoming.handOut(receiver, delivery);
    if (message instanceof Promise) {
      throw new NaruError(
        'NARU_INVALID_ARGUMENT',
        `${mailbox}: the schema is asynchronous; use receive(), or validate: 'off'`,
      );
    }
    return this.#settled(receiver, message);
  }

  /** 1 to `max` messages. */
  async receiveMany(max: number, limits: WaitLimits): Promise<Message<T>[]> {
    const { mailbox, intake, life } = this.#settings;
    if (!Number.isInteger(max) || max < 1) {
      throw new NaruError(
        'NARU_INVALID_ARGUMENT',
        `${mailbox}: receiveMany takes a number of messages from 1, got ${max}`,
      );
    }
    const receiver = await intake.attach(limits);
    for (;;) {
      const deliveries = await intake.wait(receiver, max, limits);
      if (deliveries.length === 0) throw life.nothingMore();
      const messages = await this.#handOutAll(receiver, deliveries);
      if (messages.length > 0) return messages;
    }
  }

  async #receiveLater(limits: WaitLimits): Promise<Message<T>> {
    const { intake, incoming, life } = this.#settings;
    // The seat is asked for before the event loop turns: a seat given back meanwhile is not taken anew behind its user's back.
    const seat = intake.attach(limits);
    const receiver = turnIsOver() ? (await Promise.all([seat, nextTurn()]))[0] : await seat;
    const [delivery] = await intake.wait(receiver, 1, limits);
    if (delivery === undefined) throw life.nothingMore();
    return this.#settled(receiver, await incoming.handOut(receiver, delivery));
  }

  async #handOutAll(receiver: Receiver, deliveries: readonly Delivery[]): Promise<Message<T>[]> {
    const messages: Message<T>[] = [];
    for (const delivery of deliveries) {
      const message = await this.#settings.incoming.handOutOrSkip(receiver, delivery);
      if (message !== undefined) messages.push(this.#settled(receiver, message));
    }
    return messages;
  }

  #settled(receiver: Receiver, message: Message<T>): Message<T> {
    if (this.#settings.auto) this.#settings.incoming.autoAck(receiver, message);
    return message;
  }
}
