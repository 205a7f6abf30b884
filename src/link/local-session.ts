// The way of a handle to a mailbox that its own process hosts: straight to the store, with the meaning of every call as over
// a connection.

import { NaruError } from '../errors/index.ts';
import type { Confirm } from '../mailbox/capabilities.ts';
import type { Delivery, Outcome, Outgoing, PlaceStats } from '../mailbox/driver.ts';
import { KeepAlive } from '../mailbox/keep-alive.ts';
import { bodyOffset, encodedSize } from '../wire/envelope.ts';
import type { Entry, OfferResult, Subscription } from '../store/types.ts';
import type { Account } from './credit.ts';
import type { Host, Participant } from './host.ts';
import { costOf, type LinkMessage, itemOf, keep, type Origin } from './item.ts';
import { Hold } from './session.ts';
import type {
  ConsumerOptions,
  ConsumerSeat,
  Peers,
  ProducerSeat,
  Session,
  SessionEvents,
  SessionReplies,
} from './session.ts';
import type { MailboxSettings } from './settings.ts';
import { Slab } from './slab.ts';
import { StageWaiters } from './stage-waiters.ts';

/** What a place gives its host's own handle. */
export interface LocalInit {
  readonly host: Host;
  readonly identity: string;
  readonly address: string;
  readonly events: SessionEvents;
  /** Its opening made the mailbox. Default: true. */
  readonly created?: boolean | undefined;
  /** It is not the host's own handle: when it closes, the host stays. Default: false. */
  readonly isGuest?: boolean | undefined;
  /** Closes the listener and its connections, after the host has stopped. */
  readonly shutDown: () => Promise<void>;
  /** The mailbox is unlinked: shutDown(), which follows, removes what outlives the host. */
  readonly destroy?: (() => void) | undefined;
  /** How long close() waits for others to take what is left, in milliseconds. */
  readonly flushMs: number;
}

export class LocalSession implements Session, Participant {
  readonly created: boolean;
  readonly offered: Confirm;
  readonly settings: MailboxSettings;
  readonly address: string;
  readonly identity: string;
  readonly #init: LocalInit;
  readonly #host: Host;
  readonly #alive = new KeepAlive();
  #producer: LocalProducer | undefined;
  #replyAddress: string | undefined;
  #consumed = false;
  #closing = false;

  constructor(init: LocalInit) {
    this.#init = init;
    this.#host = init.host;
    this.created = init.created ?? true;
    this.offered = init.host.stages === undefined ? 'placed' : 'accepted';
    this.settings = init.host.settings;
    this.address = init.address;
    this.identity = init.identity;
    init.host.join(this);
  }

  get host(): string {
    return this.#host.identity;
  }

  get peers(): Peers {
    return this.#host.peers;
  }

  hold(reason: number, on: boolean): void {
    this.#alive.hold(reason, on);
  }

  attachProducer(): Promise<ProducerSeat> {
    return attempt(() => {
      this.#host.takeSeat('producers');
      this.#producer = new LocalProducer(this.#host, this, this.#init.events);
      return this.#producer;
    });
  }

  attachConsumer(options: ConsumerOptions): Promise<ConsumerSeat> {
    return attempt(() => {
      this.#host.takeSeat('consumers');
      this.#consumed = true;
      return new LocalConsumer(this.#host, this.#init.events, options);
    });
  }

  openReplies(): Promise<SessionReplies> {
    const { events } = this.#init;
    const address = this.#host.openReplies((item) => {
      process.nextTick(() => events.reply(item.handTo(this, 0, 1)));
    });
    this.#replyAddress = address;
    return Promise.resolve({
      address,
      send: (replyTo, message) => attempt(() => this.#host.answer(replyTo, this.#answer(message))),
    });
  }

