// The sending end: keeps what waits for room, sends on credit, and keeps who waits for which receipt. It outlives a connection.

import { NaruError } from '../errors/index.ts';
import { costOf } from '../link/item.ts';
import { Operation } from '../link/operation.ts';
import { Deque } from '../store/deque.ts';
import { type Encodable, encodedSize } from '../wire/envelope.ts';
import { FrameType, WANTS_RECEIPT } from '../wire/frame-types.ts';
import type { Connection } from './connection.ts';
import type { Frame } from './frame-reader.ts';
import { BROWSER } from './limits.ts';
import { type Limits, Waiter } from './waiting.ts';

/** A message on its way. */
class Sending {
  readonly message: Encodable;
  readonly size: number;
  /** It waits until a consumer has received it. */
  readonly untilReceived: boolean;
  readonly waiter: Waiter<void> = new Waiter<void>();
  isSent = false;

  /** @throws NARU_TOO_LARGE, NARU_INVALID_MESSAGE  its fields cannot be carried */
  constructor(message: Encodable, untilReceived: boolean) {
    this.message = message;
    this.size = encodedSize(message);
    this.untilReceived = untilReceived;
  }
}

export class Producer {
  readonly #url: string;
  #connection: Connection | undefined;
  readonly #waiting = new Set<Sending>();
  /** Sent and not placed, in order. */
  readonly #unplaced = new Deque<Sending>();
  /** Placed and not received, by index. */
  readonly #unreceived = new Map<number, Sending>();
  readonly #refused = new Map<number, NaruError>();
  #sent = 0;
  #sentBytes = 0;
  #placed = 0;
  #credit = 0;
  #creditBytes = 0;
  #hasAsked = false;
  #look: ReturnType<typeof setTimeout> | undefined;
  #drained: (() => void) | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  /** Messages that nobody has confirmed. */
  get pending(): number {
    return this.#waiting.size + this.#unplaced.size + this.#unreceived.size;
  }

  /** Takes a seat. @throws NARU_LIMIT  there is none */
  async attach(connection: Connection): Promise<void> {
    // Before the question: the first credit comes before its answer.
    this.#connection = connection;
    this.#sent = 0;
    this.#sentBytes = 0;
    this.#placed = 0;
    this.#credit = 0;
    this.#creditBytes = 0;
    this.#hasAsked = false;
    await connection.request(Operation.attachProducer, {});
    this.#pump();
  }

  /**
   * @returns resolves when the message has got as far as asked
   * @throws NARU_OVERLOADED, NARU_TOO_LARGE, NARU_INVALID_MESSAGE; rejects with NARU_TIMEOUT  it was not sent;
   *         NARU_OUTCOME_UNKNOWN  it may have arrived
   */
  send(message: Encodable, untilReceived: boolean, limits: Limits): Sending {
    if (this.#waiting.size >= BROWSER.maxWaiting) {
      throw this.#error('NARU_OVERLOADED', `${BROWSER.maxWaiting} sends wait already, that is the limit`);
    }
    const sending = new Sending(message, untilReceived);
    this.#waiting.add(sending);
    sending.waiter.limit(
      limits,
      () =>
        sending.isSent
          ? ['NARU_OUTCOME_UNKNOWN', `${this.#url}: the message was sent, and no receipt came`]
          : ['NARU_TIMEOUT', `${this.#url}: there was no room, or no connection,`],
      () => {
        this.#waiting.delete(sending);
        this.#checkDrained();
      },
    );
    this.#pump();
    return sending;
  }

  onFrame(frame: Frame): void {
    const { type, view, start } = frame;
    if (type === FrameType.placed) {
      frame.need(4);
      this.#onPlaced(view.getUint32(start, true));
    } else if (type === FrameType.credit) {
      frame.need(12);
      this.#credit = view.getUint32(start, true);
      this.#creditBytes = view.getFloat64(start + 4, true);
      this.#hasAsked = false;
      this.#pump();
    } else if (type === FrameType.recall) {
      this.#credit = this.#sent;
      this.#creditBytes = this.#sentBytes;
      this.#connection?.writer.amounts(FrameType.return, this.#credit >>> 0, this.#creditBytes);
      this.#pump();
    } else if (type === FrameType.confirmed) {
      for (let at = start; at + 8 <= frame.end; at += 8) this.#onReceived(view.getFloat64(at, true));
    } else if (type === FrameType.refused) {
      frame.need(5);
      this.#refused.set(view.getUint32(start, true), NaruError.fromJSON(frame.json(5)));
    }
  }

