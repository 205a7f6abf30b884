// The receiving end over a connection: says how much it wants, keeps what came ahead, settles many at once.
//
// What came ahead belongs to the mailbox until take(): when nothing is wanted it goes back, but not before a short while
// (LINK.lingerMs), so that a loop that comes back at once finds it, and finds more of it each time. What was on its way just then goes
// back as well, before anything new is asked for: it would overtake what went back.

import { NaruError } from '../errors/index.ts';
import type { Delivery, Outcome } from '../mailbox/driver.ts';
import { Deque } from '../store/deque.ts';
import { DELIVER_PREFIX_BYTES, FrameType, readCoded, WANTS_RECEIPT } from '../wire/frames.ts';
import type { Chunk } from '../wire/splitter.ts';
import type { Connection } from './connection.ts';
import { deliveryAt, type LinkMessage } from './item.ts';
import { LINK } from './limits.ts';
import { lateError } from './local-session.ts';
import { Operation, OUTCOMES } from './operation.ts';
import type { RemoteInit, SeatHolder } from './remote.ts';
import type { ConsumerSeat } from './session.ts';

type Done = (error?: Error) => void;

export class RemoteConsumer implements ConsumerSeat {
  readonly #connection: Connection;
  readonly #session: SeatHolder;
  readonly #init: RemoteInit;
  readonly #senders: string[] = [];
  readonly #ahead = new Deque<LinkMessage>();
  #aheadBytes = 0;
  /** Messages and bytes that came, in all. */
  #arrived = 0;
  #arrivedBytes = 0;
  /** Totals that the host was last told. */
  #told = 0;
  #toldBytes = 0;
  #wanted = 0;
  /** How many may be here or on their way; grows while a loop keeps coming back. */
  #window = 1;
  /** How often it came back in time. */
  #returns = 0;
  #linger: NodeJS.Timeout | undefined;
  #lingering = false;
  #polling = 0;
  #news = false;
  #gaveBack = 0;
  /** Until the host has heard that nothing is wanted: what it had sent before that goes back, too, and nothing is ordered. */
  #recalling: Promise<void> | undefined;
  /** An answer that told of late settlements came to nobody who had asked about them. */
  #wasLate = false;
  #endHeard = false;
  #acks: number[] = [];
  #receipts: number[] = [];
  #syncing: Done[] = [];
  #flushing = false;
  #closing = false;
  #closed = false;

  constructor(connection: Connection, session: SeatHolder, init: RemoteInit) {
    this.#connection = connection;
    this.#session = session;
    this.#init = init;
  }

  get ended(): boolean {
    return this.#endHeard && this.#ahead.size === 0;
  }

