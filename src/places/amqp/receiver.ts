// The receiving end. One call at a time asks the server for what somebody wants: single messages are fetched, so that none too many comes; a
// stream is consumed, with a prefetch of what may be unsettled. What nobody wanted in the end goes back.

import { Demand } from '../../client/demand.ts';
import { tooLate } from '../../client/too-late.ts';
import type { NaruError } from '../../errors/index.ts';
import type { Delivery, DriverHooks, Outcome, Receiver } from '../../mailbox/driver.ts';
import { Acks } from './acks.ts';
import { type AmqpConnection, closeChannel } from './client.ts';
import { Deliveries } from './deliveries.ts';
import { AmqpDelivery } from './delivery.ts';
import type { AmqpChannel, AmqpMessage } from './protocol.ts';

/** How long what nobody wants is kept before it goes back, in milliseconds: an aborted receive is often followed by another. */
const KEEP_MS = 5;
const PREFETCH_MAX = 65_535;
const POLL_MAX = 256;
/** Tokens of one channel; more messages than this nobody takes from one. */
const EPOCH = 2 ** 40;

export interface ReceiverInit {
  readonly hooks: DriverHooks;
  readonly text: string;
  /** How many messages may be fetched ahead. */
  readonly prefetch: number;
  /** Takes nothing that goes back: what comes back to a mailbox with a limit is more than it may hold. */
  readonly isExact: boolean;
  /** Makes sure on a new channel that the queue is there. @returns its name */
  readonly queue: (channel: AmqpChannel) => Promise<string>;
  /** The queue may be gone. */
  readonly suspect: () => void;
  readonly hold: (isNeeded: boolean) => void;
  readonly onClose: () => Promise<void>;
}

interface Consumer {
  readonly tag: string;
  readonly limit: number;
}

export class AmqpReceiver implements Receiver {
  readonly ended = false;
  readonly #init: ReceiverInit;
  readonly #demand: Demand;
  readonly #deliveries = new Deliveries();
  #acks: Acks | undefined;
  #channel: AmqpChannel | undefined;
  #queue = '';
  #epoch = 0;
  #fetched: AmqpDelivery[] = [];
  #asked = 1;
  #consumer: Consumer | undefined;
  #tags = 0;
  /** Nothing was there the last time. */
  #isEmpty = false;
  #working: Promise<void> | undefined;
  #mustWork = false;
  #cancelling: Promise<unknown> | undefined;
  /** What goes back together, and the end of waiting for it. */
  #goingBack: { readonly tag: number; readonly done: ((error?: Error) => void) | undefined }[] = [];
  #returning: Promise<void> | undefined;
  /** Goes on while somebody wants something: to make a timer for each rest costs more than to look when one ends. */
  #keep: NodeJS.Timeout | undefined;
  #restsSince = 0;
  readonly #delayed = new Map<number, NodeJS.Timeout>();
  #closed: Promise<void> | undefined;

  constructor(init: ReceiverInit) {
    this.#init = init;
    this.#demand = new Demand(init.hold);
  }

