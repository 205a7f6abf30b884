// The sending end: takes messages while there is somebody to send them to and room, and tells when there is again.

import type { DriverHooks, Outgoing, Sender } from '../../mailbox/driver.ts';
import type { Outlet } from './outlet.ts';

/** What a sender needs of its driver. */
export interface SenderInit {
  readonly outlet: Outlet;
  readonly hooks: DriverHooks;
  /** Messages that may wait for libzmq to take them. */
  readonly inHandMax: number;
  /** Whether somebody is there to send to; a publisher without subscribers drops, and says so. */
  readonly presence: () => 'there' | 'nobody' | 'drop';
  /** Resolves when presence() knows. */
  readonly ask: () => Promise<void>;
  /** Puts a message into the outlet. @throws NARU_INVALID_MESSAGE, NARU_TOO_LARGE */
  readonly put: (message: Outgoing) => void;
  readonly dropped: (count: number) => void;
  /** The handle is in use again. */
  readonly touch: () => void;
  readonly closed: () => void;
}

export class ZmqSender implements Sender {
  readonly #init: SenderInit;
  #isHungry = false;
  #isClosed = false;

  constructor(init: SenderInit) {
    this.#init = init;
  }

  /** A send waits. */
  get isHeld(): boolean {
    return this.#isHungry;
  }

  offer(batch: readonly Outgoing[], from: number): number {
    this.#isHungry = false;
    if (from >= batch.length) return 0;
    this.#init.touch();
    const presence = this.#init.presence();
    if (presence === 'drop') {
      this.#init.dropped(batch.length - from);
      for (let at = from; at < batch.length; at += 1) finish(batch[at] as Outgoing);
      return batch.length - from;
    }
    const taken = presence === 'nobody' ? 0 : this.#put(batch, from);
    this.#isHungry = from + taken < batch.length;
    return taken;
  }

  poll(): Promise<void> {
    return this.#init.ask();
  }

  /** There may be room, or somebody to send to. */
  tellRoom(): void {
    const { outlet, inHandMax, hooks } = this.#init;
    if (!this.#isHungry || this.#isClosed || outlet.waiting * 2 > inHandMax) return;
    this.#isHungry = false;
    hooks.writable();
  }

  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#isClosed = true;
    this.#isHungry = false;
    this.#init.closed();
    return Promise.resolve();
  }

  #put(batch: readonly Outgoing[], from: number): number {
    const { outlet, inHandMax, put } = this.#init;
    const end = Math.min(batch.length, from + inHandMax - outlet.waiting);
    let at = from;
    try {
      for (; at < end; at += 1) {
        put(batch[at] as Outgoing);
        finish(batch[at] as Outgoing);
      }
    } catch (error) {
      if (at === from) throw error;
      // What is wrong with it is for the next offer, which begins with it, to tell.
      setImmediate(() => this.tellRoom());
    }
    return at - from;
  }
}

/** It has got as far as it is known to get: taken. */
function finish({ done }: Outgoing): void {
  if (done !== undefined) process.nextTick(done);
}
