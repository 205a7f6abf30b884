// The driver behind one handle of a plain file: its two ends, and the questions that are answered by a look.

import { unlink } from 'node:fs/promises';
import type {
  Delivery,
  Driver,
  DriverFacts,
  DriverHooks,
  PlaceStats,
  Receiver,
  Sender,
} from '../../mailbox/driver.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { fileRaw } from './capabilities.ts';
import { errnoOf, fileError } from './error.ts';
import { plainFile } from './kind.ts';
import { deliveryOf, lookPatiently } from './look.ts';
import { addressOf, type FileOptions } from './options.ts';
import { ValueReader } from './receiver.ts';
import { ValueWriter } from './sender.ts';
import { removeLeftovers } from './temporary.ts';
import { Judge } from './version.ts';

export class FileDriver implements Driver {
  readonly facts: DriverFacts;
  readonly #options: FileOptions;
  readonly #isDurable: boolean;
  readonly #hooks: DriverHooks;
  #writer: ValueWriter | undefined;
  #reader: ValueReader | undefined;
  #lost = 0;
  #closing: Promise<{ undelivered: number }> | undefined;

  /**
   * @param created    there was no file yet
   * @param isDurable  every value is synced, whatever its sender waits for
   */
  constructor(options: FileOptions, created: boolean, isDurable: boolean, hooks: DriverHooks) {
    this.#options = options;
    this.#isDurable = isDurable;
    this.#hooks = hooks;
    this.facts = {
      capabilities: fileRaw,
      offered: 'accepted',
      maxMessageBytes: options.maxMessageBytes,
      identity: newHandleIdentity(),
      address: addressOf(options.path),
      deliver: 'all',
      created,
    };
  }

  /** Only this handle's: nobody knows who else opens a file. */
  get peers(): { producers: number; consumers: number } {
    return {
      producers: this.#writer === undefined ? 0 : 1,
      consumers: this.#reader === undefined ? 0 : 1,
    };
  }

  async attachSender(): Promise<Sender> {
    const { path, text } = this.#options;
    try {
      await removeLeftovers(path);
    } catch (error) {
      throw fileError(error, text);
    }
    const writer = new ValueWriter(this.#options, this.#isDurable, this.#hooks, () => {
      this.#lost += writer.lost;
      this.#writer = undefined;
    });
    this.#writer = writer;
    return writer;
  }

  async attachReceiver(): Promise<Receiver> {
    const reader = new ValueReader(this.#options, this.#hooks, () => {
      this.#reader = undefined;
    });
    await reader.start();
    this.#reader = reader;
    return reader;
  }

  async stats(): Promise<PlaceStats> {
    const bytes = (await plainFile(this.#options.path, this.#options.text))?.size;
    return {
      depth: bytes === undefined ? 0 : 1,
      depthBytes: bytes ?? 0,
      unsettled: 0,
      producers: -1,
      consumers: -1,
      capacityBytes: -1,
      capacityMessages: 1,
      dropped: { 'too-large': this.#reader?.oversized ?? 0 },
      extra: {
        written: this.#writer?.written ?? 0,
        replaced: this.#writer?.replaced ?? 0,
        missed: this.#reader?.missed ?? 0,
        watching: this.#reader?.isWatching === true ? 1 : 0,
      },
    };
  }

  async peek(max: number): Promise<Delivery[]> {
    const { path, text, maxMessageBytes } = this.#options;
    if (max === 0) return [];
    try {
      const found = await lookPatiently(path, text, maxMessageBytes, new Judge());
      if (!('handle' in found)) return [];
      await found.handle.close();
      return found.kind === 'value' ? [deliveryOf(found, -1)] : [];
    } catch (error) {
      throw fileError(error, text);
    }
  }

  close(): Promise<{ undelivered: number }> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async unlink(): Promise<void> {
    try {
      await unlink(this.#options.path);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw fileError(error, this.#options.text);
    }
  }

  async #close(): Promise<{ undelivered: number }> {
    await this.#writer?.close();
    await this.#reader?.close();
    return { undelivered: this.#lost };
  }
}
