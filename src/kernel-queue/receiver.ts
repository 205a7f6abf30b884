// The receiving end. Reading deletes: what take() gave is out of the kernel. What was taken and not given (an abort in the moment of
// arrival, a loop that ended early) is kept here for the next take(), and goes back into the queue at close.

import { isNaruError, NaruError } from '../errors/index.ts';
import { Linger, queuePatience, type QueueWaiting } from '../kernel/linger.ts';
import type { Delivery, DriverHooks, Receiver } from '../mailbox/driver.ts';
import type { Patience } from '../waiting/patience.ts';
import { deliveryOf, isExpired, type Packing } from './packing.ts';
import type { KernelQueue, QueueItem } from './queue.ts';

/** What a receiver counts beside its messages. */
export interface ReceiverAccount {
  /** @param reason  why messages are lost */
  lose(reason: string, count: number): void;
  closed(): void;
}

export class QueueReceiver implements Receiver {
  readonly ended = false;
  readonly #queue: KernelQueue;
  readonly #packing: Packing;
  readonly #hooks: DriverHooks;
  readonly #account: ReceiverAccount;
  /** Taken from the kernel and not yet given, oldest first. */
  #kept: Delivery[] = [];
  #token = 0;
  #wanted = 0;
  #waits = false;
  readonly #patience: Patience;
  readonly #linger: Linger;
  #isClosed = false;

  constructor(
    queue: KernelQueue,
    packing: Packing,
    hooks: DriverHooks,
    account: ReceiverAccount,
    waiting: QueueWaiting,
  ) {
    this.#queue = queue;
    this.#packing = packing;
    this.#hooks = hooks;
    this.#account = account;
    this.#patience = queuePatience(waiting);
    this.#linger = new Linger(
      this.#patience,
      () => this.#look(),
      () => this.#sleep(),
    );
  }

  take(max: number, out: Delivery[]): number {
    if (this.#isClosed) return 0;
    // What the waiting thread has taken in this moment is older than what is in the queue.
    this.#stop();
    const before = out.length;
    if (this.#kept.length > 0) out.push(...this.#kept.splice(0, max));
    try {
      while (out.length - before < max) {
        const items = this.#queue.take(max - (out.length - before));
        if (items.length === 0) break;
        for (const item of items) this.#unpack(item, out);
      }
    } catch (error) {
      this.#fail(error);
    }
    const count = out.length - before;
    if (count < max && this.#wanted > count) this.#wait();
    return count;
  }

  want(count: number): void {
    this.#wanted = count;
    if (count === 0) this.#stop();
    else this.#wait();
  }

  waitSync(timeoutMs: number): 'ready' | 'timeout' | 'interrupted' {
    this.#stop();
    if (this.#kept.length > 0) return 'ready';
    const outcome = this.#queue.takeSync(timeoutMs);
    if (typeof outcome === 'object') this.#unpack(outcome, this.#kept);
    if (this.#wanted > 0) this.#wait();
    return typeof outcome === 'string' ? outcome : 'ready';
  }

  putBack(delivery: Delivery): void {
    const { token } = delivery;
    let at = this.#kept.findIndex((kept) => kept.token > token);
    if (at < 0) at = this.#kept.length;
    this.#kept.splice(at, 0, delivery);
  }

  settle(): void {
    // Reading has taken it for good; only places that declare `ack` are asked.
  }

  ackAll(): void {
    // As settle().
  }

  received(): void {
    // Nobody waits for a receipt.
  }

  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#wanted = 0;
    this.#stop();
    this.#isClosed = true;
    const lost = this.#kept.filter((delivery) => !this.#returned(delivery)).length;
    this.#kept = [];
    if (lost > 0) this.#account.lose('returned', lost);
    this.#account.closed();
    return Promise.resolve();
  }

  /** Behind everything that came meanwhile: a queue of the kernel has no way to the front. */
  #returned(delivery: Delivery): boolean {
    try {
      return this.#queue.put([this.#packing.pack(delivery, delivery.sender)]) === 1;
    } catch {
      return false;
    }
  }

  #unpack(item: QueueItem, out: Delivery[]): void {
    try {
      const envelope = this.#packing.unpack(item);
      if (isExpired(envelope)) return this.#account.lose('expired', 1);
      out.push(deliveryOf(envelope, this.#token));
      this.#token += 1;
    } catch (cause) {
      this.#account.lose('undecodable', 1);
      const text = `a message of ${item.body.length} bytes has no envelope; its sender wants ?format=raw`;
      this.#hooks.event('error', { error: new NaruError('NARU_INVALID_MESSAGE', text, { cause }) });
    }
  }

  #wait(): void {
    if (this.#waits || this.#isClosed || this.#kept.length > 0) return;
    if (this.#queue.isWatched === true && this.#patience.turns === 0) {
      this.#patience.slept();
      this.#sleep();
    } else this.#linger.start();
  }

  /** @returns true when this wait is over */
  #look(): boolean {
    try {
      const [there] = this.#queue.take(1);
      if (there === undefined) return false;
      this.#over(undefined, there);
    } catch (error) {
      this.#fail(error);
    }
    return true;
  }

  #sleep(): void {
    try {
      this.#waits = true;
      this.#queue.waitToTake((error, item) => this.#over(error, item));
    } catch (error) {
      this.#waits = false;
      this.#fail(error);
    }
  }

  #over(error: Error | undefined, item: QueueItem | undefined): void {
    this.#waits = false;
    if (error !== undefined) return this.#fail(error);
    if (item !== undefined) this.#unpack(item, this.#kept);
    this.#hooks.readable();
    if (this.#wanted > 0) this.#wait();
  }

  #stop(): void {
    this.#linger.stop(false);
    if (!this.#waits) return;
    this.#waits = false;
    const item = this.#queue.stopTake();
    if (item !== undefined) this.#unpack(item, this.#kept);
  }

  /** A removed queue is the end of the mailbox; anything else, too, would fail every later call. */
  #fail(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.#hooks.failed(
      isNaruError(error)
        ? error
        : new NaruError('NARU_CLOSED', `receiving failed: ${text}`, { cause: error }),
    );
  }
}
