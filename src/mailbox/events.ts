// What a mailbox tells beside messages, and the listeners of it. An error or a leak that nobody listens to becomes a process
// warning: nothing is lost without a word.

import type { DriverEvents } from './driver.ts';
import { Listeners } from './listeners.ts';

/** Events of a mailbox and what each carries. */
export interface MailboxEvents extends DriverEvents {
  /** A send had to wait, or failed, because there was no room. Told once until there is room again. */
  full: { waitingSends: number };
  /**
   * A claim was collected as garbage before it was committed or aborted, or a view before it was settled. The claim has been
   * aborted, the message of the view has gone back.
   */
  leak: {
    kind: 'claim' | 'view';
    /** Stack of the call that made it, or why there is none. */
    createdAt: string;
  };
  /** The handle is closed. */
  close: { undelivered: number };
}

/** The listeners of one mailbox. */
export class EventHub {
  readonly #listeners = new Listeners<MailboxEvents>();
  readonly #mailbox: string;

  constructor(mailbox: string) {
    this.#mailbox = mailbox;
  }

  /** @returns a function that takes the listener off */
  on<K extends keyof MailboxEvents>(type: K, listener: (detail: MailboxEvents[K]) => void): () => void {
    return this.#listeners.on(type, listener);
  }

  /** Calls every listener; one that throws does not keep the others from hearing. */
  emit<K extends keyof MailboxEvents>(type: K, detail: MailboxEvents[K]): void {
    if (this.#listeners.tell(type, detail, (error) => this.#warn(error))) return;
    if (type === 'error') this.#warn((detail as MailboxEvents['error']).error);
    if (type === 'leak') this.#warnOfLeak(detail as MailboxEvents['leak']);
  }

  #warnOfLeak({ kind, createdAt }: MailboxEvents['leak']): void {
    const what =
      kind === 'claim'
        ? 'a claim was never committed nor aborted; it has been aborted'
        : 'a view was never settled; its message has gone back';
    process.emitWarning(`${this.#mailbox}: ${what}`, { type: 'NaruWarning', detail: createdAt });
  }

  #warn(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    process.emitWarning(text.startsWith(this.#mailbox) ? text : `${this.#mailbox}: ${text}`, 'NaruWarning');
  }
}
