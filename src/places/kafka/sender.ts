// The sending end. What offer() takes waits here until the batch before it is in; what comes meanwhile goes into the next one. Both are
// bounded. One batch at a time keeps the order, and after a lost answer nothing more is said to the same producer.

import type { NaruError } from '../../errors/index.ts';
import type { DriverHooks, Outgoing, Sender } from '../../mailbox/driver.ts';
import type { KafkaProducer } from './client.ts';
import { HELD } from './limits.ts';
import { type Encoded, RecordWriter } from './record.ts';

export interface SenderInit {
  readonly hooks: DriverHooks;
  readonly identity: string;
  readonly partitions: number;
  /** The largest batch that the topic takes, in bytes. */
  readonly batchBytesMax: number;
  /** A producer that has not failed yet. @throws NARU_DISCONNECTED after a while */
  readonly producer: () => Promise<KafkaProducer>;
  /** @returns what the failure of a batch is for those who sent it */
  readonly failed: (error: unknown) => Promise<NaruError>;
  readonly worked: () => void;
  readonly lost: (count: number, error: Error) => void;
  /** Resolves when what this handle itself is to receive is settled; undefined: it is. */
  readonly ready: () => Promise<void> | undefined;
  /** Keeps the process alive. */
  readonly hold: (isNeeded: boolean) => void;
  readonly onClose: () => void;
}

export class KafkaSender implements Sender {
  readonly #init: SenderInit;
  readonly #writer: RecordWriter;
  #pending: Encoded[] = [];
  #pendingBytes = 0;
  #flushing: Promise<void> | undefined;
  #scheduled: NodeJS.Immediate | undefined;
  /** How many were there when it was scheduled. */
  #before = 0;
  #producer: KafkaProducer | undefined;
  /** offer() refused something, and its caller waits. */
  #isWaiting = false;
  #closed: Promise<void> | undefined;

  constructor(init: SenderInit) {
    this.#init = init;
    this.#writer = new RecordWriter(init.identity, init.partitions);
  }

  offer(batch: readonly Outgoing[], from: number): number {
    let at = from;
    for (; at < batch.length; at += 1) {
      const isBusy = this.#pending.length > 0 && this.#pendingBytes > HELD.sendingBytesMax;
      if (isBusy || this.#pending.length >= HELD.sendingMax) break;
      this.#take(batch[at] as Outgoing);
    }
    this.#isWaiting = at < batch.length;
    return at - from;
  }

  async poll(): Promise<void> {
    await this.#flushing;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #take(message: Outgoing): void {
    const record = this.#writer.encode(message);
    this.#pending.push(record);
    this.#pendingBytes += record.size;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#flushing !== undefined || this.#scheduled !== undefined) return;
    this.#init.hold(true);
    this.#look();
  }

  /** Goes at the end of the turn; where more came in it, a list is being sent, and the rest of it may come in the next one. */
  #look(): void {
    this.#before = this.#pending.length;
    this.#scheduled = setImmediate(() => {
      const isGrowing = this.#pending.length > this.#before;
      const isEnough = this.#pendingBytes >= HELD.sendingBytesEnough || this.#isWaiting;
      if (isGrowing && !isEnough) this.#look();
      else this.#flush();
    });
  }

  #flush(): void {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    if (this.#pending.length === 0 || this.#flushing !== undefined) return;
    this.#flushing = this.#place(this.#nextBatch()).finally(() => {
      this.#flushing = undefined;
      if (this.#pending.length > 0) this.#flush();
      else this.#init.hold(false);
      if (this.#isWaiting) this.#init.hooks.writable();
    });
  }

  /** As many as go into one batch. */
  #nextBatch(): Encoded[] {
    let bytes = 0;
    let count = 0;
    for (const { size } of this.#pending) {
      if (count > 0 && bytes + size > this.#init.batchBytesMax) break;
      bytes += size;
      count += 1;
    }
    const batch = count === this.#pending.length ? this.#pending : this.#pending.slice(0, count);
    this.#pending = count === this.#pending.length ? [] : this.#pending.slice(count);
    this.#pendingBytes -= bytes;
    return batch;
  }

  async #place(batch: readonly Encoded[]): Promise<void> {
    try {
      await this.#init.ready();
      this.#producer ??= await this.#init.producer();
      await this.#producer.send(batch);
      this.#init.worked();
      for (const { done } of batch) done?.();
    } catch (thrown) {
      this.#discard();
      const error = await this.#init.failed(thrown);
      for (const { done } of batch) done?.(error);
      const untold = batch.filter(({ done }) => done === undefined).length;
      if (untold > 0) this.#init.lost(untold, error);
    }
  }

  #discard(): void {
    this.#producer?.close().catch(() => undefined);
    this.#producer = undefined;
  }

  async #close(): Promise<void> {
    this.#isWaiting = false;
    while (this.#pending.length > 0 || this.#flushing !== undefined) {
      this.#flush();
      await this.#flushing;
    }
    await this.#producer?.close().catch(() => undefined);
    this.#producer = undefined;
    this.#init.onClose();
  }
}
