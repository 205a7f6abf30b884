// Receipts: how far a message got when send() came back, and what sendMany() achieved.

import type { Confirm } from './capabilities.ts';

/** `dropped`: a drop policy applied (`full: 'drop-newest'`, `nobody: 'drop'`); it was counted. */
export type Reached = Confirm | 'dropped';

/** What send() resolves to. */
export class Receipt {
  /** The level the message is known to have reached. */
  readonly reached: Reached;
  readonly #id: string | undefined;
  readonly #sender: string;
  readonly #sequence: number;

  constructor(reached: Reached, id: string | undefined, sender: string, sequence: number) {
    this.reached = reached;
    this.#id = id;
    this.#sender = sender;
    this.#sequence = sequence;
  }

  /** The message's id, as the receiver sees it. */
  get id(): string {
    return messageId(this.#id, this.#sender, this.#sequence);
  }

  toJSON(): { id: string; reached: Reached } {
    return { id: this.id, reached: this.reached };
  }
}

/** What sendMany() resolves to: everything was sent. On a partial failure it rejects, and the error's `partial` tells. */
export interface SendManyResult {
  /** Messages that reached the level asked for. */
  readonly sent: number;
  readonly reached: Confirm;
}

/** The id of a message: the sender's own, or one made of handle and sequence. '' for messages of strangers. */
export function messageId(id: string | undefined, sender: string, sequence: number): string {
  return id ?? (sender === '' ? '' : `${sender}-${sequence}`);
}
