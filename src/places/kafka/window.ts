// What one consumer has of one partition: messages in order, each waiting, handed out or done. Kafka knows one number a partition, the
// offset before which the group has had everything: it moves over what is done without a gap.

import type { Delivery } from '../../mailbox/driver.ts';

/** One message of the partition. */
export interface Entry {
  readonly window: Window;
  readonly offset: number;
  readonly envelope: Omit<Delivery, 'deliveries' | 'receipt' | 'token'>;
  deliveries: number;
  state: 'waiting' | 'handed' | 'done';
  /** Not before this time of performance.now(). */
  readyAt: number;
}

export class Window {
  readonly partition: number;
  /** From `#first` on: those before it are done and committed or to be committed. */
  #entries: Entry[] = [];
  #first = 0;
  /** Offset of the next message to come. */
  next: number;
  /** It went to another consumer: nothing here counts any more. */
  isLost = false;

  constructor(partition: number, position: number) {
    this.partition = partition;
    this.next = position;
  }

  /** Messages that are not done, and done ones that wait for those before them. */
  get length(): number {
    return this.#entries.length - this.#first;
  }

  /** Where the group stands: everything before it is done. */
  get position(): number {
    return this.#entries[this.#first]?.offset ?? this.next;
  }

  /** Adds the next message. */
  add(offset: number, envelope: Entry['envelope']): Entry {
    const entry: Entry = { window: this, offset, envelope, deliveries: 0, state: 'waiting', readyAt: 0 };
    this.#entries.push(entry);
    this.next = offset + 1;
    return entry;
  }

  /** A message is done. @returns whether the position moved */
  finish(entry: Entry): boolean {
    entry.state = 'done';
    const before = this.#first;
    while (this.#entries[this.#first]?.state === 'done') this.#first += 1;
    if (this.#first === before) return false;
    if (this.#first > 1_024 && this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
    return true;
  }
}
