// The sending end over a connection: sends on credit, keeps who waits for which receipt, gives credit back when asked.

import { NaruError } from '../errors/index.ts';
import type { Outgoing } from '../mailbox/driver.ts';
import { Deque } from '../store/deque.ts';
import { encodedSize } from '../wire/envelope.ts';
import {
  expectSize,
  FrameType,
  parseJson,
  readCoded,
  readList,
  WANTS_RECEIPT,
  WANTS_SYNC,
} from '../wire/frames.ts';
import type { Chunk } from '../wire/splitter.ts';
import type { Connection } from './connection.ts';
import { costOf } from './item.ts';
import { sizeOrRefusal } from './local-session.ts';
import { Operation } from './operation.ts';
import { Hold } from './session.ts';
import type { ProducerSeat } from './session.ts';
import type { RemoteInit, SeatHolder } from './remote.ts';

type Done = (error?: Error) => void;

/** Messages one after the other for which the same waits: those of one sendMany(). */
interface Run {
  readonly done: Done | undefined;
  count: number;
}

export class RemoteProducer implements ProducerSeat {
  readonly #connection: Connection;
  readonly #session: SeatHolder;
  readonly #init: RemoteInit;
  /** Who waits until the messages that are sent are placed, in order. */
  readonly #unplaced = new Deque<Run>();
  #lastRun: Run | undefined;
  /** Who waits for more than that, by index. */
  readonly #receipts = new Map<number, Done>();
  /** Who waits until it is on the disk, by index, in order. */
  readonly #unsynced = new Map<number, Done>();
  #synced = 0;
  readonly #refused = new Map<number, NaruError>();
  #sent = 0;
  #sentBytes = 0;
  #placed = 0;
  /** Totals up to which it may send. */
  #credit = 0;
  #creditBytes = 0;
  #asked = false;
  #ended = false;
  #closing: (() => void) | undefined;
  #lost = false;

  constructor(connection: Connection, session: SeatHolder, init: RemoteInit) {
    this.#connection = connection;
    this.#session = session;
    this.#init = init;
  }

