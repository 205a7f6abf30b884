// The sending end. What offer() takes goes out at once, many without waiting for each other, as far as the server gives credit for it.

import { NaruError } from '../../errors/index.ts';
import type { Outgoing, Sender } from '../../mailbox/driver.ts';
import { Packet, type Packets } from './wire.ts';

/** Messages and bytes that may be under way. */
const PENDING_MAX = 2_048;
const PENDING_BYTES_MAX = 16_777_216;
/** How long a question for room waits for the first credit of a new link, in milliseconds. */
const CREDIT_MS = 200;

export interface SenderInit {
  readonly text: string;
  readonly outbox: Packets;
  /** How many more the server takes; undefined while there is no connection. */
  readonly credit: () => number | undefined;
  readonly encode: (message: Outgoing) => Buffer;
  /** What is accepted survives a power cut. */
  readonly confirmsDurable: boolean;
  readonly lost: (count: number, error: Error) => void;
  readonly writable: () => void;
  /** Keeps the process alive. */
  readonly hold: (isNeeded: boolean) => void;
  readonly onClose: () => void;
}

export class ActivemqSender implements Sender {
  readonly #init: SenderInit;
  #isWaiting = false;
  #pending = 0;
  #idle: (() => void)[] = [];
  #credited: (() => void)[] = [];
  #closed: Promise<void> | undefined;

  constructor(init: SenderInit) {
    this.#init = init;
  }

  offer(batch: readonly Outgoing[], from: number): number {
    let at = from;
    for (; at < batch.length; at += 1) {
      const message = batch[at] as Outgoing;
      if (!this.#fits(message)) break;
      this.#take(message);
    }
    this.#isWaiting = at < batch.length;
    this.#hold();
    return at - from;
  }

  /** A link that is new has its credit a moment later. */
  async poll(): Promise<void> {
    if (this.#init.credit() !== 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, CREDIT_MS);
      this.#credited.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** There may be room. */
  changed(): void {
    if ((this.#init.credit() ?? 1) <= 0) return;
    for (const credited of this.#credited.splice(0)) credited();
    if (this.#isWaiting && this.#init.outbox.pending <= PENDING_MAX / 2) this.#init.writable();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #fits({ body, confirm }: Outgoing): boolean {
    const { outbox, credit, confirmsDurable, text } = this.#init;
    if (confirm === 'durable' && !confirmsDurable)
      throw new NaruError(
        'NARU_UNSUPPORTED',
        `${text}: confirm "durable" is more than this server says it does`,
        { place: 'activemq', mailbox: text },
      );
    if (outbox.pending >= PENDING_MAX) return false;
    if (outbox.pending > 0 && outbox.pendingBytes + body.byteLength > PENDING_BYTES_MAX) return false;
    return (credit() ?? 1) > 0;
  }

  #take(message: Outgoing): void {
    const payload = this.#init.encode(message);
    this.#pending += 1;
    this.#init.outbox.send(new Packet(payload, (error) => this.#over(message, error)));
  }

  #over({ done }: Outgoing, error: Error | undefined): void {
    this.#pending -= 1;
    if (done !== undefined) done(error);
    else if (error !== undefined) this.#init.lost(1, error);
    if (this.#pending > 0) return;
    this.#hold();
    for (const listener of this.#idle.splice(0)) listener();
  }

  #hold(): void {
    this.#init.hold(this.#isWaiting || this.#pending > 0);
  }

  async #close(): Promise<void> {
    this.#isWaiting = false;
    for (const credited of this.#credited.splice(0)) credited();
    this.#hold();
    if (this.#pending > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#init.onClose();
  }
}
