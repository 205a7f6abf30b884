// A consumer at the other end of a connection: sends it what it wants, as far as it wants, and settles what it says.

import type { Entry, Subscription } from '../store/types.ts';
import { expectSize, FrameType, readList } from '../wire/frames.ts';
import type { Chunk } from '../wire/splitter.ts';
import type { Connection } from './connection.ts';
import type { Host } from './host.ts';
import type { LinkMessage } from './item.ts';
import { LINK } from './limits.ts';
import { OUTCOMES } from './operation.ts';

/** Longest name a consumer may give itself. */
const SELF_MAX = 128;
/** Messages taken from the store at a time. */
const TAKE = 32;
/** Late settlements that are remembered until the consumer asks. */
const LATE_MAX = 1_000_000;

export class HostConsumer {
  readonly #host: Host;
  readonly #connection: Connection;
  readonly #subscription: Subscription<LinkMessage>;
  /** Those who wait for a receipt, by token. */
  readonly #receipts = new Map<number, LinkMessage>();
  readonly #senderIndex = new Map<string, number>();
  readonly #senders: string[] = [];
  #nextSender = 0;
  #lastSender: string | undefined;
  #lastIndex = 0;
  #delivered = 0;
  #deliveredBytes = 0;
  #lastLength = 1;
  /** Totals up to which it takes messages and bytes. */
  #wanted = 0;
  #wantedBytes = 0;
  #pumping = false;
  #late = 0;
  #toldEnd = false;
  #closed = false;

  /** @throws NARU_LIMIT */
  constructor(host: Host, connection: Connection, asked: Record<string, unknown>) {
    host.takeSeat('consumers');
    this.#host = host;
    this.#connection = connection;
    const { group, from, self, offset, since, isBack } = asked;
    this.#subscription = host.subscribe(() => this.pumpSoon(), {
      group: typeof group === 'string' ? group : undefined,
      from: from === 'now' || from === 'start' ? from : undefined,
      self: typeof self === 'string' ? self.slice(0, SELF_MAX) : undefined,
      offset: typeof offset === 'number' ? offset : undefined,
      since: typeof since === 'number' ? since : undefined,
      isBack: isBack === true,
    });
  }

  onFrame(type: number, chunk: Chunk, start: number, end: number): void {
    const { view } = chunk;
    switch (type) {
      case FrameType.want:
        expectSize(type, start, end, 12);
        this.#wanted = view.getUint32(start, true);
        this.#wantedBytes = view.getFloat64(start + 4, true);
        this.pumpSoon();
        break;
      case FrameType.ack:
        for (const token of readList(type, chunk, start, end)) this.#settle(token, 0, 0);
        this.#host.freed();
        break;
      case FrameType.received:
        for (const token of readList(type, chunk, start, end)) this.#onReceived(token);
        break;
      default:
        expectSize(type, start, end, 17);
        this.#onToken(
          type,
          view.getFloat64(start, true),
          view.getUint8(start + 8),
          view.getFloat64(start + 9, true),
        );
    }
  }

  /** Sends what is there after everything that came in this turn: what arrives together leaves in one write. */
  pumpSoon(): void {
    if (this.#pumping || this.#closed) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      this.#pump();
      this.#connection.flush();
    });
  }

  /** Sends up to `count` messages that are there now. @returns whether the mailbox has ended */
  poll(count: number): boolean {
    const bytesMax = this.#deliveredBytes + LINK.aheadBytes;
    this.#deliver(Math.min(Math.max(1, count || 1), FLIGHT_MAX), bytesMax);
    return this.#tellEnd();
  }

  /** The host stops: if this is the end for the consumer, it hears so before the goodbye. */
  finish(): void {
    if (!this.#closed) this.#tellEnd();
  }

  /** How many settlements came too late since this was last asked. */
  takeLate(): number {
    const late = this.#late;
    this.#late = 0;
    return late;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#receipts.clear();
    this.#subscription.close();
    this.#host.giveSeat('consumers');
    this.#host.freed();
  }

  #onToken(type: number, token: number, outcome: number, ms: number): void {
    const delayMs = ms >= 0 && ms < Infinity ? ms : 0;
    if (type === FrameType.extend) this.#subscription.extend(token, delayMs);
    else this.#settle(token, outcome, delayMs);
    this.#host.freed();
  }

  #settle(token: number, outcome: number, delayMs: number): void {
    if (this.#receipts.size > 0) this.#receipts.delete(token);
    const settled = this.#subscription.settle(token, OUTCOMES[outcome] ?? 'requeue', delayMs);
    if (!settled && this.#late < LATE_MAX) this.#late += 1;
  }

  #onReceived(token: number): void {
    const item = this.#receipts.get(token);
    this.#receipts.delete(token);
    item?.origin?.confirmed(item.index);
  }

  #pump(): void {
    if (this.#closed) return;
    const left = (this.#wanted - this.#delivered) | 0;
    if (left > 0) this.#deliver(left, this.#wantedBytes);
    const still = (this.#wanted - this.#delivered) | 0;
    const mayGoOn = !this.#connection.isCongested && this.#deliveredBytes < this.#wantedBytes;
    this.#subscription.want(still > 0 && mayGoOn ? still : 0);
    this.#tellEnd();
  }

  #deliver(count: number, bytesMax: number): void {
    let left = count;
    while (left > 0 && this.#deliveredBytes < bytesMax && !this.#connection.isCongested) {
      const entries: Entry<LinkMessage>[] = [];
      // As many as fit if they are like the last one: large messages go one by one, small ones together.
      const fit = Math.floor((bytesMax - this.#deliveredBytes) / this.#lastLength);
      const step = Math.min(TAKE, Math.max(1, fit));
      const taken = this.#subscription.take(Math.min(left, step), entries);
      if (taken === 0) return;
      for (let i = 0; i < taken; i += 1) {
        const entry = entries[i] as Entry<LinkMessage>;
        // They were larger than the one before: what exceeds the limit by more than one goes back to its place.
        if (this.#deliveredBytes < bytesMax) this.#write(entry);
        else this.#subscription.settle(entry.token, 'release', 0);
      }
      left -= taken;
    }
  }

  #write(entry: Entry<LinkMessage>): void {
    const { item, deliveries, token } = entry;
    const { chunk, offset, length, sender, origin } = item;
    const receipt = origin !== undefined;
    if (receipt) this.#receipts.set(token, item);
    const index = sender === this.#lastSender ? this.#lastIndex : this.#indexOf(sender);
    this.#connection.writer.deliver(chunk, offset, length, { sender: index, deliveries, token, receipt });
    this.#delivered += 1;
    this.#deliveredBytes += length;
    this.#lastLength = length;
  }

  /** Names travel once; a number that is used again is announced again. */
  #indexOf(sender: string): number {
    let index = this.#senderIndex.get(sender);
    if (index === undefined) {
      index = this.#nextSender;
      this.#nextSender = (index + 1) % LINK.sendersMax;
      const former = this.#senders[index];
      if (former !== undefined) this.#senderIndex.delete(former);
      this.#senders[index] = sender;
      this.#senderIndex.set(sender, index);
      this.#connection.writer.coded(FrameType.sender, index, 0, sender);
    }
    this.#lastSender = sender;
    this.#lastIndex = index;
    return index;
  }

  #tellEnd(): boolean {
    const { ended } = this.#subscription;
    if (ended && !this.#toldEnd) {
      this.#toldEnd = true;
      this.#connection.writer.bare(FrameType.ended);
    }
    return ended;
  }
}

/** More than any consumer holds: a poll is bounded by bytes, too. */
const FLIGHT_MAX = 65_536;
