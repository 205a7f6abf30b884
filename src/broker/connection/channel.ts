// One channel: its consumers, what it holds unsettled, its mode (plain, confirm, transaction), and giving all of it back when it
// ends. What each method does is in methods/.

import { writeBasicCancel } from '../../wire/amqp091/index.ts';
import type { Clock } from '../clock.ts';
import type { ReplyTarget } from '../core.ts';
import type { Queue } from '../queue/queue.ts';
import type { Entry } from '../queue/ring.ts';
import { preconditionFailed, type Refusal } from '../refusal.ts';
import type { Connection } from './connection.ts';
import type { Confirms } from './confirms.ts';
import { AckWatch, type Overdue, type Watched } from './ack-watch.ts';
import { EXPECT, Incoming, type Publication } from './publication.ts';
import type { Holder, Subscription, SubscriptionHost } from './subscription.ts';
import { Unacked } from './unacked.ts';

/** What a transaction does when it is committed. */
export interface Transaction {
  publications: Publication[];
  /** Settles, in order; each returns nothing and cannot fail: it was checked when it came. */
  settles: (() => void)[];
  /** Tags settled in this transaction: they cannot be settled again. */
  readonly tags: Set<number>;
  /** The same for all up to this one. */
  settledUntil: number;
}

/** Whether a transaction settles a tag when it is committed. */
export function isSettledBy({ tags, settledUntil }: Transaction, tag: number): boolean {
  return tag <= settledUntil || tags.has(tag);
}

/** A frame that is taken later. */
export interface HeldFrame {
  readonly type: number;
  readonly payload: Buffer;
}

export class Channel implements SubscriptionHost, Watched {
  readonly connection: Connection;
  readonly number: number;
  readonly subscriptions: Map<string, Subscription> = new Map<string, Subscription>();
  readonly unacked: Unacked = new Unacked();
  readonly incoming: Incoming = new Incoming();
  confirms: Confirms | undefined;
  transaction: Transaction | undefined;
  /** What `queue=''` means: declared last on this channel. */
  lastQueue = '';
  /** For consumers to come; 0: any number. */
  prefetch = 0;
  /** For all consumers of the channel together; 0: any number. */
  globalPrefetch = 0;
  /** The consumer of amq.rabbitmq.reply-to. */
  reply: (ReplyTarget & { readonly key: string; readonly tag: string }) | undefined;
  /** Frames that came while it waits for the disk, to be taken afterwards; undefined: it does not wait. */
  backlog: HeldFrame[] | undefined;
  /** Called when it waits no more. */
  goOn: () => void = () => undefined;
  /** Frames are ignored until the client confirms the close. */
  isClosing = false;
  /** Called to end the channel with a reply. */
  refuse: (refusal: Refusal) => void = () => undefined;
  #tag = 0;
  /** Made when a message is given out that must be settled in time. */
  #ackWatch: AckWatch | undefined;
  #waits = 0;
  #isFinishing = false;
  /** Tags of consumers that ended and are told of it later. */
  #notices: string[] | undefined;
  readonly #parked = new Set<Subscription>();

  constructor(connection: Connection, number: number) {
    this.connection = connection;
    this.number = number;
    connection.core.counters.channels += 1;
  }

  get hasCredit(): boolean {
    return this.globalPrefetch === 0 || this.unacked.count < this.globalPrefetch;
  }

  get clock(): Clock {
    return this.connection.core.clock;
  }

  get lastTag(): number {
    return this.#tag;
  }

  timeoutOf(queue: Queue): number | undefined {
    const ms = queue.policy.consumerTimeoutMs ?? this.connection.core.limits.consumerTimeoutMs;
    return ms === 0 ? undefined : ms;
  }

  eachUnsettled(fn: (tag: number, queue: Queue) => void): void {
    this.unacked.each(fn);
  }

  overdue({ queue, timeoutMs }: Overdue): void {
    const text = `delivery acknowledgement on channel ${this.number} timed out. Timeout value used: ${timeoutMs} ms`;
    this.refuse(preconditionFailed(`${text}. The message is from queue '${queue.name}'`));
  }

