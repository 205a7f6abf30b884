// What was delivered on one channel and is not settled, and acks collected for a turn of the event loop: those of the oldest that are all
// settled go in one frame.

import type { AmqpDelivery } from './delivery.ts';
import type { AmqpChannel } from './protocol.ts';
import { Tags } from './tags.ts';

type Done = (error?: Error) => void;

export class Acks {
  readonly #channel: AmqpChannel;
  readonly #barrier: () => Promise<unknown>;
  readonly #open = new Tags<AmqpDelivery>();
  /** Tags that are acked, and the server is still to be told. */
  #acked: number[] = [];
  #waiting: Done[] = [];
  /** One question at a time: what is settled while it is out waits for the next. */
  #telling: Promise<void> | undefined;
  #soon: NodeJS.Immediate | undefined;

  /** @param barrier  comes back when the queue has everything that was sent to it before */
  constructor(channel: AmqpChannel, barrier: () => Promise<unknown>) {
    this.#channel = channel;
    this.#barrier = barrier;
  }

  /** How many the server counts as unsettled. */
  get open(): number {
    return this.#open.size;
  }

  add(tag: number, delivery: AmqpDelivery): void {
    this.#open.add(tag, delivery);
  }

  /** @returns undefined when it was settled, or never came over this channel */
  get(tag: number): AmqpDelivery | undefined {
    const delivery = this.#open.get(tag);
    return delivery?.isAcked === true ? undefined : delivery;
  }

  /** Takes it out without a word to the server. */
  take(tag: number): AmqpDelivery | undefined {
    return this.#open.delete(tag);
  }

  /** @param done  called when the queue has it. AMQP has no answer to an ack: the answer to a question behind it tells */
  ack(tag: number, done?: Done): void {
    const delivery = this.get(tag);
    if (delivery !== undefined) {
      delivery.isAcked = true;
      this.#acked.push(tag);
    }
    if (done !== undefined) this.#waiting.push(done);
    this.#soon ??= setImmediate(() => this.flush());
  }

  /** @param requeue  it goes back to its place; else it is gone */
  nack(tag: number, requeue: boolean, done?: Done): void {
    if (this.#open.delete(tag) === undefined) {
      // Its channel is gone: the server has given it back by itself.
      if (done !== undefined) setImmediate(done);
      return;
    }
    this.#send(() => this.#channel.nack({ fields: { deliveryTag: tag } }, false, requeue));
    if (done === undefined) return;
    this.#waiting.push(done);
    this.#soon ??= setImmediate(() => this.flush());
  }

  flush(): void {
    clearImmediate(this.#soon);
    this.#soon = undefined;
    const acked = this.#acked;
    this.#acked = [];
    const open = this.#open;
    let upTo = 0;
    while (open.size > 0 && open.get(open.oldest)?.isAcked === true) {
      upTo = open.oldest;
      open.delete(upTo);
    }
    if (upTo > 0) this.#send(() => this.#channel.ack({ fields: { deliveryTag: upTo } }, true));
    for (const tag of acked) {
      if (open.delete(tag) !== undefined)
        this.#send(() => this.#channel.ack({ fields: { deliveryTag: tag } }, false));
    }
    if (this.#waiting.length > 0) this.#telling ??= this.#tell();
  }

  /** Resolves when everybody has been told. */
  async whenTold(): Promise<void> {
    await this.#telling;
  }

  /** Everything that is not settled goes back. */
  giveBack(): void {
    this.flush();
    if (this.#open.size === 0) return;
    this.#open.clear();
    this.#send(() => this.#channel.nack({ fields: { deliveryTag: 0 } }, true, true));
  }

  /** The channel is gone. @param each  hears of each message that was not settled @param error  for acks that did not go out any more */
  abandon(each: (delivery: AmqpDelivery) => void, error: Error): void {
    clearImmediate(this.#soon);
    for (const delivery of this.#open.clear()) if (!delivery.isAcked) each(delivery);
    this.#acked = [];
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const done of waiting) done(error);
  }

  async #tell(): Promise<void> {
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting;
      this.#waiting = [];
      let failure: Error | undefined;
      try {
        await this.#barrier();
      } catch (error) {
        failure = error as Error;
      }
      for (const done of waiting) done(failure);
      // Those who came meanwhile: what they settled must be on its way before the question is.
      this.flush();
    }
    this.#telling = undefined;
  }

  /** On a channel that was closed this moment it throws; then the server gives everything back by itself. */
  #send(act: () => void): void {
    try {
      act();
    } catch {
      // Its end is told by the channel.
    }
  }
}
