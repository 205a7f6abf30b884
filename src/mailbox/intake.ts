// The receiving half of a handle: order among waiting receives, and how much the driver is asked to bring. Hands out
// deliveries; decoding and settling rules are in mailbox.ts and iterate.ts.

import { NaruError } from '../errors/index.ts';
import type { Delivery, Driver, Receiver } from './driver.ts';
import { Seat } from './seat.ts';
import { timeoutError, watchLimits, type WaitLimits } from './waiting.ts';

/** Takes up to `max` messages. @returns how many */
export type Take = (receiver: Receiver, max: number, out: Delivery[]) => number;

const takeBodies: Take = (receiver, max, out) => receiver.take(max, out);

/** One message, its body where it lies. */
export const takeViews: Take = (receiver, _max, out) => {
  const delivery = receiver.takeView?.();
  if (delivery === undefined) return 0;
  out.push(delivery);
  return 1;
};

interface WaitingReceive {
  readonly take: Take;
  /** How many messages it takes at most. */
  readonly max: number;
  readonly give: (deliveries: Delivery[]) => void;
  readonly failed: (error: unknown) => void;
}

export class Intake {
  readonly #mailbox: string;
  readonly #single: Delivery[] = [];
  readonly #seat: Seat<Receiver>;
  #waiting: WaitingReceive[] = [];
  /** Sum of `max` over all that wait. */
  #wanted = 0;
  #failed: Error | undefined;
  #finished = false;
  #draining = false;
  #drainAgain = false;
  #inHand = 0;
  #idle: (() => void)[] = [];
  received = 0;

  constructor(driver: Driver, mailbox: string) {
    this.#seat = new Seat(() => driver.attachReceiver(), 'consumer', mailbox);
    this.#mailbox = mailbox;
  }

  get waitingReceives(): number {
    return this.#waiting.length;
  }

  /** True once this handle takes nothing more. */
  get finished(): boolean {
    return this.#finished;
  }

  get attached(): Receiver | undefined {
    return this.#seat.end;
  }

