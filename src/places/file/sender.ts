// The writing end: one value after the other takes the place of the file. One is on its way at a time; the others wait in the Mailbox.

import type { DriverHooks, Outgoing, Sender } from '../../mailbox/driver.ts';
import { fileError } from './error.ts';
import { plainFile } from './kind.ts';
import { type FileOptions, refusal } from './options.ts';
import { replaceFile } from './temporary.ts';

export class ValueWriter implements Sender {
  readonly #options: FileOptions;
  /** Every value is synced, whatever its sender waits for. */
  readonly #isDurable: boolean;
  readonly #hooks: DriverHooks;
  readonly #onClose: () => void;
  #writing: Promise<void> | undefined;
  #isWaiting = false;
  #isClosed = false;
  /** Values that were written. */
  written = 0;
  /** Values that another took the place of, read or not. */
  replaced = 0;
  /** Values of senders that did not wait, and that could not be written. */
  lost = 0;

  constructor(options: FileOptions, isDurable: boolean, hooks: DriverHooks, onClose: () => void) {
    this.#options = options;
    this.#isDurable = isDurable;
    this.#hooks = hooks;
    this.#onClose = onClose;
  }

  offer(batch: readonly Outgoing[], from: number): number {
    if (this.#isClosed) throw refusal('NARU_CLOSED', this.#options.text, 'this producer was closed');
    const message = batch[from];
    const isFree = this.#writing === undefined;
    this.#isWaiting = batch.length > from + (isFree ? 1 : 0);
    if (message === undefined || !isFree) return 0;
    // Without `done` the body is the caller's again when this returns.
    const body = message.done === undefined ? Uint8Array.prototype.slice.call(message.body) : message.body;
    this.#writing = this.#write(message, body).finally(() => {
      this.#writing = undefined;
      if (this.#isWaiting) this.#hooks.writable();
    });
    return 1;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#isWaiting = false;
    await this.#writing;
    this.#onClose();
  }

  async #write({ confirm, done }: Outgoing, body: Uint8Array): Promise<void> {
    const { path, text } = this.#options;
    try {
      const before = await plainFile(path, text);
      // One that is replaced keeps its permission bits.
      const mode = before === undefined ? this.#options.mode : before.mode & 0o777;
      await replaceFile(path, body, mode, this.#isDurable || confirm === 'durable');
      this.written += 1;
      if (before !== undefined) this.replaced += 1;
      done?.();
    } catch (thrown) {
      const error = fileError(thrown, text);
      if (done !== undefined) return done(error);
      this.lost += 1;
      this.#hooks.event('error', { error });
    }
  }
}
