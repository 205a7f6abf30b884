// A producer at the other end of a connection: takes its messages on credit, says what was placed, refused and received.

import { isNaruError, NaruError } from '../errors/index.ts';
import { bodyOffset } from '../wire/envelope.ts';
import { expectSize, FrameType, WANTS_RECEIPT, WANTS_SYNC } from '../wire/frames.ts';
import type { Chunk } from '../wire/splitter.ts';
import type { Connection } from './connection.ts';
import type { Account } from './credit.ts';
import type { Host, Parked } from './host.ts';
import { costOf, type LinkMessage, itemOf, type Origin } from './item.ts';
import { StageCounts } from './stage-counts.ts';

export class HostProducer implements Origin, Parked {
  readonly #host: Host;
  readonly #connection: Connection;
  readonly #identity: string;
  readonly #account: Account;
  /** Sent on credit, but retained messages took the room meanwhile: they wait here, never more than was lent. */
  #parked: LinkMessage[] = [];
  #confirmed: number[] = [];
  #received = 0;
  #told = 0;
  readonly #counts: StageCounts | undefined;
  readonly #onAdvanced = (): void => this.#tellStages();
  #grantedMessages = 0;
  #grantedBytes = 0;
  #usedBytes = 0;
  #closed = false;

  /** @throws NARU_LIMIT */
  constructor(host: Host, connection: Connection, identity: string) {
    host.takeSeat('producers');
    this.#host = host;
    this.#connection = connection;
    this.#identity = identity;
    if (host.stages !== undefined) {
      this.#counts = new StageCounts(host.stages);
      host.advanced.add(this.#onAdvanced);
    }
    this.#account = host.ledger.open(
      {
        grant: (messages, bytes) => this.#grant(messages, bytes),
        recall: () => connection.writer.bare(FrameType.recall),
      },
      true,
    );
    // Its share, before it hears that it is attached: the first send finds room if there is any.
    host.balance();
  }

