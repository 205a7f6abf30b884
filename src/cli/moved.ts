// What a bridge has moved of late, by its ids: the source may not have heard the acks, and gives such messages again. Settles nothing.

import type { Message } from '../mailbox/message.ts';

/** So many are remembered at least, however small the batches are. */
const LEAST = 1_024;

/** Remembers the last messages; older ones are forgotten. */
export class Moved {
  readonly #max: number;
  #batches: (readonly string[])[] = [];
  #size = 0;
  /** All of `#batches`, made when somebody asks: most sources give nothing twice. */
  #known: ReadonlySet<string> | undefined;

  /** @param batch  messages in one batch at most: the acks of the last one may be unheard, and of the one before it */
  constructor(batch: number) {
    this.#max = Math.max(LEAST, 2 * batch);
  }

  remember(batch: readonly Message<unknown>[]): void {
    this.#batches.push(batch.map(({ id }) => id));
    this.#size += batch.length;
    while (this.#size > this.#max && this.#batches.length > 1) {
      this.#size -= this.#batches.shift()?.length ?? 0;
    }
    this.#known = undefined;
  }

  /** Whether it comes again although it was moved. One that does not say so is another message, whatever its id is. */
  has(message: Message<unknown>): boolean {
    if (!message.redelivered || message.id === '') return false;
    this.#known ??= new Set(this.#batches.flat());
    return this.#known.has(message.id);
  }
}
