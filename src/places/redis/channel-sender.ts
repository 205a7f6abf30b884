// The publishing end of a channel. What is offered in one turn of the event loop goes out together; while many commands are under way, more is
// gathered. Bounded.

import type { NewRow } from '../../engine-queue/backend.ts';
import { Parcel } from '../../engine-queue/parcel.ts';
import type { DriverHooks, Outgoing, Sender } from '../../mailbox/driver.ts';
import { namedSize } from '../../wire/named-envelope.ts';
import { frameEnd, frameOf } from './channel-frames.ts';

/** Messages and bytes that may wait for their command. */
const PENDING_MAX = 1_024;
const PENDING_BYTES_MAX = 8_388_608;
/** Commands that may be without an answer when the next ones are sent: the server always has some to work on, and what is under way is bounded. */
const UNDER_WAY_MAX = 8;

export interface ChannelSenderInit {
  readonly identity: string;
  readonly hooks: DriverHooks;
  /** @returns how many heard them */
  readonly publish: (bytes: Buffer) => Promise<number>;
  readonly dropped: (reason: string, count: number) => void;
  readonly lost: (count: number) => void;
  readonly hold: (isNeeded: boolean) => void;
  readonly onClose: () => void;
}

export class ChannelSender implements Sender {
  readonly #init: ChannelSenderInit;
  #pending = new Parcel();
  #scheduled: NodeJS.Immediate | undefined;
  /** Commands whose answer has not come. */
  readonly #underWay = new Set<Promise<void>>();
  #isWaiting = false;

  constructor(init: ChannelSenderInit) {
    this.#init = init;
  }

  offer(batch: readonly Outgoing[], from: number): number {
    const { identity, hold } = this.#init;
    let at = from;
    for (; at < batch.length; at += 1) {
      const message = batch[at] as Outgoing;
      const size = namedSize(message, identity);
      const { rows, size: pending } = this.#pending;
      if (rows.length >= PENDING_MAX || (rows.length > 0 && pending + size > PENDING_BYTES_MAX)) break;
      this.#pending.add(message, identity, size, size);
    }
    this.#isWaiting = at < batch.length;
    hold(this.#isWaiting);
    if (at > from) this.#flushSoon();
    return at - from;
  }

  async close(): Promise<void> {
    this.#isWaiting = false;
    this.#init.hold(false);
    while (this.#pending.rows.length > 0 || this.#underWay.size > 0) {
      this.#flush();
      await Promise.all(this.#underWay);
    }
    this.#init.onClose();
  }

  /** Once this turn of the event loop has offered all it has. */
  #flushSoon(): void {
    if (this.#underWay.size < UNDER_WAY_MAX) this.#scheduled ??= setImmediate(() => this.#flush());
  }

  #flush(): void {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    const { rows, bytes } = this.#pending;
    if (rows.length === 0) return;
    this.#pending = new Parcel(bytes.byteLength);
    for (let from = 0; from < rows.length; ) {
      const end = frameEnd(rows, from);
      this.#send(rows.slice(from, end), bytes);
      from = end;
    }
    if (this.#isWaiting) this.#init.hooks.writable();
  }

  #send(rows: readonly NewRow[], bytes: Buffer): void {
    const sent = this.#publish(rows, bytes).finally(() => {
      this.#underWay.delete(sent);
      if (this.#pending.rows.length > 0) this.#flushSoon();
    });
    this.#underWay.add(sent);
  }

  async #publish(rows: readonly NewRow[], bytes: Buffer): Promise<void> {
    const { publish, dropped, lost } = this.#init;
    try {
      if ((await publish(frameOf(rows, bytes))) === 0) dropped('nobody', rows.length);
      for (const { message } of rows) message.done?.();
    } catch (error) {
      for (const { message } of rows) message.done?.(error as Error);
      const untold = rows.filter(({ message }) => message.done === undefined).length;
      if (untold > 0) lost(untold);
    }
  }
}
