// The publishing end of a channel. What is offered while commands are under way goes out together when they are answered. Bounded.

import type { NewRow } from '../../engine-queue/backend.ts';
import { Parcel } from '../../engine-queue/parcel.ts';
import type { DriverHooks, Outgoing, Sender } from '../../mailbox/driver.ts';
import { namedSize } from '../../wire/named-envelope.ts';
import { type Script, script } from './script.ts';

/** Messages in one command: while the server goes through them, those of the one before are being read. */
const COMMAND_MAX = 128;
/** Messages and bytes that may wait for their command. */
const PENDING_MAX = 1_024;
const PENDING_BYTES_MAX = 8_388_608;

/** ARGV: the lengths of messages as JSON, all their bytes. @returns how many heard them: nobody comes or goes while a script runs */
export const PUBLISH: Script = script(`
local channel, at, all, heard = KEYS[1], 1, ARGV[2], 0
for _, length in ipairs(cjson.decode(ARGV[1])) do
  heard = redis.call('PUBLISH', channel, string.sub(all, at, at + length - 1))
  at = at + length
end
return heard`);

export interface ChannelSenderInit {
  readonly identity: string;
  readonly hooks: DriverHooks;
  /** @returns how many heard them */
  readonly publish: (messages: readonly NewRow[], bytes: Buffer) => Promise<number>;
  readonly dropped: (reason: string, count: number) => void;
  readonly lost: (count: number) => void;
  readonly hold: (isNeeded: boolean) => void;
  readonly onClose: () => void;
}

export class ChannelSender implements Sender {
  readonly #init: ChannelSenderInit;
  #pending = new Parcel();
  #scheduled: NodeJS.Immediate | undefined;
  #publishing: Promise<void> | undefined;
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
    if (at > from && this.#publishing === undefined) this.#scheduled ??= setImmediate(() => this.#flush());
    return at - from;
  }

  async close(): Promise<void> {
    this.#isWaiting = false;
    this.#init.hold(false);
    while (this.#pending.rows.length > 0 || this.#publishing !== undefined) {
      this.#flush();
      await this.#publishing;
    }
    this.#init.onClose();
  }

  #flush(): void {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    const parcel = this.#pending;
    if (parcel.rows.length === 0 || this.#publishing !== undefined) return;
    this.#pending = new Parcel(parcel.bytes.byteLength);
    this.#publishing = this.#publishAll(parcel).finally(() => {
      this.#publishing = undefined;
      this.#flush();
      if (this.#isWaiting) this.#init.hooks.writable();
    });
  }

  async #publishAll({ rows, bytes }: Parcel): Promise<void> {
    const running: Promise<void>[] = [];
    for (let from = 0; from < rows.length; from += COMMAND_MAX)
      running.push(this.#publish(rows.slice(from, from + COMMAND_MAX), bytes));
    await Promise.all(running);
  }

  async #publish(rows: readonly NewRow[], bytes: Buffer): Promise<void> {
    const { publish, dropped, lost } = this.#init;
    const [first, last] = [rows[0] as NewRow, rows.at(-1) as NewRow];
    try {
      if ((await publish(rows, bytes.subarray(first.from, last.to))) === 0) dropped('nobody', rows.length);
      for (const { message } of rows) message.done?.();
    } catch (error) {
      for (const { message } of rows) message.done?.(error as Error);
      const untold = rows.filter(({ message }) => message.done === undefined).length;
      if (untold > 0) lost(untold);
    }
  }
}
