// The publishing end of a channel: each message is one PUBLISH, sent behind the others without waiting for answers. Bounded.

import type { DriverHooks, Outgoing, Sender } from '../../mailbox/driver.ts';
import { encodeNamed, namedSize, viewOf } from '../../wire/named-envelope.ts';

/** Messages and bytes whose answer has not come. */
const PENDING_MAX = 1_024;
const PENDING_BYTES_MAX = 8_388_608;

export interface ChannelSenderInit {
  readonly identity: string;
  readonly hooks: DriverHooks;
  /** @returns how many got it */
  readonly publish: (bytes: Buffer) => Promise<number>;
  readonly dropped: (reason: string, count: number) => void;
  readonly lost: (count: number) => void;
  readonly hold: (isNeeded: boolean) => void;
  readonly onClose: () => void;
}

export class ChannelSender implements Sender {
  readonly #init: ChannelSenderInit;
  readonly #running = new Set<Promise<void>>();
  #bytes = 0;
  #isWaiting = false;

  constructor(init: ChannelSenderInit) {
    this.#init = init;
  }

  offer(batch: readonly Outgoing[], from: number): number {
    let at = from;
    for (; at < batch.length; at += 1) {
      const message = batch[at] as Outgoing;
      const size = namedSize(message, this.#init.identity);
      const isBusy = this.#running.size > 0 && this.#bytes + size > PENDING_BYTES_MAX;
      if (isBusy || this.#running.size >= PENDING_MAX) break;
      this.#take(message, size);
    }
    this.#isWaiting = at < batch.length;
    this.#init.hold(this.#isWaiting);
    return at - from;
  }

  async close(): Promise<void> {
    this.#isWaiting = false;
    this.#init.hold(false);
    await Promise.all(this.#running);
    this.#init.onClose();
  }

  #take(message: Outgoing, size: number): void {
    const bytes = Buffer.allocUnsafe(size);
    encodeNamed(message, this.#init.identity, bytes, viewOf(bytes), 0);
    this.#bytes += size;
    const running = this.#publish(message, bytes).finally(() => {
      this.#bytes -= size;
      this.#running.delete(running);
      if (this.#isWaiting) this.#init.hooks.writable();
    });
    this.#running.add(running);
  }

  async #publish(message: Outgoing, bytes: Buffer): Promise<void> {
    const { publish, dropped, lost } = this.#init;
    try {
      if ((await publish(bytes)) === 0) dropped('nobody', 1);
      message.done?.();
    } catch (error) {
      if (message.done === undefined) lost(1);
      message.done?.(error as Error);
    }
  }
}