  /** Takes the consumer's seat. Idempotent. */
  attach(limits: WaitLimits = {}): Promise<Receiver> {
    if (this.#failed !== undefined) {
      // To a loop that was busy just then, an end is an end, whatever came after it.
      const receiver = this.#seat.end;
      return receiver?.ended === true ? Promise.resolve(receiver) : Promise.reject(this.#failed);
    }
    return this.#seat.take(limits);
  }

  /** Gives the seat back; unsettled messages return to the place. */
  async detach(): Promise<void> {
    const receiver = await this.#seat.leave();
    if (receiver === undefined) return;
    this.#rejectAll(this.#disconnected());
    await receiver.close();
  }

  /** One message if one is there; never overtakes a waiting receive. */
  takeOne(receiver: Receiver): Delivery | undefined {
    if (this.#waiting.length > 0) return undefined;
    this.received += receiver.take(1, this.#single);
    // Not `length = 0`, which throws the array's memory away and costs more than all the rest.
    return this.#single.pop();
  }

  /** The same, its body where it lies. */
  takeView(receiver: Receiver): Delivery | undefined {
    if (this.#waiting.length > 0) return undefined;
    const delivery = receiver.takeView?.();
    if (delivery !== undefined) this.received += 1;
    return delivery;
  }

  /** Up to `max` messages that are there now. */
  takeMany(receiver: Receiver, max: number, out: Delivery[], take: Take = takeBodies): number {
    if (this.#waiting.length > 0) return 0;
    const count = take(receiver, max, out);
    this.received += count;
    return count;
  }

  /**
   * Waits until at least one message is there.
   * @returns 1 to `max` deliveries; none when the mailbox has ended or this handle was closed
   * @throws NARU_TIMEOUT, what the place failed with, the signal's reason
   */
  async wait(
    receiver: Receiver,
    max: number,
    limits: WaitLimits,
    take: Take = takeBodies,
  ): Promise<Delivery[]> {
    const out: Delivery[] = [];
    if (this.#failed !== undefined) {
      if (receiver.ended) return out;
      throw this.#failed;
    }
    if (this.#finished) return out;
    if (this.takeMany(receiver, max, out, take) > 0) return out;
    if (receiver.ended) return out;
    // The seat may have been given back while the caller was taking it.
    if (this.#seat.end !== receiver) throw this.#disconnected();
    if (limits.timeoutMs === 0) {
      if (receiver.poll !== undefined) {
        await receiver.poll();
        if (this.takeMany(receiver, max, out, take) > 0 || receiver.ended) return out;
      }
      throw timeoutError('there was no message', 0, this.#mailbox);
    }
    return this.#wait(receiver, max, limits, take);
  }

  /** The driver says that there may be something. It may say so from inside take(): then once more, afterwards. */
  drain(): void {
    const receiver = this.#seat.end;
    this.#drainAgain = true;
    if (receiver === undefined || this.#draining || this.#waiting.length === 0) return;
    this.#draining = true;
    while (this.#drainAgain) {
      this.#drainAgain = false;
      this.#drainOnce(receiver);
    }
    this.#draining = false;
    receiver.want(this.#wanted);
  }

  #drainOnce(receiver: Receiver): void {
    for (let head = this.#waiting[0]; head !== undefined; head = this.#waiting[0]) {
      const out: Delivery[] = [];
      const count = head.take(receiver, head.max, out);
      if (count === 0 && !receiver.ended) break;
      this.received += count;
      this.#remove(head);
      head.give(out);
    }
  }

  /** This handle closes: every waiting receive and every later one gets nothing, as at the end of the mailbox. */
  finish(): void {
    this.#finished = true;
    this.#giveNothing();
  }

  #giveNothing(): void {
    for (const entry of this.#waiting.slice()) {
      this.#remove(entry);
      entry.give([]);
    }
  }

  /** The place is gone: every waiting receive and every later one rejects. */
  fail(error: Error): void {
    this.#failed = error;
    // The end had come before, and only the news of it had not.
    if (this.#seat.end?.ended === true) this.#giveNothing();
    else this.#rejectAll(error);
  }

  /** A loop got messages (count > 0) or is done with them (count < 0). */
  hold(count: number): void {
    this.#inHand += count;
    if (this.#inHand > 0) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const listener of idle) listener();
  }

  /** Resolves when no loop has a message in hand. */
  whenIdle(): Promise<void> {
    if (this.#inHand === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle.push(resolve);
    });
  }

  #wait(receiver: Receiver, max: number, limits: WaitLimits, take: Take): Promise<Delivery[]> {
    return new Promise((resolve, reject) => {
      let stop = (): void => undefined;
      const entry: WaitingReceive = {
        take,
        max,
        give: (deliveries) => {
          stop();
          resolve(deliveries);
        },
        failed: (error) => {
          stop();
          this.#remove(entry);
          reject(error);
          if (this.#seat.end === receiver) receiver.want(this.#wanted);
        },
      };
      if (limits.signal !== undefined || limits.timeoutMs !== undefined) {
        stop = watchLimits(limits, 'no message came', this.#mailbox, entry.failed);
      }
      this.#waiting.push(entry);
      this.#wanted += max;
      receiver.want(this.#wanted);
    });
  }

  #disconnected(): NaruError {
    return new NaruError('NARU_CLOSED', `${this.#mailbox}: the consumer was disconnected`);
  }

  #remove(entry: WaitingReceive): void {
    const index = this.#waiting.indexOf(entry);
    if (index < 0) return;
    this.#waiting.splice(index, 1);
    this.#wanted -= entry.max;
  }

  #rejectAll(error: Error): void {
    for (const entry of this.#waiting.slice()) entry.failed(error);
  }
}
