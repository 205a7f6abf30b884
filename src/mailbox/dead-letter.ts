// Where messages go that nobody could handle: another mailbox, opened at the first need. Nothing is dropped without a word.

import type { Message } from './message.ts';

/** What the dead-letter mailbox must offer; `Mailbox` fits. Its codec is `bytes`: the body travels untouched. */
export interface DeadLetterTarget {
  send(data: Uint8Array, options: { readonly headers: Readonly<Record<string, string>> }): Promise<unknown>;
  close(): Promise<unknown>;
}

/** The dead-letter mailbox of one handle. */
export class DeadLetter {
  readonly #open: () => Promise<DeadLetterTarget>;
  readonly #from: string;
  #target: Promise<DeadLetterTarget> | undefined;

  /** @param open  opens the target; called at the first dead letter */
  constructor(from: string, open: () => Promise<DeadLetterTarget>) {
    this.#from = from;
    this.#open = open;
  }

  /** Sends the body on, with where it came from and why in its headers. */
  async take(
    message: Pick<Message<unknown>, 'body' | 'id' | 'headers' | 'deliveries'>,
    reason: string,
  ): Promise<void> {
    this.#target ??= this.#open();
    let target: DeadLetterTarget;
    try {
      target = await this.#target;
    } catch (error) {
      this.#target = undefined;
      throw error;
    }
    await target.send(message.body, {
      headers: {
        ...message.headers,
        'x-death-from': this.#from,
        'x-death-id': message.id,
        'x-death-reason': reason,
        'x-death-deliveries': String(message.deliveries),
      },
    });
  }

  async close(): Promise<void> {
    const target = this.#target;
    this.#target = undefined;
    if (target !== undefined) await (await target).close();
  }
}
