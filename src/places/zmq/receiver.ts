// The receiving end: what has come and was not handed out yet.

import type { Delivery, DriverHooks, Receiver } from '../../mailbox/driver.ts';
import type { Inlet } from './inlet.ts';

/** What a receiver needs of its driver. */
export interface ReceiverInit {
  readonly inlet: Inlet;
  readonly hooks: DriverHooks;
  /** The handle is in use again. */
  readonly touch: () => void;
  /** @param unread  what had come and nobody got */
  readonly closed: (unread: readonly Delivery[]) => void;
}

/** Messages that may lie here; what is more waits in the socket, under its high-water mark. */
const IN_HAND_MAX = 256;

export class ZmqReceiver implements Receiver {
  readonly ended = false;
  readonly #init: ReceiverInit;
  #ready: Delivery[] = [];
  #head = 0;
  #wanted = 0;
  #isTelling = false;
  #isClosed = false;

  constructor(init: ReceiverInit) {
    this.#init = init;
  }

  /** Somebody waits, and there is room for what comes. */
  get wantsMore(): boolean {
    return this.#wanted > 0 && this.#ready.length - this.#head < IN_HAND_MAX;
  }

  /** A call waits. */
  get isHeld(): boolean {
    return this.#wanted > 0;
  }

  /** A message came. */
  put(delivery: Delivery): void {
    this.#ready.push(delivery);
    if (this.#wanted === 0 || this.#isTelling) return;
    this.#isTelling = true;
    // Not at once: many come one after the other, and are taken together.
    process.nextTick(() => {
      this.#isTelling = false;
      if (!this.#isClosed) this.#init.hooks.readable();
    });
  }

  take(max: number, out: Delivery[]): number {
    const end = Math.min(this.#ready.length, this.#head + max);
    const count = end - this.#head;
    for (let at = this.#head; at < end; at += 1) out.push(this.#ready[at] as Delivery);
    this.#head = end;
    if (end === this.#ready.length && end > 0) {
      this.#ready = [];
      this.#head = 0;
    }
    return count;
  }

  want(count: number): void {
    this.#wanted = count;
    if (count === 0) return;
    this.#init.touch();
    this.#init.inlet.run();
  }

  poll(): Promise<void> {
    return this.#init.inlet.look();
  }

  putBack(delivery: Delivery): void {
    if (this.#head > 0) {
      this.#head -= 1;
      this.#ready[this.#head] = delivery;
    } else this.#ready.unshift(delivery);
  }

  settle(): void {
    // Only asked where `ack` is declared: reading has taken the message for good.
  }

  ackAll(): void {
    // As settle().
  }

  received(): void {
    // Nobody waits for a receipt here.
  }

  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#isClosed = true;
    this.#wanted = 0;
    this.#init.closed(this.#ready.slice(this.#head));
    return Promise.resolve();
  }
}