  stats(): Promise<PlaceStats> {
    return attempt(() => this.#host.stats());
  }

  peek(max: number): Promise<Delivery[]> {
    return attempt(() =>
      this.#host.peek(max).map(({ item, deliveries }) => item.again().handTo(this, 0, deliveries)),
    );
  }

  purge(): Promise<number> {
    return attempt(() => this.#host.purge());
  }

  async unlink(): Promise<void> {
    this.#host.leave(this);
    this.#init.destroy?.();
    this.#host.stop(closedError(this.#host, 'the mailbox was unlinked'), true);
    await this.#init.shutDown();
  }

  async close(flushMs: number = this.#init.flushMs): Promise<{ undelivered: number }> {
    const host = this.#host;
    if (this.#closing) return { undelivered: 0 };
    this.#closing = true;
    this.#alive.end();
    if (this.#replyAddress !== undefined) host.closeReplies(this.#replyAddress);
    if (this.#init.isGuest === true) {
      host.leave(this);
      return { undelivered: 0 };
    }
    // Who only sends gives consumers a chance to come; who received itself waits only for others that receive.
    // What outlives its host needs neither.
    const isFleeting = !host.isStopped && host.stages === undefined;
    if (isFleeting && (!this.#consumed || host.peers.consumers > 0)) await this.#drain(flushMs);
    const undelivered = isFleeting && !host.isStopped ? host.held : 0;
    host.leave(this);
    // A mailbox that has ended has nobody to go on with it; any other is made anew by those who still use it.
    if (host.isEnded && host.stages === undefined)
      host.stop(closedError(host, 'the mailbox has ended, and its host has closed it'), true);
    else {
      const text = `${host.mailbox}: the process that hosted the mailbox closed it`;
      host.stop(new NaruError('NARU_PEER_GONE', text, host), false);
    }
    await this.#init.shutDown();
    return { undelivered };
  }

  peersChanged(): void {
    this.#init.events.peers();
  }

  dropped(reason: string, count: number): void {
    this.#init.events.event('drop', { reason, count });
  }

  orphaned(role: 'producer' | 'consumer', identity: string): void {
    this.#init.events.event('orphan', { role, identity });
  }

  stopped(error: NaruError, final: boolean): void {
    this.#alive.end();
    this.#producer?.lost();
    void this.#init.shutDown();
    this.#init.events.lost(error, final);
  }

  /** Waits until the others have taken and settled everything, at most flushMs. */
  #drain(flushMs: number): Promise<void> {
    const host = this.#host;
    const until = performance.now() + flushMs;
    return new Promise((resolve) => {
      const look = (): void => {
        if (host.held === 0 || host.isStopped || performance.now() >= until) resolve();
        else setTimeout(look, DRAIN_LOOK_MS);
      };
      look();
    });
  }

  #answer(message: Outgoing): LinkMessage {
    const length = encodedSize(message);
    const { chunk, offset } = keep(message, length, new Slab());
    const body = bodyOffset(chunk.view, offset, length);
    return itemOf(chunk, offset, length, body, length, this.identity, undefined, 0, false);
  }
}

/** So many bytes are taken before it is asked again how much room there is. */
const LOOK_BYTES = 1 << 20;

/** How often a closing host looks whether everything was taken. */
const DRAIN_LOOK_MS = 5;

class LocalProducer implements ProducerSeat, Origin {
  readonly #host: Host;
  readonly #session: LocalSession;
  readonly #account: Account;
  readonly #slab = new Slab();
  /** Who waits for a consumer to receive a message of theirs. */
  readonly #receipts = new Map<number, (error?: Error) => void>();
  readonly #staged: StageWaiters | undefined;
  #sent = 0;
  #closed = false;

  constructor(host: Host, session: LocalSession, events: SessionEvents) {
    this.#host = host;
    this.#session = session;
    if (host.stages !== undefined) {
      this.#staged = new StageWaiters(host, (isWaiting) => session.hold(Hold.done, isWaiting));
    }
    const giveBack = (): void => host.ledger.returned(this.#account, 0, 0);
    this.#account = host.ledger.open({ grant: () => events.writable(), recall: giveBack }, false);
  }

  offer(batch: readonly Outgoing[], from: number): number {
    const host = this.#host;
    if (host.isEnded || host.isStopped) throw closedError(host, 'the mailbox has ended');
    const { capacityBytes, dropOldest } = host.settings;
    // What it waited for is free again, for this call.
    if (this.#account.messages > 0) host.ledger.returned(this.#account, 0, 0);
    if (this.#staged !== undefined) return this.#stage(batch, from, this.#staged);
    let at = from;
    for (; at < batch.length; at += 1) {
      const message = batch[at] as Outgoing;
      const length = sizeOrRefusal(message);
      if (length < 0) continue;
      const cost = costOf(length, capacityBytes);
      const free = host.ledger.free();
      if (!dropOldest && (free.messages < 1 || free.bytes < cost)) {
        host.ledger.needs(this.#account, cost);
        host.balanceSoon();
        break;
      }
      if (!this.#place(message, length, cost)) break;
    }
    return at - from;
  }

  poll(message: Outgoing): Promise<void> {
    return this.#host.ask(this.#account, costOf(encodedSize(message), this.#host.settings.capacityBytes));
  }

  end(): Promise<void> {
    this.#host.end();
    return Promise.resolve();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#host.ledger.close(this.#account);
    this.#host.giveSeat('producers');
    this.#host.balanceSoon();
    this.#failReceipts();
    await this.#staged?.close();
  }

  confirmed(index: number): void {
    const done = this.#receipts.get(index);
    this.#receipts.delete(index);
    if (this.#receipts.size === 0) this.#session.hold(Hold.done, false);
    if (done !== undefined) process.nextTick(done);
  }

  lost(): void {
    this.#failReceipts();
    this.#staged?.fail();
  }

  /** offer(), where messages are placed later: they are encoded where they stay. */
  #stage(batch: readonly Outgoing[], from: number, staged: StageWaiters): number {
    const host = this.#host;
    const { capacityBytes } = host.settings;
    let free = host.ledger.free();
    let used = 0;
    let at = from;
    for (let count = 0; at < batch.length; at += 1, count += 1) {
      const message = batch[at] as Outgoing;
      const length = sizeOrRefusal(message);
      if (length < 0) continue;
      const cost = costOf(length, capacityBytes);
      // What waits to be written has a limit of its own: it is asked for again and again.
      if (used > LOOK_BYTES) {
        free = host.ledger.free();
        used = 0;
        count = 0;
      }
      const hasRoom = free.messages - count >= 1 && free.bytes - used >= cost;
      if (!hasRoom || this.#take(message, length, cost, staged) === 'full') {
        host.ledger.needs(this.#account, cost);
        if (!hasRoom) host.balanceSoon();
        break;
      }
      used += cost;
    }
    return at - from;
  }

  #take(message: Outgoing, length: number, cost: number, staged: StageWaiters): OfferResult {
    const { done, confirm } = message;
    const index = this.#sent + 1;
    const origin = confirm === 'received' && done !== undefined ? this : undefined;
    const result = this.#host.take(message, length, cost, this.#session.identity, origin, index);
    if (result !== 'taken') return result;
    this.#sent = index;
    if (done === undefined) return result;
    if (origin !== undefined) {
      this.#receipts.set(index, done);
      this.#session.hold(Hold.done, true);
    } else if (confirm === 'placed' || confirm === 'durable') staged.wait(confirm, done);
    else process.nextTick(done);
    return result;
  }

  /** @returns false when there was no room after all */
  #place(message: Outgoing, length: number, cost: number): boolean {
    const host = this.#host;
    const { done, confirm } = message;
    const index = this.#sent + 1;
    const origin = confirm === 'received' && done !== undefined ? this : undefined;
    const { chunk, offset } = keep(message, length, this.#slab);
    const body = bodyOffset(chunk.view, offset, length);
    const { identity } = this.#session;
    const ids = host.settings.dedup > 0;
    const item = itemOf(chunk, offset, length, body, cost, identity, origin, index, ids);
    const result = host.offer(item);
    if (result === 'full') {
      host.ledger.needs(this.#account, cost);
      return false;
    }
    this.#sent = index;
    if (done === undefined) return true;
    if (origin === undefined) process.nextTick(done);
    else if (result === 'dropped') {
      const error = new NaruError('NARU_NO_CONSUMER', `${host.mailbox}: nobody is there to receive`, host);
      process.nextTick(() => done(error));
    } else {
      this.#receipts.set(index, done);
      this.#session.hold(Hold.done, true);
    }
    return true;
  }

  #failReceipts(): void {
    const receipts = [...this.#receipts.values()];
    this.#receipts.clear();
    this.#session.hold(Hold.done, false);
    const host = this.#host;
    for (const done of receipts) {
      const text = `${host.mailbox}: the mailbox closed before the message was received`;
      process.nextTick(() => done(new NaruError('NARU_OUTCOME_UNKNOWN', text, host)));
    }
  }
}

class LocalConsumer implements ConsumerSeat {
  readonly #host: Host;
  readonly #subscription: Subscription<LinkMessage>;
  readonly #hand = ({ item, token, deliveries }: Entry<LinkMessage>): Delivery => {
    const own = item.seat === undefined ? item : item.again();
    return own.handTo(this, token, deliveries);
  };
  #closed = false;

  constructor(host: Host, events: SessionEvents, options: ConsumerOptions) {
    this.#host = host;
    this.#subscription = host.subscribe(() => events.readable(), options);
  }

  get ended(): boolean {
    return this.#subscription.ended;
  }

  take(max: number, out: Delivery[]): number {
    return this.#subscription.takeAs(max, out, this.#hand);
  }

  want(count: number): void {
    this.#subscription.want(count);
  }

  poll(): Promise<void> {
    return Promise.resolve();
  }

  settle(delivery: Delivery, outcome: Outcome, delayMs: number, done?: (error?: Error) => void): void {
    const settled = this.#owns(delivery) && this.#subscription.settle(delivery.token, outcome, delayMs);
    if (settled && (outcome === 'ack' || outcome === 'reject')) this.#host.freed();
    if (done === undefined) return;
    process.nextTick(done, settled ? undefined : lateError(this.#host));
  }

  ackAll(deliveries: readonly Delivery[]): void {
    const isMine = (delivery: Delivery): boolean => this.#owns(delivery);
    this.#subscription.ackAll(deliveries.every(isMine) ? deliveries : deliveries.filter(isMine));
    this.#host.freed();
  }

  received(delivery: Delivery): void {
    const { origin, index } = delivery as LinkMessage;
    origin?.confirmed(index);
  }

  extend(delivery: Delivery, ms: number): void {
    if (this.#owns(delivery)) this.#subscription.extend(delivery.token, ms);
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#subscription.close();
    this.#host.giveSeat('consumers');
    this.#host.freed();
    return Promise.resolve();
  }

  #owns(delivery: Delivery): boolean {
    return (delivery as LinkMessage).seat === this;
  }
}

/**
 * The encoded size; -1 when the message cannot be carried at all and its sender was told.
 * @throws NARU_TOO_LARGE, NARU_INVALID_MESSAGE  the same, where the sender waits for no answer
 */
export function sizeOrRefusal(message: Outgoing): number {
  try {
    return encodedSize(message);
  } catch (error) {
    const { done } = message;
    if (done === undefined || !(error instanceof Error)) throw error;
    process.nextTick(() => done(error));
    return -1;
  }
}

/** Runs something that may throw, as a promise. */
function attempt<T>(action: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(action());
  });
}

function closedError(host: Host, why: string): NaruError {
  return new NaruError('NARU_CLOSED', `${host.mailbox}: ${why}`, host);
}

/** The message is no longer this consumer's. */
export function lateError(at: { readonly mailbox: string; readonly place: string }): NaruError {
  return new NaruError(
    'NARU_DISCONNECTED',
    `${at.mailbox}: too late to settle: the lease is over or the connection was lost; the message is delivered again`,
    at,
  );
}
