// The sending end. What finds no room waits in the kernel, not here: a thread sits there with the first message that was refused,
// and where waiting for room means sending it (System V), the message is in when the wait is over.

import { isNaruError } from '../errors/index.ts';
import { Linger, queuePatience, type QueueWaiting } from '../kernel/linger.ts';
import type { DriverHooks, Outgoing, Sender } from '../mailbox/driver.ts';
import type { Packing } from './packing.ts';
import type { KernelQueue, QueueItem } from './queue.ts';

/** Messages packed for one call: a queue of the kernel seldom has room for more. */
const CHUNK = 64;

export class QueueSender implements Sender {
  readonly #queue: KernelQueue;
  readonly #packing: Packing;
  readonly #identity: string;
  readonly #hooks: DriverHooks;
  readonly #onClose: () => void;
  /** What offer() refused last: a blocking call waits with it, too. */
  #refused: Outgoing | undefined;
  /** The message that somebody waits with. */
  #pilot: Outgoing | undefined;
  /** The wait in the kernel has begun. */
  #waits = false;
  /** A message that went in while its caller waited. */
  #in: Outgoing | undefined;
  /** The pilot, packed. */
  #item: QueueItem | undefined;
  readonly #linger: Linger;

  constructor(
    queue: KernelQueue,
    packing: Packing,
    identity: string,
    hooks: DriverHooks,
    onClose: () => void,
    waiting: QueueWaiting,
  ) {
    this.#onClose = onClose;
    this.#queue = queue;
    this.#packing = packing;
    this.#identity = identity;
    this.#hooks = hooks;
    this.#linger = new Linger(
      queuePatience(waiting),
      () => this.#look(),
      () => this.#sleep(),
    );
  }

  offer(batch: readonly Outgoing[], from: number): number {
    let at = from;
    const first = batch[at];
    if (first === undefined) {
      this.#stop();
      return 0;
    }
    if (first === this.#in) {
      this.#in = undefined;
      at += 1;
    } else if (first === this.#pilot && this.#waits) {
      return 0;
    }
    this.#stop();
    at += this.#put(batch, at, at > from);
    if (at === batch.length) this.#refused = undefined;
    else this.#wait(batch[at] as Outgoing);
    return at - from;
  }

  withdraw(): boolean {
    if (this.#in !== undefined) {
      this.#in = undefined;
      return true;
    }
    const isIn = this.#waits && this.#queue.stopPut();
    this.#waits = false;
    this.#stop();
    return isIn;
  }

  waitSync(timeoutMs: number): 'ready' | 'timeout' | 'interrupted' {
    const message = this.#pilot ?? this.#refused;
    if (message === undefined || this.#in !== undefined) return 'ready';
    const isAwaited = this.#pilot !== undefined;
    if (this.withdraw()) {
      this.#in = message;
      return 'ready';
    }
    const outcome = this.#queue.putSync(this.#packing.pack(message, this.#identity), timeoutMs);
    if (outcome === 'in') this.#in = message;
    else if (isAwaited && outcome !== 'room') this.#wait(message);
    return outcome === 'in' || outcome === 'room' ? 'ready' : outcome;
  }

  close(): Promise<void> {
    this.#stop();
    this.#in = undefined;
    this.#refused = undefined;
    this.#onClose();
    return Promise.resolve();
  }

  /** @param isLater  others were taken before: what is wrong with the first is for the next offer to tell */
  #put(batch: readonly Outgoing[], from: number, isLater: boolean): number {
    let at = from;
    while (at < batch.length) {
      const { items, error } = this.#pack(batch, at);
      let put = 0;
      try {
        if (items.length === 0) throw error;
        put = this.#queue.put(items);
      } catch (thrown) {
        if (isNaruError(thrown, 'NARU_CLOSED')) this.#hooks.failed(thrown);
        if (at === from && !isLater) throw thrown;
        break;
      }
      at += put;
      if (put < items.length) break;
    }
    return at - from;
  }

  #pack(batch: readonly Outgoing[], from: number): { items: QueueItem[]; error: unknown } {
    const items: QueueItem[] = [];
    const end = Math.min(batch.length, from + CHUNK);
    try {
      for (let at = from; at < end; at += 1)
        items.push(this.#packing.pack(batch[at] as Outgoing, this.#identity));
    } catch (error) {
      return { items, error };
    }
    return { items, error: undefined };
  }

  /** Not at once: a send that gives up rather than waits says so in the same turn. */
  #wait(message: Outgoing): void {
    this.#refused = message;
    this.#pilot = message;
    this.#item = undefined;
    this.#linger.start();
  }

  /** @returns true when this wait is over */
  #look(): boolean {
    const message = this.#pilot;
    if (message === undefined) return true;
    try {
      this.#item ??= this.#packing.pack(message, this.#identity);
      if (this.#queue.put([this.#item]) !== 1) return false;
      this.#over(undefined, true);
    } catch {
      // It can never go in: the next offer says why.
      this.#over(undefined, false);
    }
    return true;
  }

  #sleep(): void {
    if (this.#item === undefined) return;
    try {
      this.#queue.waitToPut(this.#item, (error, isIn) => this.#over(error, isIn));
      this.#waits = true;
    } catch {
      this.#over(undefined, false);
    }
  }

  #over(error: Error | undefined, isIn: boolean): void {
    const message = this.#pilot;
    this.#waits = false;
    this.#pilot = undefined;
    this.#item = undefined;
    if (isIn) this.#in = message;
    if (isNaruError(error, 'NARU_CLOSED')) this.#hooks.failed(error);
    else this.#hooks.writable();
  }

  #stop(): void {
    this.#linger.stop(false);
    if (this.#waits) this.#queue.stopPut();
    this.#waits = false;
    this.#pilot = undefined;
    this.#item = undefined;
  }
}
