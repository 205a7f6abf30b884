// The receiving end: says how much it wants, keeps little ahead, settles many at once, and counts what was passed over. It outlives a
// connection; what came over an earlier one can no longer be settled.

import { NaruError } from '../errors/index.ts';
import { LINK } from '../link/limits.ts';
import { Operation, OUTCOMES } from '../link/operation.ts';
import { Deque } from '../store/deque.ts';
import type { MessageFields } from '../wire/envelope-types.ts';
import { decodeEnvelope } from '../wire/envelope.ts';
import { DELIVER_PREFIX_BYTES, FrameType, WANTS_RECEIPT } from '../wire/frame-types.ts';
import type { Connection } from './connection.ts';
import type { Frame } from './frame-reader.ts';
import { type Limits, Waiter } from './waiting.ts';

/** How a message is settled. */
export type Outcome = (typeof OUTCOMES)[number];

/** A message as it came. */
export interface Delivery {
  readonly body: Uint8Array;
  readonly sender: string;
  readonly sequence: number;
  readonly time: number;
  readonly fields: MessageFields | undefined;
  readonly deliveries: number;
  readonly token: number;
  /** Its sender waits until somebody has received it. */
  readonly receipt: boolean;
  readonly bytes: number;
  readonly connection: Connection;
}

export interface ConsumerInit {
  readonly url: string;
  readonly group: string | undefined;
  readonly from: 'now' | 'start' | undefined;
  /** Messages that a loop has fetched ahead. */
  readonly prefetch: number;
  /** So many messages of a sender were passed over. */
  gap(count: number, sender: string): void;
}

/**
 * A topic that drops the oldest for who is slow. Nothing old is fetched ahead of it, and what is handed out is settled at once: what
 * a page has in its hands cannot be dropped, and a page that thinks long would hold up the producers.
 */
export function isLossy({ settings }: Connection): boolean {
  return settings.dropOldest && settings.deliver === 'all';
}

export class Consumer {
  readonly #init: ConsumerInit;
  #connection: Connection | undefined;
  #senders: string[] = [];
  readonly #sequences = new Map<string, number>();
  readonly #ahead = new Deque<Delivery>();
  #aheadBytes = 0;
  readonly #waiting = new Set<Waiter<Delivery | undefined>>();
  #loops = 0;
  #arrived = 0;
  #arrivedBytes = 0;
  /** Totals that the host was last told. */
  #told = 0;
  #toldBytes = 0;
  #acks: number[] = [];
  #hasEnded = false;
  #isClosed = false;
  #failure: NaruError | undefined;

  constructor(init: ConsumerInit) {
    this.#init = init;
  }

  /** Takes a seat. @throws NARU_LIMIT  there is none */
  async attach(connection: Connection, isBack: boolean): Promise<void> {
    const { group, from } = this.#init;
    this.#connection = connection;
    this.#senders = [];
    this.#arrived = 0;
    this.#arrivedBytes = 0;
    this.#told = 0;
    this.#toldBytes = 0;
    this.#acks = [];
    // A topic that lives on replays nothing to a subscriber who has had it.
    await connection.request(Operation.attachConsumer, { group, from: isBack ? 'now' : from, isBack });
    this.#order();
  }

  /**
   * The next message; undefined when there will be none.
   * @throws NARU_TIMEOUT; the signal's reason
   */
  next(limits: Limits): Promise<Delivery | undefined> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const delivery = this.#isClosed ? undefined : this.#take();
    if (delivery !== undefined || this.#isOver) return Promise.resolve(delivery);
    const waiter = new Waiter<Delivery | undefined>();
    this.#waiting.add(waiter);
    waiter.limit(
      limits,
      () => ['NARU_TIMEOUT', `${this.#init.url}: no message came`],
      () => {
        this.#waiting.delete(waiter);
        this.#order();
      },
    );
    this.#order();
    return waiter.promise;
  }

  /** A loop begins, or ends: while there is one, messages are fetched ahead. */
  loop(change: 1 | -1): void {
    this.#loops += change;
    this.#order();
  }