  offer(batch: readonly Outgoing[], from: number): number {
    if (this.#ended)
      throw new NaruError('NARU_CLOSED', `${this.#init.mailbox}: the mailbox has ended`, this.#init);
    const connection = this.#connection;
    const { capacityBytes } = this.#session.settings;
    let at = from;
    for (; at < batch.length; at += 1) {
      if (this.#lost || connection.isCongested) break;
      const message = batch[at] as Outgoing;
      const size = sizeOrRefusal(message);
      if (size < 0) continue;
      const cost = costOf(size, capacityBytes);
      if (((this.#credit - this.#sent) | 0) <= 0 || this.#creditBytes - this.#sentBytes < cost) {
        this.#ask(cost);
        break;
      }
      this.#send(message, size);
      this.#sentBytes += cost;
    }
    return at - from;
  }

  async poll(message: Outgoing): Promise<void> {
    if (this.#connection.isCongested) return;
    const bytes = costOf(encodedSize(message), this.#session.settings.capacityBytes);
    await this.#session.request(Operation.room, { bytes }).catch(() => undefined);
  }

  async end(): Promise<void> {
    await this.#session.request(Operation.end, {});
  }

  async close(): Promise<void> {
    if (this.#lost) return;
    if (this.#unplaced.size > 0 || this.#receipts.size > 0 || this.#unsynced.size > 0) {
      await new Promise<void>((resolve) => {
        this.#closing = resolve;
        this.#checkClosed();
      });
    }
    if (!this.#lost) await this.#session.request(Operation.detachProducer, {}).catch(() => undefined);
  }

  onFrame(type: number, chunk: Chunk, start: number, end: number): void {
    const { view } = chunk;
    switch (type) {
      case FrameType.placed:
        expectSize(type, start, end, 4);
        this.#onPlaced(view.getUint32(start, true));
        break;
      case FrameType.synced:
        expectSize(type, start, end, 4);
        this.#onSynced(view.getUint32(start, true));
        break;
      case FrameType.credit:
        expectSize(type, start, end, 12);
        this.#credit = view.getUint32(start, true);
        this.#creditBytes = view.getFloat64(start + 4, true);
        this.#asked = false;
        this.#init.events.writable();
        break;
      case FrameType.recall:
        this.#credit = this.#sent;
        this.#creditBytes = this.#sentBytes;
        this.#connection.writer.amounts(FrameType.return, this.#credit >>> 0, this.#creditBytes);
        break;
      case FrameType.confirmed:
        for (const index of readList(type, chunk, start, end)) this.#onReceipt(index, undefined);
        break;
      default: {
        const { id, text } = readCoded(type, chunk, start, end);
        const error = NaruError.fromJSON(parseJson(text));
        if (error.code === 'NARU_CLOSED') this.#ended = true;
        this.#refused.set(id, error);
      }
    }
  }

  /** The connection is gone: what has no answer yet may or may not have arrived. */
  lost(cause: NaruError): void {
    this.#lost = true;
    const waiting: (Done | undefined)[] = [];
    for (let run = this.#unplaced.shift(); run !== undefined; run = this.#unplaced.shift()) {
      for (; run.count > 0; run.count -= 1) waiting.push(run.done);
    }
    waiting.push(...this.#receipts.values(), ...this.#unsynced.values());
    this.#receipts.clear();
    this.#unsynced.clear();
    const text = `${this.#init.mailbox}: the connection broke before the receipt came: the message may or may not have arrived`;
    for (const done of waiting) done?.(new NaruError('NARU_OUTCOME_UNKNOWN', text, { ...this.#init, cause }));
    this.#session.hold(Hold.done, false);
    this.#closing?.();
  }

  #send(message: Outgoing, size: number): void {
    const { done, confirm } = message;
    const wantsReceipt = done !== undefined && confirm === 'received';
    const wantsSync = done !== undefined && confirm === 'durable';
    this.#sent += 1;
    this.#connection.writer.send(message, size, wantsReceipt ? WANTS_RECEIPT : wantsSync ? WANTS_SYNC : 0);
    if (this.#unplaced.size === 0) this.#session.hold(Hold.done, true);
    this.#expectPlaced(wantsReceipt || wantsSync ? undefined : done);
    if (wantsReceipt) this.#receipts.set(this.#sent, done);
    if (wantsSync) this.#unsynced.set(this.#sent, done);
  }

  #expectPlaced(done: Done | undefined): void {
    const last = this.#lastRun;
    if (last !== undefined && last.count > 0 && last.done === done) {
      last.count += 1;
      return;
    }
    this.#lastRun = { done, count: 1 };
    this.#unplaced.push(this.#lastRun);
  }

  #ask(bytes: number): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#connection.writer.amounts(FrameType.need, 1, bytes);
  }

  #onPlaced(upTo: number): void {
    // Both count the same messages, modulo 2^32.
    let count = (upTo - this.#placed) | 0;
    if (count < 0 || ((this.#sent - this.#placed - count) | 0) < 0) {
      throw new NaruError(
        'NARU_CORRUPT',
        `${this.#init.mailbox}: the host placed what was not sent`,
        this.#init,
      );
    }
    for (let run = this.#unplaced.front(); count > 0 && run !== undefined; run = this.#unplaced.front()) {
      const part = Math.min(count, run.count);
      count -= part;
      run.count -= part;
      if (run.count === 0) this.#unplaced.shift();
      this.#answer(run.done, part);
    }
    this.#checkClosed();
  }

  /** `upTo` counts modulo 2^32. */
  #onSynced(upTo: number): void {
    const count = (upTo - this.#synced) | 0;
    if (count < 0 || this.#synced + count > this.#placed) {
      throw new NaruError(
        'NARU_CORRUPT',
        `${this.#init.mailbox}: the host synced what was not sent`,
        this.#init,
      );
    }
    this.#synced += count;
    for (const [index, done] of this.#unsynced) {
      if (index > this.#synced) break;
      this.#unsynced.delete(index);
      done();
    }
    this.#checkClosed();
  }

  #answer(done: Done | undefined, count: number): void {
    for (let left = count; left > 0; left -= 1) {
      this.#placed += 1;
      if (this.#refused.size === 0) done?.();
      else this.#onAnswer(done);
    }
  }

  #onAnswer(done: Done | undefined): void {
    const error = this.#refused.get(this.#placed >>> 0);
    this.#refused.delete(this.#placed >>> 0);
    if (error !== undefined && this.#receipts.has(this.#placed)) this.#onReceipt(this.#placed, error);
    else if (error !== undefined && this.#unsynced.has(this.#placed)) {
      const refused = this.#unsynced.get(this.#placed);
      this.#unsynced.delete(this.#placed);
      refused?.(error);
    } else if (done !== undefined) done(error);
    else if (error !== undefined) this.#init.events.event('error', { error });
  }

  #onReceipt(index: number, error: NaruError | undefined): void {
    const done = this.#receipts.get(index);
    this.#receipts.delete(index);
    done?.(error);
    this.#checkClosed();
  }

  #checkClosed(): void {
    if (this.#unplaced.size > 0) return;
    const isAwaited = this.#receipts.size > 0 || this.#unsynced.size > 0;
    this.#session.hold(Hold.done, isAwaited);
    if (!isAwaited) this.#closing?.();
  }
}