  take(max: number, out: Delivery[]): number {
    const ahead = this.#ahead;
    const count = Math.min(max, ahead.size);
    for (let i = 0; i < count; i += 1) {
      const delivery = ahead.shift() as LinkMessage;
      this.#aheadBytes -= delivery.length;
      out.push(delivery);
    }
    if (count === 0) return 0;
    const before = this.#wanted;
    this.#wanted = Math.max(0, before - count);
    if (before > 0 && this.#wanted === 0) this.#lingerOn();
    if (this.#wanted > 0 || (this.#lingering && this.#window > 1)) this.#order();
    return count;
  }

  want(count: number): void {
    if (this.#closing || this.#closed) return;
    const before = this.#wanted;
    this.#wanted = count;
    if (count === 0) {
      if (before > 0) this.#lingerOn();
      return;
    }
    // It came back while what was fetched ahead was still here: fetch more at a time.
    if (this.#lingering) {
      this.#returns += 1;
      if (this.#returns >= LINK.returnsToPrefetch) {
        const most = this.#init.prefetch * LINK.prefetchFactor;
        this.#window = Math.min(this.#window * 2, Math.max(most, count));
      }
    }
    this.#lingering = false;
    this.#window = Math.max(this.#window, count);
    this.#order();
  }

  async poll(): Promise<void> {
    this.#polling += 1;
    try {
      await this.#recalling;
      await this.#session.request(Operation.poll, { count: this.#init.prefetch });
    } finally {
      this.#polling -= 1;
      if (this.#wanted === 0) this.#lingerOn();
    }
  }

  settle(delivery: Delivery, outcome: Outcome, delayMs: number, done?: Done): void {
    if (!this.#owns(delivery)) {
      if (done !== undefined) process.nextTick(done, lateError(this.#init));
      return;
    }
    if (outcome === 'ack' && delayMs === 0) this.#acks.push(delivery.token);
    else {
      this.#flushAcks();
      this.#connection.writer.tokenAndMs(
        FrameType.settle,
        delivery.token,
        OUTCOMES.indexOf(outcome),
        delayMs,
      );
      // It may go before what is here already: that goes back, too.
      if (outcome !== 'reject' && this.#wanted === 0 && this.#polling === 0) this.#giveBack();
    }
    if (done !== undefined) this.#syncing.push(done);
    this.#flushSoon();
  }

  ackAll(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) if (this.#owns(delivery)) this.#acks.push(delivery.token);
    this.#flushSoon();
  }

  received(delivery: Delivery): void {
    if (!this.#owns(delivery)) return;
    this.#receipts.push(delivery.token);
    this.#flushSoon();
  }

  extend(delivery: Delivery, ms: number): void {
    if (this.#owns(delivery)) this.#connection.writer.tokenAndMs(FrameType.extend, delivery.token, 0, ms);
  }

  async close(): Promise<void> {
    if (this.#closing || this.#closed) return;
    this.#closing = true;
    this.#wanted = 0;
    clearTimeout(this.#linger);
    this.#giveBack();
    this.#flush();
    // What is on its way goes back as well, before the host takes what is left for handed out.
    await this.#sync([]);
    this.#closed = true;
    await this.#session.request(Operation.detachConsumer, {}).catch(() => undefined);
  }

  onSender(chunk: Chunk, start: number, end: number): void {
    const { id, text } = readCoded(FrameType.sender, chunk, start, end);
    if (id < LINK.sendersMax) this.#senders[id] = text;
  }

  onDeliver(chunk: Chunk, start: number, end: number): void {
    if (end - start < DELIVER_PREFIX_BYTES) throw this.#corrupt('a delivery is cut off');
    const { view } = chunk;
    const sender = this.#senders[view.getUint16(start + 1, true)];
    if (sender === undefined) throw this.#corrupt('a delivery names an unknown sender');
    const receipt = (view.getUint8(start) & WANTS_RECEIPT) !== 0;
    const deliveries = view.getUint32(start + 3, true);
    const token = view.getFloat64(start + 7, true);
    const offset = start + DELIVER_PREFIX_BYTES;
    const delivery = deliveryAt(chunk, offset, end - offset, sender, receipt).handTo(this, token, deliveries);
    this.#arrived += 1;
    this.#arrivedBytes += delivery.length;
    this.#ahead.push(delivery);
    this.#aheadBytes += delivery.length;
    this.#news = true;
  }

  onEnded(): void {
    this.#endHeard = true;
    this.#news = true;
  }

  /** Everything that came together is here. */
  tell(): void {
    if (!this.#news) return;
    this.#news = false;
    const isIdle = this.#wanted === 0 && !this.#lingering && this.#polling === 0;
    if (isIdle || this.#closing || this.#recalling !== undefined) this.#giveBack();
    if (this.#wanted > 0) this.#init.events.readable();
  }

  lost(): void {
    this.#closed = true;
    clearTimeout(this.#linger);
    this.#ahead.clear();
    const syncing = this.#syncing;
    this.#syncing = [];
    for (const done of syncing) done(lateError(this.#init));
  }

  /** Lets the host send as much as the window allows, once that is worth a frame. */
  #order(): void {
    if (this.#recalling !== undefined) return;
    const open = (this.#told - this.#arrived) | 0;
    const room = this.#window - this.#ahead.size;
    const bytes = this.#arrivedBytes + LINK.aheadBytes - this.#aheadBytes;
    const isWorth = open < Math.min(room, Math.max(1, this.#window / 2));
    if (!isWorth && bytes - this.#toldBytes < LINK.aheadBytes / 2) return;
    this.#told = (this.#arrived + Math.max(open, room)) >>> 0;
    this.#toldBytes = bytes;
    this.#connection.writer.amounts(FrameType.want, this.#told, bytes);
  }

  #lingerOn(): void {
    if (this.#closing || this.#closed) return;
    this.#lingering = true;
    if (this.#linger === undefined) {
      this.#linger = setTimeout(() => this.#giveUp(), LINK.lingerMs);
      this.#linger.unref();
    } else this.#linger.refresh();
  }

  #giveUp(): void {
    if (!this.#lingering || this.#wanted > 0 || this.#polling > 0 || this.#closed) return;
    this.#giveBack();
  }

  /** Wants nothing more, and what is here goes back to its place as if it had never left. */
  #giveBack(): void {
    this.#lingering = false;
    this.#window = 1;
    this.#returns = 0;
    const { writer } = this.#connection;
    if (this.#told !== this.#arrived >>> 0) {
      this.#told = this.#arrived >>> 0;
      this.#toldBytes = this.#arrivedBytes;
      writer.amounts(FrameType.want, this.#told, this.#toldBytes);
      this.#recalling ??= this.#recall();
    }
    this.#aheadBytes = 0;
    if (this.#ahead.size > 0) this.#gaveBack += 1;
    const release = OUTCOMES.indexOf('release');
    for (let next = this.#ahead.shift(); next !== undefined; next = this.#ahead.shift()) {
      writer.tokenAndMs(FrameType.settle, next.token, release, 0);
    }
  }

  /** Everything that the host sent before it heard the last `want` is here before its answer, and went back. */
  async #recall(): Promise<void> {
    try {
      const { late } = await this.#session.request(Operation.sync, {}, false);
      this.#wasLate ||= Number(late) > 0;
    } catch {
      // The connection is lost: lost() comes, and another session with its own consumer.
      return;
    } finally {
      this.#recalling = undefined;
    }
    if (this.#wanted === 0) return;
    this.#window = Math.max(this.#window, this.#wanted);
    this.#order();
  }

  #owns(delivery: Delivery): boolean {
    return (delivery as LinkMessage).seat === this && !this.#closed;
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    process.nextTick(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#closed) return;
    if (this.#receipts.length > 0) {
      this.#connection.writer.list(FrameType.received, this.#receipts);
      this.#receipts = [];
    }
    this.#flushAcks();
    const syncing = this.#syncing;
    if (syncing.length === 0) return;
    this.#syncing = [];
    void this.#sync(syncing);
  }

  #flushAcks(): void {
    if (this.#acks.length === 0) return;
    const { writer } = this.#connection;
    for (let from = 0; from < this.#acks.length; from += ACKS_MAX) {
      writer.list(FrameType.ack, this.#acks.slice(from, from + ACKS_MAX));
    }
    this.#acks = [];
  }

  /** One answer for all settlements of a turn: frames are worked off in order. */
  async #sync(dones: readonly Done[]): Promise<void> {
    let error: Error | undefined;
    try {
      let gaveBack: number;
      do {
        // What came meanwhile went back when it came: the host must have heard that, too.
        gaveBack = this.#gaveBack;
        const { late } = await this.#session.request(Operation.sync, {});
        if (Number(late) > 0 || this.#wasLate) error = lateError(this.#init);
        this.#wasLate = false;
      } while (gaveBack !== this.#gaveBack);
    } catch {
      error = lateError(this.#init);
    }
    for (const done of dones) done(error);
  }

  #corrupt(what: string): NaruError {
    return new NaruError('NARU_CORRUPT', `${this.#init.mailbox}: ${what}`, this.#init);
  }
}

/** Acks in one frame at most. */
const ACKS_MAX = 1_000;