  onSend(chunk: Chunk, start: number, end: number): void {
    const host = this.#host;
    const { capacityBytes, maxMessageBytes, dedup } = host.settings;
    const offset = start + 1;
    const length = end - offset;
    const body = bodyOffset(chunk.view, offset, length);
    const cost = costOf(length, capacityBytes);
    if (!host.ledger.used(this.#account, cost)) {
      throw new NaruError('NARU_CORRUPT', `${host.mailbox}: the peer sent more than it had credit for`, host);
    }
    this.#usedBytes += cost;
    this.#received += 1;
    const index = this.#received;
    if (end - body > maxMessageBytes) {
      const text = `${host.mailbox}: a message of ${end - body} bytes, the limit is ${maxMessageBytes}`;
      this.#refuse(index, new NaruError('NARU_TOO_LARGE', text, host));
      return;
    }
    const flags = chunk.view.getUint8(start);
    const origin = (flags & WANTS_RECEIPT) === 0 ? undefined : this;
    const item = itemOf(chunk, offset, length, body, cost, this.#identity, origin, index, dedup > 0);
    item.isUrgent = (flags & WANTS_SYNC) !== 0;
    if (this.#parked.length > 0 || !this.#place(item)) {
      this.#parked.push(item);
      host.parked.add(this);
    }
  }

  /** need: it waits for room. return: it keeps credit only up to these totals. */
  onAmounts(type: number, chunk: Chunk, start: number, end: number): void {
    expectSize(type, start, end, 12);
    const messages = chunk.view.getUint32(start, true);
    const bytes = chunk.view.getFloat64(start + 4, true);
    const { ledger, settings } = this.#host;
    if (type === FrameType.need) {
      // A message of the largest kind always fits into an empty mailbox; nobody may wait for more.
      ledger.needs(this.#account, inRange(bytes, settings.capacityBytes));
    } else {
      this.#takeBack(messages, bytes);
    }
    this.#host.balanceSoon();
  }

  /** @see Host.ask */
  async ask(bytes: number): Promise<void> {
    await this.#host.ask(this.#account, inRange(bytes, this.#host.settings.capacityBytes));
  }

  /** Says how far everything is placed. Called after every piece of the stream. */
  tell(): void {
    if (this.#closed) return;
    const placed = this.#received - this.#parked.length;
    if (placed === this.#told) return;
    // Credit first: whoever awaited the receipt may send again at once.
    if (this.#host.ledger.isDue(this.#account)) this.#host.balance();
    this.#tellPlaced(placed);
  }

  unpark(): void {
    while (this.#parked.length > 0 && this.#place(this.#parked[0] as LinkMessage)) this.#parked.shift();
    if (this.#parked.length === 0) this.#host.parked.delete(this);
    const placed = this.#received - this.#parked.length;
    if (placed !== this.#told && !this.#closed) this.#tellPlaced(placed);
  }

  confirmed(index: number): void {
    if (this.#closed) return;
    if (this.#confirmed.length === 0) process.nextTick(() => this.#tellConfirmed());
    this.#confirmed.push(index);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#host.advanced.delete(this.#onAdvanced);
    this.#parked = [];
    this.#host.parked.delete(this);
    this.#host.ledger.close(this.#account);
    this.#host.giveSeat('producers');
    this.#host.balanceSoon();
  }

  /** @param taken  so many of its messages the host has taken */
  #tellPlaced(taken: number): void {
    this.#told = taken;
    if (this.#counts === undefined) {
      this.#connection.writer.count(FrameType.placed, taken >>> 0);
    } else {
      this.#counts.taken(taken);
      this.#tellStages();
    }
  }

  #tellStages(): void {
    const { writer } = this.#connection;
    const placed = this.#counts?.next('placed');
    if (placed !== undefined) writer.count(FrameType.placed, placed >>> 0);
    const durable = this.#counts?.next('durable');
    if (durable !== undefined) writer.count(FrameType.synced, durable >>> 0);
  }

  /** @returns false when there is no room */
  #place(item: LinkMessage): boolean {
    const host = this.#host;
    let result: ReturnType<Host['offer']>;
    try {
      result = host.offer(item);
    } catch (error) {
      if (!isNaruError(error)) throw error;
      this.#refuse(item.index, error);
      return true;
    }
    if (result === 'full') return false;
    if (result === 'ended') {
      this.#refuse(item.index, new NaruError('NARU_CLOSED', `${host.mailbox}: the mailbox has ended`, host));
    } else if (result === 'dropped' && item.origin !== undefined) {
      const text = `${host.mailbox}: nobody is there to receive`;
      this.#refuse(item.index, new NaruError('NARU_NO_CONSUMER', text, host));
    }
    return true;
  }

  #refuse(index: number, error: NaruError): void {
    this.#connection.writer.coded(FrameType.refused, index >>> 0, 0, JSON.stringify(error));
  }

  #grant(messages: number, bytes: number): void {
    this.#grantedMessages += messages;
    this.#grantedBytes += bytes;
    this.#connection.writer.amounts(FrameType.credit, this.#grantedMessages >>> 0, this.#grantedBytes);
  }

  #takeBack(messages: number, bytes: number): void {
    // Totals count from the start; the peer cannot keep more than it was lent, nor less than it used.
    const keptMessages = Math.min((messages - this.#received) | 0, this.#account.messages);
    const keptBytes = Math.min(bytes - this.#usedBytes, this.#account.bytes);
    if (!(keptMessages >= 0 && keptBytes >= 0)) {
      throw new NaruError(
        'NARU_CORRUPT',
        `${this.#host.mailbox}: the peer returned credit it had used`,
        this.#host,
      );
    }
    this.#host.ledger.returned(this.#account, keptMessages, keptBytes);
    this.#grantedMessages = this.#received + keptMessages;
    this.#grantedBytes = this.#usedBytes + keptBytes;
  }

  #tellConfirmed(): void {
    const confirmed = this.#confirmed;
    this.#confirmed = [];
    if (!this.#closed) this.#connection.writer.list(FrameType.confirmed, confirmed);
  }
}

function inRange(bytes: number, max: number): number {
  return Math.min(Math.max(0, bytes || 0), max);
}
