// What is to be settled, collected until the next transaction: lists of ids by outcome, and who waits to be told.

import type { Outcome } from '../mailbox/driver.ts';
import type { Settling } from './backend.ts';

type Done = (error?: Error) => void;

/** One transaction's worth. */
export class Batch implements Settling {
  readonly gone: number[] = [];
  readonly released: number[] = [];
  readonly requeued: Map<number, number[]> = new Map();
  readonly #waiting: Done[] = [];

  add(id: number, outcome: Outcome, delayMs: number, done: Done | undefined): void {
    if (done !== undefined) this.#waiting.push(done);
    if (outcome === 'ack' || outcome === 'reject') this.gone.push(id);
    else if (outcome === 'release') this.released.push(id);
    else this.#later(delayMs).push(id);
  }

  /** What another one had, without those who wait for it. */
  addAll(other: Batch): void {
    this.gone.push(...other.gone);
    this.released.push(...other.released);
    for (const [delayMs, ids] of other.requeued) this.#later(delayMs).push(...ids);
  }

  get isEmpty(): boolean {
    return this.gone.length === 0 && !this.wentBack;
  }

  get wentBack(): boolean {
    return this.released.length > 0 || this.requeued.size > 0;
  }

  done(): void {
    for (const done of this.#waiting) done();
  }

  fail(error: Error): void {
    for (const done of this.#waiting) done(error);
  }

  #later(delayMs: number): number[] {
    const ids = this.requeued.get(delayMs) ?? [];
    this.requeued.set(delayMs, ids);
    return ids;
  }
}

export class Settlements {
  #batch = new Batch();
  readonly #running = new Set<Promise<void>>();

  add(id: number, outcome: Outcome, delayMs: number, done: Done | undefined): void {
    this.#batch.add(id, outcome, delayMs, done);
  }

  /** What was collected; from now on another batch is. */
  take(): Batch {
    const batch = this.#batch;
    this.#batch = new Batch();
    return batch;
  }

  /**
   * The transaction failed, and whoever waits for it is told. Without another attempt the messages would stay with this consumer for ever;
   * settling twice does nothing.
   */
  failed(batch: Batch, error: Error): void {
    batch.fail(error);
    this.#batch.addAll(batch);
  }

  /** A transaction that close() has to wait for. */
  running(transaction: Promise<void>): void {
    this.#running.add(transaction);
    void transaction.finally(() => this.#running.delete(transaction));
  }

  async whenIdle(): Promise<void> {
    await Promise.all(this.#running);
  }
}