  /** @returns false when it came over an earlier connection: it is delivered again */
  settle(delivery: Delivery, outcome: Outcome, delayMs: number): boolean {
    const connection = this.#connection;
    if (connection === undefined || delivery.connection !== connection) return false;
    if (outcome === 'ack') {
      this.#acks.push(delivery.token);
      if (this.#acks.length === 1) queueMicrotask(() => this.#flushAcks());
    } else {
      this.#flushAcks();
      connection.writer.settle(FrameType.settle, delivery.token, OUTCOMES.indexOf(outcome), delayMs);
    }
    return true;
  }

  /** Resolves with how many settlements since the last time came too late. */
  async sync(): Promise<number> {
    this.#flushAcks();
    const answer = await this.#connection?.request(Operation.sync, {});
    return Number(answer?.['late']);
  }

  /** The user has it. */
  received({ receipt, token, connection }: Delivery): void {
    if (receipt && connection === this.#connection) connection.writer.list(FrameType.received, [token]);
  }

  onFrame(frame: Frame, connection: Connection): void {
    if (frame.type === FrameType.deliver) this.#onDeliver(frame, connection);
    else if (frame.type === FrameType.sender) {
      frame.need(5);
      const number = frame.view.getUint32(frame.start, true);
      if (number < LINK.sendersMax) this.#senders[number] = frame.text(5);
    } else if (frame.type === FrameType.ended) this.#hasEnded = true;
  }

  /** Everything that came together is here. */
  tell(): void {
    for (const waiter of this.#waiting) {
      const delivery = this.#take();
      if (delivery === undefined && !this.#isOver) break;
      this.#waiting.delete(waiter);
      waiter.resolve(delivery);
    }
    this.#order();
  }

  lost(): void {
    this.#connection = undefined;
    this.#ahead.clear();
    this.#aheadBytes = 0;
  }

  /** Loops end, waiting calls get nothing. */
  close(): void {
    this.#isClosed = true;
    for (const waiter of this.#waiting) waiter.resolve(undefined);
    this.#waiting.clear();
    this.#order();
    this.#flushAcks();
  }

  fail(error: NaruError): void {
    this.#failure = error;
    this.lost();
    for (const waiter of this.#waiting) waiter.reject(error);
    this.#waiting.clear();
  }

  get #isOver(): boolean {
    return this.#isClosed || (this.#hasEnded && this.#ahead.size === 0);
  }

  #take(): Delivery | undefined {
    const delivery = this.#ahead.shift();
    if (delivery === undefined) return undefined;
    this.#aheadBytes -= delivery.bytes;
    this.#order();
    return delivery;
  }

  #onDeliver(frame: Frame, connection: Connection): void {
    frame.need(DELIVER_PREFIX_BYTES);
    const { view, bytes, start, end } = frame;
    const sender = this.#senders[view.getUint16(start + 1, true)];
    if (sender === undefined) {
      throw new NaruError('NARU_CORRUPT', `${this.#init.url}: a delivery names an unknown sender`);
    }
    const at = start + DELIVER_PREFIX_BYTES;
    const delivery: Delivery = {
      ...decodeEnvelope(bytes, view, at, end - at, sender),
      deliveries: view.getUint32(start + 3, true),
      token: view.getFloat64(start + 7, true),
      receipt: (view.getUint8(start) & WANTS_RECEIPT) !== 0,
      bytes: end - at,
      connection,
    };
    this.#arrived += 1;
    this.#arrivedBytes += delivery.bytes;
    this.#ahead.push(delivery);
    this.#aheadBytes += delivery.bytes;
    this.#countGap(delivery);
  }

  /** A topic gives every subscriber every message: numbers that are missing were dropped, or came while this page was away. */
  #countGap({ sender, sequence, deliveries, connection }: Delivery): void {
    if (connection.settings.deliver !== 'all' || this.#init.group !== undefined || deliveries > 1) return;
    const last = this.#sequences.get(sender);
    const gap = last === undefined ? 0 : (sequence - last - 1) | 0;
    if (last === undefined && this.#sequences.size >= LINK.sendersMax) this.#sequences.clear();
    if (gap >= 0) this.#sequences.set(sender, sequence);
    if (gap > 0) this.#init.gap(gap, sender);
  }

  /** Lets the host send what is asked for and, while a loop runs, some more; gives back what nobody asks for any more. */
  #order(): void {
    const connection = this.#connection;
    if (connection === undefined || connection.isOver) return;
    const { prefetch } = this.#init;
    const ahead = this.#loops > 0 && prefetch > 1 && !isLossy(connection) ? prefetch : 0;
    const wanted = this.#isClosed ? 0 : Math.max(this.#waiting.size, ahead);
    const open = (this.#told - this.#arrived) | 0;
    if (wanted === 0) {
      if (open > 0) this.#tellWant(connection, 0, this.#arrivedBytes);
      this.#giveBack(connection);
      return;
    }
    const room = wanted - this.#ahead.size;
    const bytes = this.#arrivedBytes + LINK.aheadBytes - this.#aheadBytes;
    const isWorth = open < Math.min(room, Math.max(1, wanted / 2));
    if (isWorth || bytes - this.#toldBytes >= LINK.aheadBytes / 2) {
      this.#tellWant(connection, Math.max(open, room), bytes);
    }
  }

  #tellWant(connection: Connection, count: number, bytes: number): void {
    this.#told = (this.#arrived + count) >>> 0;
    this.#toldBytes = bytes;
    connection.writer.amounts(FrameType.want, this.#told, bytes);
  }

  #giveBack(connection: Connection): void {
    const release = OUTCOMES.indexOf('release');
    for (let next = this.#ahead.shift(); next !== undefined; next = this.#ahead.shift()) {
      connection.writer.settle(FrameType.settle, next.token, release, 0);
    }
    this.#aheadBytes = 0;
  }

  #flushAcks(): void {
    if (this.#acks.length === 0) return;
    this.#connection?.writer.list(FrameType.ack, this.#acks);
    this.#acks = [];
  }
}
