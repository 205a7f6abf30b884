// Messages and storage together: what a queue must keep is stored once however many queues have it, its bytes leave memory when
// they take too much, and come back when they are needed. What is confirmed when is the store's.

import { isNaruError } from '../../errors/index.ts';
import type { Clock } from '../clock.ts';
import type { MessageTable } from '../message-table.ts';
import { HEAD_BYTES_MAX, packNote, packReturns } from './message-record.ts';
import { STREAM, type Store } from './store.ts';

/** What queues and exchanges ask of storage. */
export interface Keep {
  /** The stream needs the message no more; nothing happens when it was not stored. */
  drop(stream: number, slot: number): void;
  /** Notes how often a message came back to its queue. */
  noteReturns(stream: number, slot: number, returns: number): void;
  /** Whether the message's bytes are there; if not, `then` is called when they are. It never is when they are damaged. */
  ensure(slot: number, then: () => void): boolean;
  /** The message's bytes are not needed soon. */
  rest(slot: number): void;
}

export interface KeeperInit {
  readonly messages: MessageTable;
  readonly store: Store;
  readonly clock: Clock;
  /** Bytes of messages in memory beyond which what is stored is only on the disk. */
  readonly contentBytesMax: number;
  /** Reading failed in a way that the store does not tell of. */
  readonly failed: (error: unknown) => void;
}

export class Keeper implements Keep {
  readonly #messages: MessageTable;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #contentBytesMax: number;
  readonly #failed: (error: unknown) => void;
  /** The record that tells of a message's returns, by stream and sequence. */
  readonly #returns = new Map<string, number>();
  /** Who waits for the bytes of a message, by its sequence. */
  readonly #reading = new Map<number, (() => void)[]>();

  constructor({ messages, store, clock, contentBytesMax, failed }: KeeperInit) {
    this.#messages = messages;
    this.#store = store;
    this.#clock = clock;
    this.#contentBytesMax = contentBytesMax;
    this.#failed = failed;
  }

  get store(): Store {
    return this.#store;
  }

  /**
   * Stores a message for those who need it.
   * @param streams  whose it is; at least one
   * @param ttlMs  how long they will have it; Infinity: for ever
   * @param level  `disk`: it must be there before it is confirmed, whatever the level of the store is
   * @returns false when the disk is full and too much waits for it already
   */
  keep(slot: number, streams: readonly number[], ttlMs: number, level?: 'disk'): boolean {
    const hasTtl = ttlMs !== Infinity;
    const stamp = this.#clock.wallMs() + (hasTtl ? ttlMs : 0);
    const sequence = this.#append(slot, streams, hasTtl, stamp, level);
    if (sequence === 0) return false;
    this.#messages.setSequence(slot, sequence);
    return true;
  }

  /** Stores a message that waits for its time. @param dueInMs  from now. @returns as keep() */
  keepDelayed(slot: number, stream: number, dueInMs: number): boolean {
    const sequence = this.#append(slot, [stream], false, this.#clock.wallMs() + dueInMs);
    if (sequence !== 0) this.#messages.setSequence(slot, sequence);
    return sequence !== 0;
  }

  #append(slot: number, streams: readonly number[], hasTtl: boolean, stamp: number, level?: 'disk'): number {
    const messages = this.#messages;
    const headBytes = messages.bodyStart(slot) - messages.start(slot);
    if (headBytes > HEAD_BYTES_MAX) return 0;
    const persistent = messages.persistent(slot);
    const note = packNote({ priority: messages.priority(slot), persistent, hasTtl, headBytes });
    try {
      return this.#store.append(streams, note, stamp, messages.content(slot), level);
    } catch (error) {
      if (isNaruError(error, 'NARU_FULL')) return 0;
      throw error;
    }
  }

  drop(stream: number, slot: number): void {
    const sequence = this.#messages.sequence(slot);
    if (sequence === 0) return;
    this.#store.remove(stream, sequence);
    if (this.#returns.size > 0) this.#forgetReturns(stream, sequence);
  }

  /** The same, when the record that took its place is safe. */
  dropAfter(copy: number, stream: number, slot: number): void {
    const sequence = this.#messages.sequence(slot);
    if (sequence === 0) return;
    if (copy === 0) this.#store.remove(stream, sequence);
    else this.#store.removeAfter(copy, stream, sequence);
    if (this.#returns.size > 0) this.#forgetReturns(stream, sequence);
  }

  noteReturns(stream: number, slot: number, returns: number): void {
    const sequence = this.#messages.sequence(slot);
    if (sequence === 0 || this.#store.failure !== undefined) return;
    this.#forgetReturns(stream, sequence);
    const stamp = packReturns(sequence, returns);
    const record = this.#store.append([STREAM.returns], stream, stamp, NO_BYTES, 'memory');
    this.#returns.set(`${stream} ${sequence}`, record);
  }

  /** A record that tells of returns was found when the log was opened. */
  knowReturns(stream: number, sequence: number, record: number): void {
    this.#returns.set(`${stream} ${sequence}`, record);
  }

  #forgetReturns(stream: number, sequence: number): void {
    const name = `${stream} ${sequence}`;
    const before = this.#returns.get(name);
    if (before === undefined) return;
    this.#returns.delete(name);
    this.#store.remove(STREAM.returns, before);
  }

  rest(slot: number): void {
    const messages = this.#messages;
    if (messages.contentBytes > this.#contentBytesMax && messages.sequence(slot) !== 0)
      messages.sendAway(slot);
  }

  ensure(slot: number, then: () => void): boolean {
    const messages = this.#messages;
    if (!messages.isAway(slot)) return true;
    const sequence = messages.sequence(slot);
    try {
      const record = this.#store.peek(sequence);
      if (record !== undefined) {
        messages.bringBack(slot, asBuffer(record.body));
        return true;
      }
    } catch (error) {
      // Whose it is was told already.
      if (isNaruError(error, 'NARU_CORRUPT')) return false;
      throw error;
    }
    const waiting = this.#reading.get(sequence);
    if (waiting !== undefined) waiting.push(then);
    else {
      this.#reading.set(sequence, [then]);
      void this.#read(slot, sequence);
    }
    return false;
  }

  /** Resolves when the message's bytes are there; never when they are damaged. */
  async load(slot: number): Promise<void> {
    await new Promise<void>((resolve) => {
      if (this.ensure(slot, resolve)) resolve();
    });
  }

  async #read(slot: number, sequence: number): Promise<void> {
    try {
      const record = await this.#store.read(sequence);
      // Meanwhile the slot may be another message's.
      const messages = this.#messages;
      const isSame = messages.sequence(slot) === sequence && messages.isAway(slot);
      if (record !== undefined && isSame) messages.bringBack(slot, asBuffer(record.body));
      const waiting = this.#reading.get(sequence) ?? [];
      this.#reading.delete(sequence);
      for (const then of waiting) then();
    } catch (error) {
      this.#reading.delete(sequence);
      if (!isNaruError(error, 'NARU_CORRUPT') && this.#store.failure === undefined) this.#failed(error);
    }
  }
}

const NO_BYTES = new Uint8Array();

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