  #watch(queue: Queue): void {
    this.#ackWatch ??= new AckWatch(this);
    this.#ackWatch.note(queue);
  }

  nextTag(): number {
    this.#tag += 1;
    return this.#tag;
  }

  hold(
    tag: number,
    queue: Queue,
    holder: Holder | undefined,
    slot: number,
    position: number,
    expiresAt: number,
    returns: number,
  ): void {
    this.unacked.push(tag, queue, holder, slot, position, expiresAt, returns);
    if (this.#ackWatch !== undefined || this.timeoutOf(queue) !== undefined) this.#watch(queue);
  }

  park(subscription: Subscription): void {
    this.#parked.add(subscription);
  }

  /** Something was settled, or the socket has room: consumers that waited for it go on. */
  wake(): void {
    if (this.#parked.size === 0) return;
    const parked = [...this.#parked];
    this.#parked.clear();
    for (const subscription of parked) subscription.queue.wake(subscription);
  }

  ended(subscription: Subscription): void {
    this.subscriptions.delete(subscription.tag);
    this.#parked.delete(subscription);
    if (!this.connection.capabilities.consumerCancelNotify || !this.connection.isOpen || this.isClosing)
      return;
    if (this.#notices === undefined) this.#notify(subscription.tag);
    else this.#notices.push(subscription.tag);
  }

  #notify(consumerTag: string): void {
    writeBasicCancel(this.connection.output, this.number, { consumerTag, nowait: true });
  }

  /** Consumers that end from now on are told of it by tellEnded(): behind the answer to what ends them, as in RabbitMQ. */
  holdNotices(): void {
    this.#notices ??= [];
  }

  tellEnded(): void {
    for (const tag of this.#notices ?? []) this.#notify(tag);
    this.#notices = undefined;
  }

  addSubscription(subscription: Subscription): void {
    this.subscriptions.set(subscription.tag, subscription);
    subscription.queue.addConsumer(subscription);
  }

  removeSubscription(subscription: Subscription): void {
    this.subscriptions.delete(subscription.tag);
    this.#parked.delete(subscription);
    subscription.queue.removeConsumer(subscription);
  }

  /** The answers to publishes go out when the turn ends, together. */
  confirmLater(): void {
    if (this.#isFinishing) return;
    this.#isFinishing = true;
    this.connection.core.finishLater(this);
  }

  /** Storage has got further. */
  reach(sequence: number): boolean {
    const waits = this.confirms?.reach(sequence) ?? false;
    this.confirmLater();
    return waits && this.connection.isOpen && !this.isClosing;
  }

  /**
   * Answers when everything that is durable so far is safe; what the client sends on this channel meanwhile waits, in order.
   * @param isDurable  false: there is nothing to wait for
   */
  answerSafely(isDurable: boolean, answer: () => void): void {
    const { store } = this.connection.core;
    if (!isDurable || store === undefined || store.answersAt === 'memory') answer();
    else this.waitFor(store.settled(), answer);
  }

  /** Takes no frames until `until` resolves; then calls `then`. When it rejects the broker is ending: nothing is answered. */
  waitFor(until: Promise<void>, then: () => void): void {
    if (!this.connection.isOpen || this.connection.isLeaving) return;
    this.backlog ??= [];
    this.#waits += 1;
    const goOn = (): void => {
      this.#waits -= 1;
      if (this.isClosing || !this.connection.isOpen) return;
      then();
      if (this.#waits === 0) this.goOn();
    };
    void until.then(goOn, () => undefined);
  }

  finishTurn(): void {
    this.#isFinishing = false;
    if (this.connection.isOpen && !this.isClosing) this.confirms?.flush(this.connection.output, this.number);
  }

  /** Gives back everything unsettled, each queue's messages at once; what a transaction settles stays with it. */
  requeueAll(): void {
    const byQueue = new Map<Queue, Entry[]>();
    const { transaction } = this;
    const giveBack = (queue: Queue, entry: Entry): void => {
      const list = byQueue.get(queue);
      if (list === undefined) byQueue.set(queue, [entry]);
      else list.push(entry);
    };
    if (transaction === undefined || transaction.settles.length === 0)
      this.unacked.take(Infinity, true, giveBack);
    else {
      const tags: number[] = [];
      this.unacked.each((tag) => {
        if (!isSettledBy(transaction, tag)) tags.push(tag);
      });
      for (const tag of tags) this.unacked.take(tag, false, giveBack);
    }
    for (const [queue, entries] of byQueue) queue.requeue(entries);
    this.wake();
  }

  /** The channel is over: consumers leave, unsettled messages go back, an unfinished message is forgotten. */
  close(): void {
    this.isClosing = true;
    this.#ackWatch?.stop();
    const { core } = this.connection;
    core.counters.channels -= 1;
    if (this.reply !== undefined) core.replies.delete(this.reply.key);
    for (const subscription of this.subscriptions.values()) this.removeSubscription(subscription);
    this.dropIncoming();
    for (const { slot } of this.transaction?.publications ?? []) core.messages.release(slot);
    this.transaction = undefined;
    this.requeueAll();
  }

  /** Forgets a message whose content has not come in full. */
  dropIncoming(): void {
    const { incoming } = this;
    if (incoming.expects === EXPECT.body && incoming.pieces === undefined)
      this.connection.core.messages.release(incoming.slot);
    incoming.pieces = undefined;
    incoming.properties = undefined;
    incoming.expects = EXPECT.method;
  }
}