  /** Begins on a connection. What came over the one before is void: the server gives it to somebody again. */
  async start(connection: AmqpConnection): Promise<void> {
    this.#forget();
    let channel: AmqpChannel | undefined;
    channel = await connection.channel('plain', (error) => {
      if (channel === undefined || channel !== this.#channel) return;
      this.#forget();
      if (error === undefined || this.#closed !== undefined) return;
      // The server closed it, and the connection is there.
      this.#init.suspect();
      setTimeout(() => this.#restart(connection), KEEP_MS);
    });
    this.#queue = await this.#init.queue(channel);
    this.#channel = channel;
    this.#acks = new Acks(channel, async () => {
      try {
        await channel.checkQueue(this.#queue);
      } catch {
        throw this.#tooLate();
      }
    });
    this.#work();
  }

  take(max: number, out: Delivery[]): number {
    if (this.#closed !== undefined || this.#returning !== undefined) return 0;
    this.#asked = max;
    const fetched = this.#fetched;
    const count = Math.min(max, fetched.length);
    for (let i = 0; i < count; i += 1) out.push(fetched[i] as Delivery);
    this.#fetched = count === fetched.length ? [] : fetched.slice(count);
    return count;
  }

  want(count: number): void {
    if (this.#closed !== undefined) return;
    const was = this.#demand.wanted;
    this.#demand.want(count);
    if (count === 0) {
      if (was === 0) return;
      this.#restsSince = performance.now();
      this.#rest();
      return;
    }
    if (!this.#isFed) this.#work();
  }

  async poll(): Promise<void> {
    await this.#working;
    const most = Math.min(this.#asked, POLL_MAX);
    await this.#demand.polling(async () => {
      if (this.#fetched.length >= most) return;
      try {
        // What is fetched could overtake what is on its way to a consumer.
        await this.#cancel();
        while (this.#fetched.length < most && this.#closed === undefined && (await this.#get()));
      } catch {
        // The channel is over, and tells it itself.
      }
    });
    if (this.#demand.wanted === 0) this.#rest();
  }

  settle(delivery: Delivery, outcome: Outcome, delayMs: number, done?: (error?: Error) => void): void {
    this.#settle(delivery, outcome, delayMs, done === undefined ? undefined : this.#demand.awaited(done));
  }

  ackAll(deliveries: readonly Delivery[]): void {
    const first = this.#epoch * EPOCH;
    for (const { token } of deliveries) if (token > first) this.#acks?.ack(token - first);
  }

  received(): void {
    // Nobody waits for it: the place has no receipts.
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #settle(delivery: Delivery, outcome: Outcome, delayMs: number, done?: (error?: Error) => void): void {
    const acks = this.#acks;
    const tag = delivery.token - this.#epoch * EPOCH;
    const found = tag > 0 ? acks?.get(tag) : undefined;
    if (acks === undefined || found === undefined) {
      if (done !== undefined) setImmediate(() => done(this.#tooLate()));
      return;
    }
    const { message } = found;
    if (outcome === 'ack' || outcome === 'reject') {
      this.#deliveries.forget(message);
      if (outcome === 'ack') acks.ack(tag, done);
      else acks.nack(tag, false, done);
      return;
    }
    this.#deliveries.wentBack(message, outcome === 'release' ? delivery.deliveries - 1 : delivery.deliveries);
    if (delayMs > 0) this.#requeueLater(acks, tag, delayMs, done);
    else this.#goBack(acks, tag, done);
  }

  #restart(connection: AmqpConnection): void {
    if (this.#closed !== undefined || this.#channel !== undefined || connection.isOver) return;
    this.start(connection).catch(() => this.#init.suspect());
  }

  /** Nothing of the channel counts any more. */
  #forget(): void {
    for (const { token, deliveries } of this.#fetched) {
      const found = this.#acks?.take(token - this.#epoch * EPOCH);
      if (found !== undefined) this.#deliveries.wentBack(found.message, deliveries - 1);
    }
    this.#acks?.abandon(
      ({ message }) => this.#deliveries.wentBack(message, this.#deliveries.count(message)),
      this.#tooLate(),
    );
    for (const timer of this.#delayed.values()) clearTimeout(timer);
    this.#delayed.clear();
    this.#acks = undefined;
    this.#channel = undefined;
    this.#consumer = undefined;
    this.#fetched = [];
    this.#isEmpty = false;
    this.#epoch += 1;
  }

  #work(): void {
    if (this.#closed !== undefined) return;
    this.#mustWork = true;
    this.#working ??= this.#steps()
      .catch(() => undefined)
      .finally(() => {
        this.#working = undefined;
        // Somebody asked for more when the last step was done, and not yet known to be.
        if (this.#mustWork && this.#channel !== undefined) this.#work();
      });
  }

  /** Until the server has been asked for everything that is wanted. An error is the end of the channel, which tells it itself. */
  async #steps(): Promise<void> {
    while (this.#closed === undefined && this.#channel !== undefined) {
      this.#mustWork = false;
      if (this.#returning !== undefined) await this.#returning;
      const missing = this.#demand.wanted - this.#fetched.length;
      if (missing <= 0 || this.#demand.wanted === 0) break;
      const limit = this.#heldByUsers() + this.#ahead();
      const isStream = !this.#init.isExact && (this.#demand.isBulk || this.#demand.isStreak);
      if (this.#consumer === undefined && !isStream && !this.#isEmpty) {
        if (!(await this.#get())) this.#isEmpty = true;
        if (this.#fetched.length >= this.#demand.wanted || this.#isEmpty) this.#offer();
      } else if (this.#consumer === undefined) {
        await this.#consume(limit);
      } else if (this.#isTooNarrow(this.#consumer.limit, limit)) {
        await this.#cancel();
        await this.#consume(limit + this.#heldByUsers());
      } else break;
    }
    if (this.#demand.wanted === 0) this.#rest();
    else this.#offer();
  }

  /** A consumer with room brings what is wanted by itself. */
  get #isFed(): boolean {
    const consumer = this.#consumer;
    if (consumer === undefined || this.#returning !== undefined || this.#fetched.length > 0) return false;
    return (
      this.#working === undefined && !this.#isTooNarrow(consumer.limit, this.#heldByUsers() + this.#ahead())
    );
  }

  /** Whether what users hold leaves hardly any room in a prefetch, or a larger one pays by now. */
  #isTooNarrow(has: number, wants: number): boolean {
    const free = has - this.#heldByUsers();
    return free < Math.max(1, Math.min(this.#ahead(), has) / 2) || wants > 2 * has;
  }

  #heldByUsers(): number {
    return (this.#acks?.open ?? 0) - this.#fetched.length;
  }

  /** How many may be on their way for whoever wants so many. */
  #ahead(): number {
    const { prefetch, isExact } = this.#init;
    return isExact ? 1 : this.#demand.ahead(prefetch);
  }

  async #get(): Promise<boolean> {
    const channel = this.#channel;
    if (channel === undefined) return false;
    const message = await channel.get(this.#queue, { noAck: false });
    if (message === false || channel !== this.#channel) return false;
    this.#arrived(message);
    return true;
  }

  async #consume(limit: number): Promise<void> {
    const channel = this.#channel;
    if (channel === undefined) return;
    this.#tags += 1;
    const consumer: Consumer = { tag: `naru-${this.#tags}`, limit: Math.min(PREFETCH_MAX, limit) };
    const deliver = (message: AmqpMessage | null): void => {
      if (channel !== this.#channel) return;
      if (message === null) {
        if (this.#consumer === consumer) this.#consumer = undefined;
        this.#init.suspect();
        return;
      }
      this.#arrived(message);
      // The first of a group wakes whoever waits, who takes the rest of it as well.
      if (this.#demand.wanted > 0 || this.#fetched.length === 1) this.#offer();
    };
    this.#consumer = consumer;
    // One behind the other without waiting: the prefetch is that of the consumer that comes next.
    await Promise.all([
      channel.prefetch(consumer.limit),
      channel.consume(this.#queue, deliver, { noAck: false, consumerTag: consumer.tag }),
    ]);
    if (this.#demand.wanted === 0) this.#rest();
  }

  /** Comes back when nothing more is on its way. */
  async #cancel(): Promise<void> {
    const consumer = this.#consumer;
    this.#consumer = undefined;
    this.#isEmpty = false;
    if (consumer !== undefined && this.#channel !== undefined) {
      const cancelling = this.#channel.cancel(consumer.tag).finally(() => {
        if (this.#cancelling === cancelling) this.#cancelling = undefined;
      });
      this.#cancelling = cancelling;
    }
    await this.#cancelling;
  }

  /** What goes back must not be overtaken by what came after it: that goes back as well, once nothing more is on its way. */
  #goBack(acks: Acks, tag: number, done: ((error?: Error) => void) | undefined): void {
    this.#goingBack.push({ tag, done });
    if (this.#returning !== undefined) return;
    if (this.#consumer === undefined && this.#cancelling === undefined) {
      this.#returnAll(acks);
      return;
    }
    this.#returning = this.#cancel()
      .catch(() => undefined)
      .finally(() => {
        this.#returning = undefined;
        this.#returnAll(acks);
        if (this.#demand.wanted > 0) this.#work();
      });
  }

  #returnAll(acks: Acks): void {
    this.#isEmpty = false;
    const goingBack = this.#goingBack;
    this.#goingBack = [];
    for (const { tag, done } of goingBack) acks.nack(tag, true, done);
    if (acks !== this.#acks) return;
    const fetched = this.#fetched;
    this.#fetched = [];
    for (const { token, deliveries } of fetched) {
      const tag = token - this.#epoch * EPOCH;
      const found = acks.get(tag);
      if (found !== undefined) this.#deliveries.wentBack(found.message, deliveries - 1);
      acks.nack(tag, true);
    }
  }

  #arrived(message: AmqpMessage): void {
    const { deliveryTag } = message.fields;
    const token = this.#epoch * EPOCH + deliveryTag;
    const delivery = new AmqpDelivery(message, this.#deliveries.count(message), token);
    this.#acks?.add(deliveryTag, delivery);
    this.#fetched.push(delivery);
  }

  #offer(): void {
    if (this.#fetched.length === 0) return;
    if (this.#demand.wanted > 0) this.#init.hooks.readable();
    else this.#rest();
  }

  /**
   * Nobody wants anything now. Whoever is not in a hurry gets no more than was asked for: the consumer ends before the acks make room, so
   * that nothing comes that has to go back, and would be marked.
   */
  #rest(): void {
    if (this.#closed !== undefined) return;
    if ((!this.#demand.isStreak || this.#init.isExact) && this.#consumer !== undefined)
      this.#cancel().catch(() => undefined);
    this.#keep ??= setTimeout(() => this.#lapse(), KEEP_MS).unref();
  }

  #lapse(): void {
    this.#keep = undefined;
    if (this.#demand.isAsked) return;
    const leftMs = this.#restsSince + KEEP_MS - performance.now();
    if (leftMs > 0) {
      this.#keep = setTimeout(() => this.#lapse(), leftMs).unref();
      return;
    }
    this.#demand.rested();
    // What was on its way when it was cancelled arrives before the answer.
    this.#cancel()
      .catch(() => undefined)
      .finally(() => this.#giveBack());
  }

  #giveBack(): void {
    if (!this.#demand.isAsked && this.#acks !== undefined) this.#returnAll(this.#acks);
  }

  /** It stays in hand until then: the server has no such thing. */
  #requeueLater(acks: Acks, tag: number, delayMs: number, done: ((error?: Error) => void) | undefined): void {
    const timer = setTimeout(() => {
      this.#delayed.delete(tag);
      acks.nack(tag, true);
      this.#isEmpty = false;
      this.#work();
    }, delayMs).unref();
    this.#delayed.set(tag, timer);
    if (done !== undefined) setImmediate(done);
  }

  #tooLate(): NaruError {
    return tooLate('amqp', this.#init.text);
  }

  async #close(): Promise<void> {
    this.#demand.want(0);
    clearTimeout(this.#keep);
    for (const timer of this.#delayed.values()) clearTimeout(timer);
    const channel = this.#channel;
    try {
      await this.#cancel();
      this.#acks?.giveBack();
      await this.#acks?.whenTold();
      this.#fetched = [];
      this.#channel = undefined;
    } catch {
      // It went with its connection, and the server gives back what it had.
    }
    await closeChannel(channel);
    await this.#init.onClose();
  }
}
