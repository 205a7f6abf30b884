// Views: messages that a consumer reads where they lie. Taking one, with or without waiting; settling it; what becomes of one
// that its user forgets. Order among views and receives is the intake's.

import { NaruError } from '../errors/index.ts';
import type { Delivery, Outcome, Receiver } from './driver.ts';
import type { Incoming } from './incoming.ts';
import { takeViews, type Intake } from './intake.ts';
import type { Leakable, LeakWatch } from './leaks.ts';
import type { Life } from './life.ts';
import { Message, type MessageKeeper } from './message.ts';
import { nextTurn, turnIsOver, type WaitLimits } from './waiting.ts';

/** What views need of their mailbox. */
export interface ViewSettings {
  readonly mailbox: string;
  readonly intake: Intake;
  readonly incoming: Incoming<unknown>;
  readonly leaks: LeakWatch;
  readonly life: Life;
}

/**
 * A message whose body is read where it lies: `data` is the place's memory, valid until the view is settled. Read it only, and
 * copy what must live longer.
 *
 * Codec and schema are not applied. It is always settled by hand, whatever `settle` says: `ack()`, `nack()` or `reject()`, or
 * at the end of a `using` block, which gives it back like nack(). One that is forgotten goes back and is reported (event
 * `leak`) when it is collected as garbage; until then its message keeps its room.
 */
export class MessageView extends Message<Uint8Array> implements Disposable {
  /** @internal Use `mailbox.receiveView()`. */
  constructor(delivery: Delivery, keeper: MessageKeeper) {
    const { body } = delivery;
    // An object of its own: the delivery, which its keeper knows, must not keep it from being collected.
    super(new Uint8Array(body.buffer, body.byteOffset, body.byteLength), delivery, keeper);
  }

  /** The same as `data`. */
  override get body(): Uint8Array {
    return this.data;
  }

  /** `using`: what was not settled goes back. */
  [Symbol.dispose](): void {
    if (this.settled !== 'no') return;
    // It rejects only where the message has gone back already: the handle closed, or the lease is over.
    this.nack().catch(() => undefined);
  }
}

/** What a view is to its mailbox. Never leads to the `MessageView` in the user's hand. */
class OpenView implements MessageKeeper, Leakable {
  readonly kind = 'view';
  readonly madeAt: Error | undefined;
  readonly #settings: ViewSettings;
  readonly #receiver: Receiver;
  readonly #delivery: Delivery;
  #isSettled = false;

  constructor(settings: ViewSettings, receiver: Receiver, delivery: Delivery, madeAt: Error | undefined) {
    this.#settings = settings;
    this.#receiver = receiver;
    this.#delivery = delivery;
    this.madeAt = madeAt;
  }

  /** A receiver that was closed has taken everything back. */
  get isOpen(): boolean {
    return !this.#isSettled && this.#settings.intake.attached === this.#receiver;
  }

  settle(delivery: Delivery, outcome: Outcome, delayMs: number): Promise<void> {
    const { mailbox, incoming } = this.#settings;
    if (!this.isOpen) {
      const what = 'the consumer was closed; the message has gone back and will be delivered again';
      return Promise.reject(new NaruError('NARU_CLOSED', `${mailbox}: ${what}`, { mailbox }));
    }
    this.#isSettled = true;
    return incoming.settle(delivery, outcome, delayMs);
  }

  extend(delivery: Delivery, ms: number): void {
    this.#settings.incoming.extend(delivery, ms);
  }

  /** Open until the dead-letter mailbox has taken the bytes. */
  async reject(message: Message<unknown>, reason: string): Promise<void> {
    await this.#settings.incoming.reject(message, reason);
    this.#isSettled = true;
  }

  reply(message: Message<unknown>, data: unknown): Promise<void> {
    return this.#settings.incoming.reply(message, data);
  }

  giveBack(): void {
    this.settle(this.#delivery, 'requeue', 0).catch(() => undefined);
  }
}

/** Looks at the clock once in so many views (a power of two, less one). */
const TURN_MASK = 0xff;

/** The views of one handle. */
export class Views {
  readonly #settings: ViewSettings;

  constructor(settings: ViewSettings) {
    this.#settings = settings;
  }

  /** The oldest message, once there is one. */
  receive(limits: WaitLimits): Promise<MessageView> {
    const { intake, leaks } = this.#settings;
    const madeAt = leaks.mark();
    const receiver = intake.attached;
    const mustTurn = (intake.received & TURN_MASK) === TURN_MASK && turnIsOver();
    if (receiver === undefined || mustTurn) return this.#receiveLater(limits, madeAt);
    const delivery = intake.takeView(receiver);
    if (delivery === undefined) return this.#receiveLater(limits, madeAt);
    return Promise.resolve(this.#handOut(receiver, delivery, madeAt));
  }

  /** The oldest message, if there is one now. */
  tryReceive(receiver: Receiver): MessageView | undefined {
    const { intake, leaks } = this.#settings;
    const delivery = intake.takeView(receiver);
    return delivery === undefined ? undefined : this.#handOut(receiver, delivery, leaks.mark());
  }

  async #receiveLater(limits: WaitLimits, madeAt: Error | undefined): Promise<MessageView> {
    const { intake, life } = this.#settings;
    // The seat is asked for before the event loop turns, as in receive().
    const seat = intake.attach(limits);
    const receiver = turnIsOver() ? (await Promise.all([seat, nextTurn()]))[0] : await seat;
    const [delivery] = await intake.wait(receiver, 1, limits, takeViews);
    if (delivery === undefined) throw life.nothingMore();
    return this.#handOut(receiver, delivery, madeAt);
  }

  #handOut(receiver: Receiver, delivery: Delivery, madeAt: Error | undefined): MessageView {
    const { incoming, leaks } = this.#settings;
    incoming.noteHandOut(receiver, delivery);
    const behind = new OpenView(this.#settings, receiver, delivery, madeAt);
    const view = new MessageView(delivery, behind);
    leaks.watch(view, behind);
    return view;
  }
}
