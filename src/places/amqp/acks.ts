// What was delivered on one channel and is not settled, and acks collected for a turn of the event loop: those of the oldest that are all
// settled go in one frame.

import type { AmqpChannel, AmqpMessage } from './protocol.ts';

type Done = (error?: Error) => void;

export class Acks {
  readonly #channel: AmqpChannel;
  readonly #barrier: () => Promise<unknown>;
  /** In the order of their tags. */
  readonly #open = new Map<number, AmqpMessage>();
  readonly #acked = new Set<number>();
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

  add(tag: number, message: AmqpMessage): void {
    this.#open.set(tag, message);
  }

  /** @returns undefined when it was settled, or never came over this channel */
  get(tag: number): AmqpMessage | undefined {
    return this.#acked.has(tag) ? undefined : this.#open.get(tag);
  }

  /** Takes it out without a word to the server. */
  take(tag: number): AmqpMessage | undefined {
    const message = this.#open.get(tag);
    this.#open.delete(tag);
    return message;
  }

  /** @param done  called when the queue has it. AMQP has no answer to an ack: the answer to a question behind it tells */
  ack(tag: number, done?: Done): void {
    this.#acked.add(tag);
    if (done !== undefined) this.#waiting.push(done);
    this.#soon ??= setImmediate(() => this.flush());
  }

  /** @param requeue  it goes back to its place; else it is gone */
  nack(tag: number, requeue: boolean, done?: Done): void {
    if (!this.#open.delete(tag)) {
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
    let upTo = 0;
    for (const tag of this.#open.keys()) {
      if (!this.#acked.delete(tag)) break;
      this.#open.delete(tag);
      upTo = tag;
    }
    if (upTo > 0) this.#send(() => this.#channel.ack({ fields: { deliveryTag: upTo } }, true));
    for (const tag of this.#acked) {
      if (this.#open.delete(tag))
        this.#send(() => this.#channel.ack({ fields: { deliveryTag: tag } }, false));
    }
    this.#acked.clear();
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
  abandon(each: (message: AmqpMessage) => void, error: Error): void {
    clearImmediate(this.#soon);
    for (const [tag, message] of this.#open) if (!this.#acked.has(tag)) each(message);
    this.#open.clear();
    this.#acked.clear();
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