  /** The connection is gone: what has no answer yet may or may not have arrived; what was not sent waits on. */
  lost(): void {
    this.#connection = undefined;
    const error = this.#error(
      'NARU_OUTCOME_UNKNOWN',
      'the connection broke before the receipt came: the message may or may not have arrived',
    );
    for (let next = this.#unplaced.shift(); next !== undefined; next = this.#unplaced.shift()) {
      next.waiter.reject(error);
    }
    for (const { waiter } of this.#unreceived.values()) waiter.reject(error);
    this.#unreceived.clear();
    this.#refused.clear();
    this.#checkDrained();
  }

  /** Resolves when nothing is pending. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#drained = resolve;
      this.#checkDrained();
    });
  }

  /** Nothing more will be sent. */
  fail(error: NaruError): void {
    clearTimeout(this.#look);
    this.lost();
    for (const { waiter } of this.#waiting) waiter.reject(error);
    this.#waiting.clear();
    this.#checkDrained();
  }

  #pump(): void {
    const connection = this.#connection;
    if (connection === undefined || connection.isOver) return;
    const { capacityBytes, maxMessageBytes } = connection.settings;
    for (const next of this.#waiting) {
      const { length } = next.message.body;
      if (length > maxMessageBytes) {
        this.#waiting.delete(next);
        const text = `a message of ${length} bytes, the limit is ${maxMessageBytes}`;
        next.waiter.reject(this.#error('NARU_TOO_LARGE', text));
        continue;
      }
      if (connection.isCongested) {
        this.#lookSoon();
        return;
      }
      const cost = costOf(next.size, capacityBytes);
      if (((this.#credit - this.#sent) | 0) <= 0 || this.#creditBytes - this.#sentBytes < cost) {
        if (!this.#hasAsked) connection.writer.amounts(FrameType.need, 1, cost);
        this.#hasAsked = true;
        return;
      }
      this.#waiting.delete(next);
      next.isSent = true;
      this.#sent += 1;
      this.#sentBytes += cost;
      this.#unplaced.push(next);
      connection.writer.send(FrameType.send, next.message, next.size, next.untilReceived ? WANTS_RECEIPT : 0);
    }
  }

  /** Browsers do not tell when they have sent. */
  #lookSoon(): void {
    this.#look ??= setTimeout(() => {
      this.#look = undefined;
      this.#pump();
    }, BROWSER.lookMs);
  }

  /** `upTo` counts modulo 2^32. */
  #onPlaced(upTo: number): void {
    const count = (upTo - this.#placed) | 0;
    if (count < 0 || count > this.#unplaced.size) {
      throw this.#error('NARU_CORRUPT', 'the host placed what was not sent');
    }
    for (let left = count; left > 0; left -= 1) {
      const sending = this.#unplaced.shift() as Sending;
      this.#placed += 1;
      const error = this.#refused.get(this.#placed >>> 0);
      this.#refused.delete(this.#placed >>> 0);
      if (error !== undefined) sending.waiter.reject(error);
      else if (!sending.untilReceived) sending.waiter.resolve();
      else if (!this.#early.delete(this.#placed)) this.#unreceived.set(this.#placed, sending);
      else sending.waiter.resolve();
    }
    this.#checkDrained();
  }

  /** Received before it was said that they are placed. */
  readonly #early = new Set<number>();

  #onReceived(index: number): void {
    const sending = this.#unreceived.get(index);
    if (sending === undefined && index > this.#placed && index <= this.#sent) this.#early.add(index);
    this.#unreceived.delete(index);
    sending?.waiter.resolve();
    this.#checkDrained();
  }

  #checkDrained(): void {
    if (this.pending > 0) return;
    this.#drained?.();
    this.#drained = undefined;
  }

  #error(
    code: 'NARU_OVERLOADED' | 'NARU_TOO_LARGE' | 'NARU_OUTCOME_UNKNOWN' | 'NARU_CORRUPT',
    what: string,
  ): NaruError {
    return new NaruError(code, `${this.#url}: ${what}`, { place: 'ws', mailbox: this.#url });
  }
}
